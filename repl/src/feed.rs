//! A session's events: to whoever waits for what comes of an input, otherwise above the line that is typed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use console::session::{DisplayKind, Events, SessionEvent, SessionHandle, SessionRequest};
use tokio::{
    runtime::Handle,
    sync::mpsc::{Sender, channel},
    task::JoinHandle,
};

use super::notes::Notes;

/// Events that wait for whoever listens.
const CHANNEL_CAPACITY: usize = 64;

/// Takes a session's events for as long as it lives.
pub(super) struct Feed {
    unheard: UnhandledEvents,
    listener: EventListener,
    task: JoinHandle<()>,
}

/// Who listens to a session's events.
#[derive(Clone, Default)]
struct EventListener(Arc<Mutex<Option<Sender<SessionEvent>>>>);

/// What becomes of events that nobody listens to.
#[derive(Clone)]
struct UnhandledEvents {
    session: SessionHandle,
    notes: Notes,
}

/// While there is one, a session's events come here.
pub(super) struct Subscription {
    pub(super) events: Events,
    unheard: UnhandledEvents,
    listener: EventListener,
    /// Who listened before, and does again.
    previous: Option<Sender<SessionEvent>>,
}

impl EventListener {
    fn get(&self) -> MutexGuard<'_, Option<Sender<SessionEvent>>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feed {
    pub(super) fn start(runtime: &Handle, session: SessionHandle, mut events: Events, notes: Notes) -> Self {
        let (listener, unheard) = (EventListener::default(), UnhandledEvents { session, notes });
        let (shared, unhandled) = (listener.clone(), unheard.clone());
        let task = runtime.spawn(async move {
            while let Some(event) = events.next().await {
                let listener = shared.get().clone();
                // Remarks that belong to no input are not for whoever waits for one.
                match (event, listener) {
                    (SessionEvent::Display(shown), _)
                        if matches!(shown.kind, DisplayKind::Note | DisplayKind::Warning) =>
                    {
                        unhandled.notes.show(&shown);
                    }
                    (event, Some(listener)) => {
                        // Whoever has stopped listening leaves it.
                        if let Err(left) = listener.send(event).await {
                            unhandled.handle(left.0);
                        }
                    }
                    (event, None) => unhandled.handle(event),
                }
            }
        });
        Self { unheard, listener, task }
    }

    /// Listens from now on, until what is returned is dropped.
    pub(super) fn listen(&self) -> Subscription {
        let (send, events) = channel(CHANNEL_CAPACITY);
        let before = self.listener.get().replace(send);
        Subscription {
            events: events.into(),
            unheard: self.unheard.clone(),
            listener: self.listener.clone(),
            previous: before,
        }
    }
}

impl UnhandledEvents {
    fn handle(&self, event: SessionEvent) {
        match event {
            SessionEvent::NotAdmitted(_, error) | SessionEvent::ConnectFailed(error) => {
                self.notes.warn(&error.message())
            }
            SessionEvent::Display(shown) => self.notes.show(&shown),
            // Nobody is asked for a passphrase while a line is typed: the next input requests the key again.
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
            self.unheard.handle(event);
        }
    }
}
