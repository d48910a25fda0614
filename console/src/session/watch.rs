//! `:watch`: events of the circle's store, until the user stops it.

use client_ws::{ClientError, SubscriptionEvent};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::sync::mpsc;

use super::{
    core::Core,
    event::{DisplayKind, DisplayLines},
    inputs::connection_error,
    pending::PendingCommand,
};
use crate::watch::{WatchSubject, event_lines};

/// The events of a watch. It ends after an error.
pub type WatchEvents = BoxStream<'static, Result<SubscriptionEvent, ClientError>>;

/// Returns the events of a watch that fails.
pub fn failed_watch(error: ClientError) -> WatchEvents {
    Box::pin(stream::iter([Err(error)]))
}

/// Returns the events of a channel as those of a watch, for a [`Remote`](super::Remote) that replaces the client.
pub fn channel_watch(mut events: mpsc::UnboundedReceiver<Result<SubscriptionEvent, ClientError>>) -> WatchEvents {
    Box::pin(stream::poll_fn(move |context| events.poll_recv(context)))
}

/// The next event of a watch; `None` after the end.
pub type WatchUpdate = Option<Result<SubscriptionEvent, ClientError>>;

/// Waits for the next event of a watch. Cancel safe.
pub async fn next_watch_event(events: &mut WatchEvents) -> WatchUpdate {
    events.next().await
}

impl Core {
    pub(super) fn start_watch(&mut self, subject: WatchSubject) {
        let events = self.remote.clone().watch(subject);
        self.work.pending = Some(PendingCommand::Watch(events));
    }

    pub(super) fn on_watch_update(&mut self, update: WatchUpdate) {
        let error = match update {
            Some(Ok(event)) => {
                let lines = event_lines(&event, self.room.width);
                if !lines.is_empty() {
                    self.show(DisplayLines::new(DisplayKind::Listing, lines));
                }
                return;
            }
            Some(Err(error)) => Some(error),
            None => None,
        };
        self.work.pending = None;
        let lost = error.as_ref().and_then(connection_error);
        if let Some(error) = error {
            let error = self.error(error);
            self.show(DisplayLines::error(&error, self.room.width));
        }
        self.finish_input();
        self.finish_on_connection(lost.as_ref());
        self.start_waiting_inputs();
    }
}
