//! Restores the socket or lock of a supervisor after it was removed, for example by a cleaner of temporary files or by
//! the system when the user has logged out.

use std::time::Duration;

use tokio::{
    net::UnixListener,
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{CircleCommand, SUPERVISOR_LOG_NAME, SupervisorCommand};
use crate::{
    CircleEvent, CircleEventKind,
    supervisor_files::{LockGuard, SupervisorFiles},
};

/// Interval of the checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Longest wait for the last check.
const LAST_CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// Checks in a row that find another supervisor before this one ends. A process that waits for the end of a supervisor
/// also has the lock for a moment.
const MAX_SUCCESSOR_CHECKS: u32 = 3;

/// Task that checks whether clients can find the supervisor.
#[derive(Debug)]
pub(super) struct SocketRecovery {
    close: oneshot::Sender<()>,
    task: JoinHandle<Option<LockGuard>>,
}

impl SocketRecovery {
    pub(super) fn start(
        files: SupervisorFiles,
        lock: LockGuard,
        listeners: mpsc::Sender<UnixListener>,
        commands: mpsc::Sender<SupervisorCommand>,
        events: mpsc::Sender<CircleEvent>,
    ) -> Self {
        let (close, closing) = oneshot::channel();
        Self { close, task: tokio::spawn(check_periodically(files, lock, listeners, commands, events, closing)) }
    }

    /// Stops the checks and returns the lock; `None` if a check does not finish.
    pub(super) async fn close(self) -> Option<LockGuard> {
        drop(self.close);
        timeout(LAST_CHECK_TIMEOUT, self.task).await.ok()?.ok()?
    }
}

async fn check_periodically(
    files: SupervisorFiles,
    mut lock: LockGuard,
    listeners: mpsc::Sender<UnixListener>,
    commands: mpsc::Sender<SupervisorCommand>,
    events: mpsc::Sender<CircleEvent>,
    mut closing: oneshot::Receiver<()>,
) -> Option<LockGuard> {
    let warn = async |text: String| {
        // A supervisor that has ended needs no warning.
        let _ended =
            events.send(CircleEvent { circle: SUPERVISOR_LOG_NAME.into(), kind: CircleEventKind::Warning(text) }).await;
    };
    let (mut last_error, mut successor_checks) = (None, 0);
    loop {
        tokio::select! {
            _ = &mut closing => return Some(lock),
            () = sleep(CHECK_INTERVAL) => {}
        }
        let files = files.clone();
        // The file system may be stalled.
        let check = tokio::task::spawn_blocking(move || {
            let restored = files.restore_socket(&mut lock);
            (lock, restored)
        });
        let restored;
        (lock, restored) = check.await.ok()?;
        let listener = restored
            .map_err(|error| error.to_string())
            .and_then(|listener| listener.map(UnixListener::from_std).transpose().map_err(|error| error.to_string()));
        match listener {
            Ok(None) => (last_error, successor_checks) = (None, 0),
            Ok(Some(listener)) => {
                (last_error, successor_checks) = (None, 0);
                warn("control socket was removed; listening again".into()).await;
                let _ended = listeners.send(listener).await;
            }
            Err(error) => {
                successor_checks = if lock.has_successor() { successor_checks + 1 } else { 0 };
                if last_error.as_ref() != Some(&error) {
                    warn(format!("control socket or lock was removed and cannot be restored: {error}")).await;
                    last_error = Some(error);
                }
            }
        }
        if successor_checks >= MAX_SUCCESSOR_CHECKS {
            warn("another supervisor has started for this circles.json; draining all circles and stopping".into())
                .await;
            let (answer, _) = oneshot::channel();
            let _ended = commands
                .send(SupervisorCommand::Circles { command: CircleCommand::Down, names: None, circles: None, answer })
                .await;
            let _closed = closing.await;
            return Some(lock);
        }
    }
}
