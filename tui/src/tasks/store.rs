//! Subscriptions to keys of a store.

use console::session::{WatchEvents, next_watch_event};
use tokio::task::AbortHandle;

use super::Tasks;
use crate::{
    circle_id::CircleId,
    data::{WatchNews, failure_text},
    event::AppEvent,
};

/// Ends a subscription when it is dropped.
#[derive(Debug)]
pub(crate) struct WatchGuard(AbortHandle);

impl Drop for WatchGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Tasks {
    /// Posts the events of a subscription until the guard is dropped. `number` is the number of the subscription in the
    /// tree of the circle. A full queue makes the subscription wait, and the circle then sends newest values only.
    pub(crate) fn follow_store(&self, id: CircleId, number: u64, mut events: WatchEvents) -> WatchGuard {
        let tasks = self.clone();
        // Tests fake the session, not the task.
        let task = self.runtime.spawn(async move {
            while let Some(event) = next_watch_event(&mut events).await {
                let news = match event {
                    Ok(event) => WatchNews::Event(event),
                    Err(error) => WatchNews::Failed(failure_text(&error)),
                };
                tasks.post(AppEvent::Store(id, number, news)).await;
            }
        });
        WatchGuard(task.abort_handle())
    }
}
