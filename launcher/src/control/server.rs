//! Answers whoever asks a supervisor.

use std::{sync::Arc, time::Duration};

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
    CONFIG_INVALID, CircleNames, Diff, DiffResult, Down, MAX_MESSAGE, Release, Reload, ReloadResult, Restart, Status,
    Up, WATCH_TIMEOUT, Watch,
};
use crate::{
    CircleChange, CircleState, ConfigError,
    config_reader::ConfigReader,
    supervisor::{CircleCommand, ReloadTrigger, SupervisorCommand, SupervisorSnapshot},
};

/// How many may be connected at a time. For another one, the one that has been idle longest is closed.
const MAX_CONNECTIONS: usize = 64;

/// How long nobody is accepted after that has failed, as where there are too many open files.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// How long who asks may be silent between two questions.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the last answers may take to be written.
const LAST_RESPONSES_TIMEOUT: Duration = Duration::from_secs(2);

/// Listens and answers until it is told to close.
#[derive(Debug)]
pub(crate) struct ControlServer {
    close: oneshot::Sender<()>,
    closed: JoinHandle<()>,
}

/// What every connection needs.
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
        orders: mpsc::Sender<SupervisorCommand>,
        known: watch::Receiver<SupervisorSnapshot>,
    ) -> Self {
        let (close, closing) = oneshot::channel();
        Self {
            close,
            closed: tokio::spawn(accept(
                listener,
                listeners,
                ControlHandler { reader, commands: orders, snapshots: known },
                closing,
            )),
        }
    }

    /// Answers what is still to be answered, and closes every connection.
    pub(crate) async fn close(self) {
        drop(self.close);
        // It ends by itself, within a bound.
        let _closed = self.closed.await;
    }
}

/// `listeners` are those that take the place of the one before.
async fn accept(
    mut listener: UnixListener,
    mut listeners: mpsc::Receiver<UnixListener>,
    handler: ControlHandler,
    mut closing: oneshot::Receiver<()>,
) {
    let (end, ending) = watch::channel(());
    // Who waits longest is notified first.
    let close_idle = Arc::new(Notify::new());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut closing => break,
            Some(_) = connections.join_next() => {}
            Some(newer) = listeners.recv() => listener = newer,
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) if is_of_user(&stream) => {
                    connections.spawn(handler.clone().serve(stream, ending.clone(), close_idle.clone()));
                    if connections.len() == MAX_CONNECTIONS {
                        close_idle.notify_one();
                    }
                }
                Ok(_) => {}
                Err(_) => tokio::time::sleep(ACCEPT_RETRY).await,
            },
        }
    }
    drop((listener, listeners, end));
    let responses = async { while connections.join_next().await.is_some() {} };
    // Who does not read goes without.
    let _timed_out = timeout(LAST_RESPONSES_TIMEOUT, responses).await;
}

/// Whether the process at the other end is this user's, or root's, who could do all of this without asking.
fn is_of_user(stream: &UnixStream) -> bool {
    let user = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| [0, user].contains(&peer.uid()))
}

impl ControlHandler {
    /// `room` is notified where another connection has to be closed for a new one.
    async fn serve(mut self, stream: UnixStream, mut ending: watch::Receiver<()>, close_idle: Arc<Notify>) {
        let mut lines = Framed::new(stream, LinesCodec::new_with_max_length(MAX_MESSAGE));
        loop {
            let line = tokio::select! {
                line = timeout(IDLE_TIMEOUT, lines.next()) => match line {
                    Ok(line) => line,
                    // Others may want its place.
                    Err(_) => return,
                },
                // Only between two requests: the one that is being answered still is.
                _ = ending.changed() => return,
                () = close_idle.notified() => return,
            };
            let Some(Ok(line)) = line else { return };
            if let Some(answer) = self.respond(&line).await
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
                let error = RpcError::invalid_request("a supervisor takes no batches");
                return Some(message::response(None, Err::<&(), _>(&error)));
            }
            Err(error) => return Some(message::response(None, Err::<&(), _>(&error))),
        };
        let outcome = self.dispatch(&call).await;
        // A notification is obeyed and not answered (JSON-RPC 2.0 §4.1).
        call.id.as_ref().map(|id| message::response(Some(id), outcome.as_ref()))
    }

    async fn dispatch(&mut self, call: &RpcCall<'_>) -> Result<Value, RpcError> {
        let wish = match &*call.method {
            Status::NAME => {
                NoParams::from_raw(call.params)?;
                return to_json(&self.snapshots.borrow().statuses(None));
            }
            Diff::NAME => {
                NoParams::from_raw(call.params)?;
                return to_json(&DiffResult { changes: self.diff().await? });
            }
            Reload::NAME => {
                NoParams::from_raw(call.params)?;
                return to_json(&self.reload().await?);
            }
            Watch::NAME => {
                NoParams::from_raw(call.params)?;
                // What ends is not to be held up by who watches it.
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
        if matches!(wish, CircleCommand::Down | CircleCommand::Release) {
            // What is stopped needs no circles.json, and a wrong one must not keep it up.
            self.send_command(SupervisorCommand::Circles { wish, names, circles: None, answer }).await?;
        } else {
            let (_turn, read) = self.reader.read().await;
            let circles = Some(read.map_err(|error| config_error(&error))?.circles);
            self.send_command(SupervisorCommand::Circles { wish, names, circles, answer }).await?;
        }
        let names = response.await.map_err(|_| RpcError::ShuttingDown)??;
        let is_settled = |state: CircleState| match wish {
            CircleCommand::Down | CircleCommand::Release => matches!(state, CircleState::Down | CircleState::Failed),
            CircleCommand::Up | CircleCommand::Restart => {
                !matches!(state, CircleState::Starting | CircleState::Draining)
            }
        };
        let settled = self.snapshots.wait_for(|known| known.states(&names).all(is_settled)).await;
        to_json(&settled.map_err(|_| RpcError::ShuttingDown)?.statuses(Some(&names)))
    }

    async fn send_command(&self, order: SupervisorCommand) -> Result<(), RpcError> {
        self.commands.send(order).await.map_err(|_| RpcError::ShuttingDown)
    }

    async fn diff(&self) -> Result<Vec<CircleChange>, RpcError> {
        let (answer, response) = oneshot::channel();
        let (_turn, read) = self.reader.read().await;
        self.send_command(SupervisorCommand::Diff {
            circles: read.map_err(|error| config_error(&error))?.circles,
            answer,
        })
        .await?;
        response.await.map_err(|_| RpcError::ShuttingDown)
    }

    async fn reload(&mut self) -> Result<ReloadResult, RpcError> {
        let (answer, response) = oneshot::channel();
        {
            let (_turn, read) = self.reader.read().await;
            // The supervisor has to know of a refusal, too.
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
        let settled = self.snapshots.wait_for(|known| known.has_applied(&changes)).await;
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
        // One that was closed cannot be written to, or not be read from.
        let _closed = lines.send(message::call(Some(&Id::number(1)), Status::NAME, &NoParams {})).await;
        lines.next().await?.ok()
    }

    /// A server at a path, and what it lives on.
    fn start(path: &std::path::Path) -> (ControlServer, mpsc::Sender<UnixListener>, impl Sized) {
        let listener = UnixListener::bind(path).expect("it listens");
        let (to_server, listeners) = mpsc::channel(1);
        let (orders, ordered) = mpsc::channel(1);
        let (published, known) = watch::channel(SupervisorSnapshot::default());
        let server =
            ControlServer::start(listener, listeners, ConfigReader::new(path.with_extension("json")), orders, known);
        (server, to_server, (ordered, published))
    }

    /// A process of another user that got at the socket, as by a directory that was open for a moment.
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
        // No python3 here, or no way to become another user.
        if let (Some(own), Some(other)) = (ask(user).await, ask(65534).await) {
            assert_eq!((&*own, &*other), ("1", "0"));
        }
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
            // So that it is accepted, and then idle.
            assert!(request_status(&mut lines).await.is_some());
            all.push(lines);
        }
        assert!(request_status(&mut connect(&path).await).await.is_some(), "without waiting for the end of one");
        assert!(request_status(all.first_mut().expect("one")).await.is_none(), "the oldest was closed");
        assert!(request_status(all.last_mut().expect("one")).await.is_some(), "and not the newest");

        // It goes on elsewhere.
        let other = home.path().join("other");
        to_server.send(UnixListener::bind(&other).expect("it listens")).await.expect("it runs");
        assert!(request_status(&mut connect(&other).await).await.is_some());
        server.close().await;
    }
}
