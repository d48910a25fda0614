//! Server of a supervisor's control socket.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use protocol::{
    ErrorObject, Method, Params, RpcError,
    message::{self, IncomingMessage, RpcCall},
    methods::NoParams,
};
use serde::Serialize;
use serde_json::Value;
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Notify, mpsc, oneshot, watch},
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_util::codec::{Framed, LinesCodec};

use super::{
    CONFIG_INVALID, CircleNames, Diff, DiffResult, Down, Export, ExportParams, MAX_MESSAGE, Release, Reload,
    ReloadResult, Restart, Status, Up, WATCH_TIMEOUT, Watch, disconnection::wait_for_disconnection,
};
use crate::{
    CircleChange, CircleState, ConfigError,
    circle_runner::ExportRequest,
    config_reader::ConfigReader,
    ipc::ExportResult,
    supervisor::{CircleCommand, ReloadTrigger, SupervisorCommand, SupervisorSnapshot},
};

/// Number of simultaneous connections. To accept one more, the server closes the one that has been idle longest.
const MAX_CONNECTIONS: usize = 64;

/// Pause after a failed accept, for example with too many open files.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Time that a client may be silent between two requests.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Time in which the last responses have to be written.
const LAST_RESPONSES_TIMEOUT: Duration = Duration::from_secs(2);

/// Server that runs until it is told to close.
#[derive(Debug)]
pub(crate) struct ControlServer {
    close: oneshot::Sender<()>,
    closed: JoinHandle<()>,
}

/// The end of an idle connection, whose place a new one needs.
#[derive(Debug, Default)]
struct Eviction {
    /// Notifies the connection that has been idle longest, or the next one that is.
    notify: Notify,
    /// False once a connection has ended: a notification from before has no effect any more.
    is_needed: AtomicBool,
}

impl Eviction {
    /// Waits until this connection has to end. Cancel safe.
    async fn notified(&self) {
        loop {
            self.notify.notified().await;
            if self.is_needed.load(Relaxed) {
                return;
            }
        }
    }
}

/// State that every connection needs.
#[derive(Debug, Clone)]
struct ControlHandler {
    reader: ConfigReader,
    commands: mpsc::Sender<SupervisorCommand>,
    snapshots: watch::Receiver<SupervisorSnapshot>,
}

impl ControlServer {
    pub(crate) fn start(
        listener: UnixListener,
        listeners: mpsc::Receiver<UnixListener>,
        reader: ConfigReader,
        commands: mpsc::Sender<SupervisorCommand>,
        snapshots: watch::Receiver<SupervisorSnapshot>,
    ) -> Self {
        let (close, closing) = oneshot::channel();
        Self {
            close,
            closed: tokio::spawn(accept(listener, listeners, ControlHandler { reader, commands, snapshots }, closing)),
        }
    }

    /// Finishes the requests in progress, and closes every connection.
    pub(crate) async fn close(self) {
        drop(self.close);
        // The task ends on its own, within a bounded time.
        let _closed = self.closed.await;
    }
}

/// Accepts connections. A listener from `listeners` replaces the one before.
async fn accept(
    mut listener: UnixListener,
    mut listeners: mpsc::Receiver<UnixListener>,
    handler: ControlHandler,
    mut closing: oneshot::Receiver<()>,
) {
    let (end, ending) = watch::channel(());
    let eviction = Arc::new(Eviction::default());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut closing => break,
            Some(_) = connections.join_next() => eviction.is_needed.store(false, Relaxed),
            Some(newer) = listeners.recv() => listener = newer,
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) if is_of_user(&stream) => {
                    connections.spawn(handler.clone().serve(stream, ending.clone(), eviction.clone()));
                    if connections.len() == MAX_CONNECTIONS {
                        eviction.is_needed.store(true, Relaxed);
                        eviction.notify.notify_one();
                    }
                }
                Ok(_) => {}
                Err(_) => tokio::time::sleep(ACCEPT_RETRY).await,
            },
        }
    }
    drop((listener, listeners, end));
    let responses = async { while connections.join_next().await.is_some() {} };
    // A client that does not read gets no response.
    let _timed_out = timeout(LAST_RESPONSES_TIMEOUT, responses).await;
}

/// Returns whether the peer is a process of this user or of root, who could do all of this anyway.
fn is_of_user(stream: &UnixStream) -> bool {
    let user = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| [0, user].contains(&peer.uid()))
}

/// Whether a line is a request of an export.
fn is_export(line: &str) -> bool {
    matches!(message::parse(line, 1), Ok(IncomingMessage::Single(Ok(call))) if call.method == Export::NAME)
}

impl ControlHandler {
    /// Serves one connection.
    async fn serve(mut self, stream: UnixStream, mut ending: watch::Receiver<()>, eviction: Arc<Eviction>) {
        let mut lines = Framed::new(stream, LinesCodec::new_with_max_length(MAX_MESSAGE));
        loop {
            let line = tokio::select! {
                // A request that has arrived is answered.
                biased;
                line = timeout(IDLE_TIMEOUT, lines.next()) => match line {
                    Ok(line) => line,
                    // Others may need the connection.
                    Err(_) => return,
                },
                // Only between two requests: one in progress is still answered.
                _ = ending.changed() => return,
                () = eviction.notified() => return,
            };
            let Some(Ok(line)) = line else { return };
            let answer = tokio::select! {
                answer = self.respond(&line) => answer,
                // Only an export ends with its client: its result is a file of the client.
                () = wait_for_disconnection(lines.get_ref()), if is_export(&line) => return,
            };
            if let Some(answer) = answer
                && lines.send(answer).await.is_err()
            {
                return;
            }
        }
    }

    async fn respond(&mut self, line: &str) -> Option<String> {
        let call = match message::parse(line, 1) {
            Ok(IncomingMessage::Single(Ok(call))) => call,
            Ok(IncomingMessage::Single(Err(rejected))) => {
                return Some(message::response(rejected.id.as_ref(), Err::<&(), _>(&rejected.error)));
            }
            Ok(IncomingMessage::Batch(_)) => {
                let error = RpcError::invalid_request("batch requests are not supported");
                return Some(message::response(None, Err::<&(), _>(&error)));
            }
            Err(error) => return Some(message::response(None, Err::<&(), _>(&error))),
        };
        let outcome = self.dispatch(&call).await;
        // A notification is executed without a response (JSON-RPC 2.0 §4.1).
        call.id.as_ref().map(|id| message::response(Some(id), outcome.as_ref()))
    }

    async fn dispatch(&mut self, call: &RpcCall<'_>) -> Result<Value, RpcError> {
        let command = match &*call.method {
            Status::NAME => {
                NoParams::from_raw(call.params)?;
                return to_json(&self.snapshots.borrow().statuses(None));
            }
            Diff::NAME => {
                NoParams::from_raw(call.params)?;
                return to_json(&DiffResult { changes: self.diff().await? });
            }
            Export::NAME => return to_json(&self.export(ExportParams::from_raw(call.params)?).await?),
            Reload::NAME => {
                NoParams::from_raw(call.params)?;
                return to_json(&self.reload().await?);
            }
            Watch::NAME => {
                NoParams::from_raw(call.params)?;
                // A watching client must not delay a supervisor that is stopping.
                if !self.snapshots.borrow().is_ending {
                    let _timed_out = timeout(WATCH_TIMEOUT, self.snapshots.changed()).await;
                }
                return to_json(&self.snapshots.borrow_and_update().statuses(None));
            }
            Up::NAME => CircleCommand::Up,
            Down::NAME => CircleCommand::Down,
            Release::NAME => CircleCommand::Release,
            Restart::NAME => CircleCommand::Restart,
            other => return Err(RpcError::MethodNotFound { method: other.chars().take(64).collect() }),
        };
        let names = CircleNames::from_raw(call.params)?.names;
        let (answer, response) = oneshot::channel();
        if matches!(command, CircleCommand::Down | CircleCommand::Release) {
            // Stopping needs no circles.json, and an invalid one must not prevent it.
            self.send_command(SupervisorCommand::Circles { command, names, circles: None, answer }).await?;
        } else {
            let (_guard, read) = self.reader.read().await;
            let circles = Some(read.map_err(|error| config_error(&error))?.circles);
            self.send_command(SupervisorCommand::Circles { command, names, circles, answer }).await?;
        }
        let names = response.await.map_err(|_| RpcError::ShuttingDown)??;
        let is_settled = |state: CircleState| match command {
            CircleCommand::Down | CircleCommand::Release => matches!(state, CircleState::Down | CircleState::Failed),
            CircleCommand::Up | CircleCommand::Restart => {
                !matches!(state, CircleState::Starting | CircleState::Draining)
            }
        };
        let settled = self.snapshots.wait_for(|snapshot| snapshot.states(&names).all(is_settled)).await;
        to_json(&settled.map_err(|_| RpcError::ShuttingDown)?.statuses(Some(&names)))
    }

    async fn send_command(&self, command: SupervisorCommand) -> Result<(), RpcError> {
        self.commands.send(command).await.map_err(|_| RpcError::ShuttingDown)
    }

    async fn diff(&self) -> Result<Vec<CircleChange>, RpcError> {
        let (answer, response) = oneshot::channel();
        let (_guard, read) = self.reader.read().await;
        self.send_command(SupervisorCommand::Diff {
            circles: read.map_err(|error| config_error(&error))?.circles,
            answer,
        })
        .await?;
        response.await.map_err(|_| RpcError::ShuttingDown)
    }

    async fn export(&self, params: ExportParams) -> Result<ExportResult, RpcError> {
        let (request, response) = ExportRequest::new(params.file.into());
        self.send_command(SupervisorCommand::Export { name: params.name, request }).await?;
        response.receive().await
    }

    async fn reload(&mut self) -> Result<ReloadResult, RpcError> {
        let (answer, response) = oneshot::channel();
        {
            let (_guard, read) = self.reader.read().await;
            // The supervisor has to know of an invalid file, too.
            let refused = read.as_ref().err().map(config_error);
            let circles = read.map(|definitions| definitions.circles);
            self.send_command(SupervisorCommand::Reload {
                circles,
                trigger: ReloadTrigger::Requested,
                answer: Some(answer),
            })
            .await?;
            if let Some(refused) = refused {
                return Err(refused);
            }
        }
        let changes = response.await.map_err(|_| RpcError::ShuttingDown)??;
        let settled = self.snapshots.wait_for(|snapshot| snapshot.has_applied(&changes)).await;
        let statuses = settled.map_err(|_| RpcError::ShuttingDown)?.statuses(None);
        Ok(ReloadResult { changes, statuses })
    }
}

fn to_json(result: &impl Serialize) -> Result<Value, RpcError> {
    serde_json::to_value(result).map_err(|_| RpcError::Internal)
}

fn config_error(error: &ConfigError) -> RpcError {
    RpcError::Other(ErrorObject { code: CONFIG_INVALID, message: error.to_string(), data: None })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use protocol::Id;

    use super::*;

    type TestConnection = Framed<UnixStream, LinesCodec>;

    async fn request_status(lines: &mut TestConnection) -> Option<String> {
        // A closed connection fails on write or on read.
        let _closed = lines.send(message::call(Some(&Id::number(1)), Status::NAME, &NoParams {})).await;
        lines.next().await?.ok()
    }

    /// The commands of a server, and what it knows of the circles.
    type OtherEnds = (mpsc::Receiver<SupervisorCommand>, watch::Sender<SupervisorSnapshot>);

    /// Starts a server at a path; also returns what keeps its channels open.
    fn start(path: &std::path::Path) -> (ControlServer, mpsc::Sender<UnixListener>, OtherEnds) {
        let listener = UnixListener::bind(path).expect("it listens");
        let (to_server, listeners) = mpsc::channel(1);
        let (commands, command_receiver) = mpsc::channel(1);
        let (snapshot_sender, snapshots) = watch::channel(SupervisorSnapshot::default());
        let server = ControlServer::start(
            listener,
            listeners,
            ConfigReader::new(path.with_extension("json")),
            commands,
            snapshots,
        );
        (server, to_server, (command_receiver, snapshot_sender))
    }

    /// A process of another user that reaches the socket, for example because the directory was accessible for a
    /// moment.
    #[tokio::test]
    async fn server_ignores_process_of_another_user() {
        const ASK: &str = "
import os, socket, sys
os.setuid(int(sys.argv[2]))
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
try:
    s.sendall(b'{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}\\n')
    print(len(s.recv(1)))
except OSError: print(0)
";
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("socket");
        let (server, _to_server, _others) = start(&path);
        for (path, mode) in [(home.path(), 0o755), (&*path, 0o666)] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
        }
        let user = rustix::process::geteuid().as_raw();
        let ask = async |user: u32| {
            let mut command = tokio::process::Command::new("python3");
            let output = command.args(["-c", ASK]).arg(&path).arg(user.to_string()).output().await.ok()?;
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        // Without python3, or without the right to become another user, there is nothing to test.
        if let (Some(own), Some(other)) = (ask(user).await, ask(65534).await) {
            assert_eq!((&*own, &*other), ("1", "0"));
        }
        server.close().await;
    }

    #[tokio::test]
    async fn request_that_has_arrived_is_answered_before_its_connection_is_closed() {
        let ((commands, _receiver), (_sender, snapshots)) =
            (mpsc::channel(1), watch::channel(SupervisorSnapshot::default()));
        let (_end, ending) = watch::channel(());
        for _ in 0..20 {
            let (stream, client) = UnixStream::pair().expect("a pair");
            let mut client = Framed::new(client, LinesCodec::new());
            client.send(message::call(Some(&Id::number(1)), Status::NAME, &NoParams {})).await.expect("it is there");
            stream.readable().await.expect("it is there");
            let eviction = Arc::new(Eviction { is_needed: true.into(), ..Eviction::default() });
            eviction.notify.notify_one();
            let handler = ControlHandler {
                reader: ConfigReader::new("circles.json".into()),
                commands: commands.clone(),
                snapshots: snapshots.clone(),
            };
            handler.serve(stream, ending.clone(), eviction).await;
            assert!(client.next().await.is_some(), "an answer");
        }
    }

    #[tokio::test]
    async fn export_ends_with_its_client() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("socket");
        let (server, _to_server, (mut commands, _snapshots)) = start(&path);
        let stream = UnixStream::connect(&path).await.expect("it listens");
        let mut lines = Framed::new(stream, LinesCodec::new_with_max_length(MAX_MESSAGE));
        let params = ExportParams { name: "a".to_owned(), file: "/file".to_owned() };
        lines.send(message::call(Some(&Id::number(1)), Export::NAME, &params)).await.expect("it is there");
        let Some(SupervisorCommand::Export { mut request, .. }) = commands.recv().await else { panic!("it is asked") };
        drop(lines);
        request.answer.closed().await;
        server.close().await;
    }

    #[tokio::test]
    async fn server_closes_idle_connection_for_new_one() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("socket");
        let (server, to_server, _others) = start(&path);
        let connect = async |path: &std::path::Path| {
            let stream = UnixStream::connect(path).await.expect("it listens");
            Framed::new(stream, LinesCodec::new_with_max_length(MAX_MESSAGE))
        };
        let mut all = Vec::new();
        for _ in 0..4 * MAX_CONNECTIONS {
            let mut lines = connect(&path).await;
            // One request, so that the connection is accepted, and then idle.
            assert!(request_status(&mut lines).await.is_some());
            all.push(lines);
        }
        assert!(request_status(&mut connect(&path).await).await.is_some(), "without waiting for another connection");
        assert!(request_status(all.first_mut().expect("one")).await.is_none(), "the oldest was closed");
        assert!(request_status(all.last_mut().expect("one")).await.is_some(), "and not the newest");

        // The server continues with another listener.
        let other = home.path().join("other");
        to_server.send(UnixListener::bind(&other).expect("it listens")).await.expect("it runs");
        assert!(request_status(&mut connect(&other).await).await.is_some());
        server.close().await;
    }
}
