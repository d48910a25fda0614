//! Has a supervisor found again whose socket or lock was removed: by a cleaner of temporary files, say, or by the system when
//! its user has logged out.

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

/// How often it is looked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How long a look may take at the end.
const LAST_CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// Looks in a row that found another supervisor, after which this one ends. Who waits for the end of a supervisor has the lock
/// for a moment, too.
const MAX_SUCCESSOR_CHECKS: u32 = 3;

/// Looks whether the supervisor can be found.
#[derive(Debug)]
pub(super) struct SocketRecovery {
    close: oneshot::Sender<()>,
    task: JoinHandle<Option<LockGuard>>,
}

impl SocketRecovery {
    pub(super) fn start(
        place: SupervisorFiles,
        held: LockGuard,
        listeners: mpsc::Sender<UnixListener>,
        orders: mpsc::Sender<SupervisorCommand>,
        news: mpsc::Sender<CircleEvent>,
    ) -> Self {
        let (close, closing) = oneshot::channel();
        Self { close, task: tokio::spawn(check_periodically(place, held, listeners, orders, news, closing)) }
    }

    /// Stops looking. The lock, unless a look at it does not come to an end.
    pub(super) async fn close(self) -> Option<LockGuard> {
        drop(self.close);
        timeout(LAST_CHECK_TIMEOUT, self.task).await.ok()?.ok()?
    }
}

async fn check_periodically(
    place: SupervisorFiles,
    mut held: LockGuard,
    listeners: mpsc::Sender<UnixListener>,
    orders: mpsc::Sender<SupervisorCommand>,
    news: mpsc::Sender<CircleEvent>,
    mut closing: oneshot::Receiver<()>,
) -> Option<LockGuard> {
    let warn = async |text: String| {
        // A supervisor that has ended needs no news.
        let _ended =
            news.send(CircleEvent { circle: SUPERVISOR_LOG_NAME.into(), kind: CircleEventKind::Warning(text) }).await;
    };
    let (mut last_error, mut successor_checks) = (None, 0);
    loop {
        tokio::select! {
            _ = &mut closing => return Some(held),
            () = sleep(CHECK_INTERVAL) => {}
        }
        let files = place.clone();
        // A file system may stand still.
        let check = tokio::task::spawn_blocking(move || {
            let restored = files.restore_socket(&mut held);
            (held, restored)
        });
        let restored;
        (held, restored) = check.await.ok()?;
        let listener = restored
            .map_err(|error| error.to_string())
            .and_then(|listener| listener.map(UnixListener::from_std).transpose().map_err(|error| error.to_string()));
        match listener {
            Ok(None) => (last_error, successor_checks) = (None, 0),
            Ok(Some(listener)) => {
                (last_error, successor_checks) = (None, 0);
                warn("its socket was removed; it listens again".into()).await;
                let _ended = listeners.send(listener).await;
            }
            Err(error) => {
                successor_checks = if held.has_successor() { successor_checks + 1 } else { 0 };
                if last_error.as_ref() != Some(&error) {
                    warn(format!("its socket or lock was removed, and cannot be made again: {error}")).await;
                    last_error = Some(error);
                }
            }
        }
        if successor_checks >= MAX_SUCCESSOR_CHECKS {
            warn("another supervisor of this circles.json has begun; this one ends, and drains its circles".into())
                .await;
            let (answer, _) = oneshot::channel();
            let _ended = orders
                .send(SupervisorCommand::Circles { wish: CircleCommand::Down, names: None, circles: None, answer })
                .await;
            let _closed = closing.await;
            return Some(held);
        }
    }
}
