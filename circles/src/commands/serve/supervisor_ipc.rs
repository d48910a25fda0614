//! IPC of a circle with its supervisor.

use std::{os::fd::AsFd, path::PathBuf};

use launcher::{
    StoreState, StoreStatus,
    ipc::{
        ConfigureResult, ExportResult, HEARTBEAT_INTERVAL, Heartbeat, IpcClosed, Ready, SupervisorReceiver,
        SupervisorSender, ToCircle,
    },
};
use protocol::RpcError;
use tokio::{net::UnixStream, sync::oneshot};

use frontend::error::CliError;

use super::{export::ExportStop, worker_pool};

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
        DrainReceiver(&mut self.from).wait_for_drain().await;
    }

    /// Returns the sender, and what receives the request to drain, for a circle that is not ready yet.
    pub(crate) fn halves(&mut self) -> (&mut SupervisorSender, DrainReceiver<'_>) {
        (&mut self.to, DrainReceiver(&mut self.from))
    }

    /// Reports that the circle is ready, then sends heartbeats and handles messages until the connection closes. Drops `drain`
    /// when the supervisor drains the circle.
    pub(crate) async fn run<C, E>(
        mut self,
        ready: Ready,
        heartbeat: impl Fn() -> Heartbeat,
        configure: impl Fn(Vec<String>) -> C,
        export: impl Fn(PathBuf, ExportStop) -> E,
        drain: oneshot::Sender<()>,
    ) -> Result<(), IpcClosed>
    where
        C: Future<Output = Result<(), RpcError>>,
        E: Future<Output = Result<ExportResult, RpcError>>,
    {
        self.to.notify(&ready).await?;
        let mut heartbeat_interval = tokio::time::interval(HEARTBEAT_INTERVAL);
        let (mut drain, mut configuring, mut exporting) = (Some(drain), None, None);
        let mut export_stop = ExportStop::default();
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
                    ToCircle::Export(id, file) => {
                        export_stop = ExportStop::default();
                        exporting = Some(Box::pin(tag(id, export(file, export_stop.clone()))));
                    }
                    // The export may have ended just now: the supervisor removes the file of one that has succeeded.
                    ToCircle::CancelExport => export_stop.stop(),
                    _ => {
                        export_stop.stop();
                        drop(drain.take());
                    }
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
        store: snapshot.store.as_ref().map(to_store_status),
        worker_pool: snapshot.worker_pool.as_ref().map(|status| Box::new(worker_pool::to_status(status))),
    }
}

fn to_store_status(store: &server_ws::StoreSnapshot) -> StoreStatus {
    StoreStatus {
        state: match (store.has_failed, store.is_full) {
            (true, _) => StoreState::Failed,
            (false, true) => StoreState::Full,
            (false, false) => StoreState::Ok,
        },
        revision: store.revision,
        bytes: store.bytes(),
        max_bytes: store.max_bytes,
        file_bytes: store.file_bytes,
        max_file_bytes: store.max_file_bytes,
        log_bytes: store.log_bytes,
        once_bytes: store.once_bytes,
        commits: store.commits.committed,
        groups: store.groups,
        conflicts: store.commits.conflicts,
        reruns: store.reruns,
        oldest_snapshot_ms: u64::try_from(store.oldest_snapshot_age.as_millis()).unwrap_or(u64::MAX),
        subscriptions: store.subscriptions,
        stalled_subscribers: store.stalled_subscribers,
        events: store.events,
    }
}

/// Receives the request to drain a circle that is not ready yet.
pub(crate) struct DrainReceiver<'a>(&'a mut SupervisorReceiver);

impl DrainReceiver<'_> {
    /// Waits until the supervisor drains the circle.
    pub(crate) async fn wait_for_drain(self) {
        // Other messages do not matter before the circle is ready.
        while self.0.next().await != ToCircle::Drain {}
    }
}

async fn tag<T, O>(tag: T, future: impl Future<Output = O>) -> (T, O) {
    (tag, future.await)
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Poll};

    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

    use super::*;

    #[tokio::test]
    async fn cancelled_export_responds_once_it_has_ended_with_its_result() {
        let (here, there) = UnixStream::pair().expect("a pair");
        let (to, from) = launcher::ipc::supervisor_channel(there);
        let (drain, _drained) = oneshot::channel();
        let ready = Ready { address: ([127, 0, 0, 1], 1).into(), identity: None };
        // An export that is complete when it is stopped.
        let export = |_file, stop: ExportStop| {
            let complete = Ok(ExportResult { entries: 7 });
            poll_fn(move |_| if stop.is_stopped() { Poll::Ready(complete.clone()) } else { Poll::Pending })
        };
        let running = SupervisorIpc { to, from }.run(ready, Heartbeat::default, |_| async { Ok(()) }, export, drain);
        let supervisor = async {
            let (read, mut write) = here.into_split();
            let requests = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"export\",\"params\":{\"file\":\"/x\"}}\n\
                            {\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"export\",\"params\":{\"file\":\"/y\"}}\n\
                            {\"jsonrpc\":\"2.0\",\"method\":\"cancel_export\"}\n";
            write.write_all(requests.as_bytes()).await.expect("it reads");
            let (mut lines, mut responses) = (BufReader::new(read).lines(), Vec::new());
            while responses.len() < 2 {
                let line = lines.next_line().await.expect("it is there").expect("a line");
                let message: serde_json::Value = serde_json::from_str(&line).expect("JSON");
                responses.extend(message["id"].as_u64().map(|id| (id, message["result"]["entries"].as_u64())));
            }
            responses
        };
        tokio::select! {
            // The second request is refused: the first is still being written.
            responses = supervisor => assert_eq!(responses, [(2, None), (1, Some(7))]),
            ended = running => panic!("{ended:?}"),
        }
    }
}
