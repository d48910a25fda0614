//! Routes a session's events: to the renderer of an input while one runs, otherwise above the line that is being typed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use console::session::{DisplayKind, Events, SessionEvent, SessionHandle, SessionRequest};
use frontend::text::{self, Style};
use tokio::{
    runtime::Handle,
    sync::mpsc::{Sender, channel},
    task::JoinHandle,
};

use super::notes::Notes;

/// Capacity of a subscription.
const CHANNEL_CAPACITY: usize = 64;

/// Task that routes the events of one session while it lives.
pub(super) struct Feed {
    unhandled: UnhandledEvents,
    listener: EventListener,
    task: JoinHandle<()>,
}

/// The current subscriber of a session's events.
#[derive(Clone, Default)]
struct EventListener(Arc<Mutex<Option<Sender<SessionEvent>>>>);

/// Handler of events without a subscriber.
#[derive(Clone)]
struct UnhandledEvents {
    session: SessionHandle,
    notes: Notes,
}

/// Subscription to a session's events; it ends on drop.
pub(super) struct Subscription {
    pub(super) events: Events,
    unhandled: UnhandledEvents,
    listener: EventListener,
    /// The earlier subscriber, restored on drop.
    previous: Option<Sender<SessionEvent>>,
}

impl EventListener {
    fn get(&self) -> MutexGuard<'_, Option<Sender<SessionEvent>>> {
        // No code that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feed {
    pub(super) fn start(runtime: &Handle, session: SessionHandle, mut events: Events, notes: Notes) -> Self {
        let (listener, unhandled) = (EventListener::default(), UnhandledEvents { session, notes });
        let (shared, handler) = (listener.clone(), unhandled.clone());
        let task = runtime.spawn(async move {
            while let Some(event) = events.next().await {
                let listener = shared.get().clone();
                // Notes belong to no input, so they do not go to the subscriber.
                match (event, listener) {
                    (SessionEvent::Display(shown), _)
                        if matches!(shown.kind, DisplayKind::Note | DisplayKind::Warning) =>
                    {
                        handler.notes.show(&shown);
                    }
                    (event, Some(listener)) => {
                        // A subscriber that has stopped listening returns the event.
                        if let Err(returned) = listener.send(event).await {
                            handler.handle(returned.0);
                        }
                    }
                    (event, None) => handler.handle(event),
                }
            }
        });
        Self { unhandled, listener, task }
    }

    /// Subscribes to the session's events until the subscription is dropped.
    pub(super) fn listen(&self) -> Subscription {
        let (send, events) = channel(CHANNEL_CAPACITY);
        let previous = self.listener.get().replace(send);
        Subscription {
            events: events.into(),
            unhandled: self.unhandled.clone(),
            listener: self.listener.clone(),
            previous,
        }
    }
}

impl UnhandledEvents {
    fn handle(&self, event: SessionEvent) {
        match event {
            SessionEvent::NotAdmitted(_, error) | SessionEvent::ConnectFailed(error) => {
                self.notes.warn(&error.message());
            }
            SessionEvent::Display(shown) => self.notes.show(&shown),
            // A print of the init script.
            SessionEvent::Output(output, _) => {
                for line in &text::lines(Style::Plain, &output.text) {
                    self.notes.show_line(line);
                }
            }
            // No passphrase prompt while a line is being typed: the next input requests the key again.
            SessionEvent::Request(SessionRequest::Unlock(name)) => {
                // A session that takes no input has ended.
                let _ended = self.session.keep_locked(name);
            }
            _ => {}
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        *self.listener.get() = self.previous.take();
        while let Some(event) = self.events.take() {
            self.unhandled.handle(event);
        }
    }
}
