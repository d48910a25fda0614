//! IPC of a circle with its supervisor.

use std::{os::fd::AsFd, path::PathBuf};

use launcher::ipc::{
    ConfigureResult, ExportResult, HEARTBEAT_INTERVAL, Heartbeat, IpcClosed, Ready, SupervisorReceiver,
    SupervisorSender, ToCircle,
};
use protocol::RpcError;
use tokio::{net::UnixStream, sync::oneshot};

use frontend::error::CliError;

/// The supervisor, at the other end of standard input.
pub(crate) struct SupervisorIpc {
    to: SupervisorSender,
    from: SupervisorReceiver,
}

impl SupervisorIpc {
    pub(crate) fn from_stdin() -> Result<Self, CliError> {
        let socket = || {
            let socket: std::os::unix::net::UnixStream = std::io::stdin().as_fd().try_clone_to_owned()?.into();
            socket.set_nonblocking(true)?;
            UnixStream::from_std(socket)
        };
        let socket = socket().map_err(|error| CliError::io("cannot talk to the supervisor", &error, ""))?;
        let (to, from) = launcher::ipc::supervisor_channel(socket);
        Ok(Self { to, from })
    }

    /// Waits for the arguments of the circle; `None` if the supervisor has ended or stops the circle.
    pub(crate) async fn receive_arguments(&mut self) -> Option<Vec<String>> {
        self.from.receive_arguments().await
    }

    /// Waits until the supervisor drains the circle, which is not ready yet.
    pub(crate) async fn wait_for_drain(&mut self) {
        // Other messages do not matter before the circle is ready.
        while self.from.next().await != ToCircle::Drain {}
    }

    /// Reports that the circle is ready, then sends heartbeats and handles messages until the connection closes. Drops `drain`
    /// when the supervisor drains the circle.
    pub(crate) async fn run<C, E>(
        mut self,
        ready: Ready,
        heartbeat: impl Fn() -> Heartbeat,
        configure: impl Fn(Vec<String>) -> C,
        export: impl Fn(PathBuf) -> E,
        drain: oneshot::Sender<()>,
    ) -> Result<(), IpcClosed>
    where
        C: Future<Output = Result<(), RpcError>>,
        E: Future<Output = Result<ExportResult, RpcError>>,
    {
        self.to.notify(&ready).await?;
        let mut heartbeat_interval = tokio::time::interval(HEARTBEAT_INTERVAL);
        let (mut drain, mut configuring, mut exporting) = (Some(drain), None, None);
        loop {
            tokio::select! {
                _ = heartbeat_interval.tick() => self.to.notify(&heartbeat()).await?,
                message = self.from.next(), if drain.is_some() => match message {
                    ToCircle::Configure(id, _) if configuring.is_some() => {
                        let busy = RpcError::invalid_request("the previous configuration is still being applied");
                        self.to.respond(&id, Err::<ConfigureResult, _>(busy)).await?;
                    }
                    ToCircle::Configure(id, configuration) => {
                        configuring = Some(Box::pin(tag(id, configure(configuration.arguments))));
                    }
                    ToCircle::Export(id, _) if exporting.is_some() => {
                        let busy = RpcError::invalid_request("another export is still being written");
                        self.to.respond(&id, Err::<ExportResult, _>(busy)).await?;
                    }
                    ToCircle::Export(id, file) => exporting = Some(Box::pin(tag(id, export(file)))),
                    _ => drop(drain.take()),
                },
                (id, configured) = async { configuring.as_mut().expect("some, by the condition below").await },
                    if configuring.is_some() =>
                {
                    configuring = None;
                    self.to.respond(&id, configured.map(|()| ConfigureResult {})).await?;
                }
                (id, exported) = async { exporting.as_mut().expect("some, by the condition below").await },
                    if exporting.is_some() =>
                {
                    exporting = None;
                    self.to.respond(&id, exported).await?;
                }
            }
        }
    }
}

/// The heartbeat for a snapshot.
pub(crate) fn to_heartbeat(snapshot: &server_ws::CircleSnapshot) -> Heartbeat {
    Heartbeat {
        connections: snapshot.connections,
        workers: snapshot.workers,
        plays: snapshot.plays,
        memory_bytes: snapshot.memory_bytes(),
        sandbox: snapshot.sandbox.iter().copied().map(Into::into).collect(),
    }
}

async fn tag<T, O>(tag: T, future: impl Future<Output = O>) -> (T, O) {
    (tag, future.await)
}
