//! Has a supervisor found again whose socket or lock was removed: by a cleaner of temporary files, say, or by the system when
//! its user has logged out.

use std::time::Duration;

use tokio::{
    net::UnixListener,
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{Order, SUPERVISOR_LOG_NAME, Wish};
use crate::{
    CircleEvent, CircleEventKind,
    place::{LockGuard, SupervisorFiles},
};

/// How often it is looked.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long a look may take at the end.
const LAST_LOOK: Duration = Duration::from_secs(2);

/// Looks in a row that found another supervisor, after which this one ends. Who waits for the end of a supervisor has the lock
/// for a moment, too.
const MAX_BUSY: u32 = 3;

/// Looks whether the supervisor can be found.
#[derive(Debug)]
pub(super) struct Healing {
    close: oneshot::Sender<()>,
    task: JoinHandle<Option<LockGuard>>,
}

impl Healing {
    pub(super) fn start(
        place: SupervisorFiles,
        held: LockGuard,
        listeners: mpsc::Sender<UnixListener>,
        orders: mpsc::Sender<Order>,
        news: mpsc::Sender<CircleEvent>,
    ) -> Self {
        let (close, closing) = oneshot::channel();
        Self { close, task: tokio::spawn(look(place, held, listeners, orders, news, closing)) }
    }

    /// Stops looking. The lock, unless a look at it does not come to an end.
    pub(super) async fn close(self) -> Option<LockGuard> {
        drop(self.close);
        timeout(LAST_LOOK, self.task).await.ok()?.ok()?
    }
}

async fn look(
    place: SupervisorFiles,
    mut held: LockGuard,
    listeners: mpsc::Sender<UnixListener>,
    orders: mpsc::Sender<Order>,
    news: mpsc::Sender<CircleEvent>,
    mut closing: oneshot::Receiver<()>,
) -> Option<LockGuard> {
    let note = async |text: String| {
        // A supervisor that has ended needs no news.
        let _ended =
            news.send(CircleEvent { circle: SUPERVISOR_LOG_NAME.into(), kind: CircleEventKind::Warning(text) }).await;
    };
    let (mut said, mut busy) = (None, 0);
    loop {
        tokio::select! {
            _ = &mut closing => return Some(held),
            () = sleep(INTERVAL) => {}
        }
        let here = place.clone();
        // A file system may stand still.
        let looked = tokio::task::spawn_blocking(move || {
            let healed = here.heal(&mut held);
            (held, healed)
        });
        let healed;
        (held, healed) = looked.await.ok()?;
        let listener = healed
            .map_err(|error| error.to_string())
            .and_then(|listener| listener.map(UnixListener::from_std).transpose().map_err(|error| error.to_string()));
        match listener {
            Ok(None) => (said, busy) = (None, 0),
            Ok(Some(listener)) => {
                (said, busy) = (None, 0);
                note("its socket was removed; it listens again".into()).await;
                let _ended = listeners.send(listener).await;
            }
            Err(error) => {
                busy = if held.has_successor() { busy + 1 } else { 0 };
                if said.as_ref() != Some(&error) {
                    note(format!("its socket or lock was removed, and cannot be made again: {error}")).await;
                    said = Some(error);
                }
            }
        }
        if busy >= MAX_BUSY {
            note("another supervisor of this circles.json has begun; this one ends, and drains its circles".into())
                .await;
            let (answer, _) = oneshot::channel();
            let _ended = orders.send(Order::Wish { wish: Wish::Down, names: None, circles: None, answer }).await;
            let _closed = closing.await;
            return Some(held);
        }
    }
}
