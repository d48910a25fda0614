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
const WAITING: usize = 64;

/// Takes a session's events for as long as it lives.
pub(super) struct Feed {
    unheard: Unheard,
    listener: Listener,
    task: JoinHandle<()>,
}

/// Who listens to a session's events.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Option<Sender<SessionEvent>>>>);

/// What becomes of events that nobody listens to.
#[derive(Clone)]
struct Unheard {
    session: SessionHandle,
    notes: Notes,
}

/// While there is one, a session's events come here.
pub(super) struct Listening {
    pub(super) events: Events,
    unheard: Unheard,
    listener: Listener,
    /// Who listened before, and does again.
    before: Option<Sender<SessionEvent>>,
}

impl Listener {
    fn get(&self) -> MutexGuard<'_, Option<Sender<SessionEvent>>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feed {
    pub(super) fn start(runtime: &Handle, session: SessionHandle, mut events: Events, notes: Notes) -> Self {
        let (listener, unheard) = (Listener::default(), Unheard { session, notes });
        let (shared, leave) = (listener.clone(), unheard.clone());
        let task = runtime.spawn(async move {
            while let Some(event) = events.next().await {
                let listener = shared.get().clone();
                // Remarks that belong to no input are not for whoever waits for one.
                match (event, listener) {
                    (SessionEvent::Display(shown), _)
                        if matches!(shown.kind, DisplayKind::Note | DisplayKind::Warning) =>
                    {
                        leave.notes.show(&shown);
                    }
                    (event, Some(listener)) => {
                        // Whoever has stopped listening leaves it.
                        if let Err(left) = listener.send(event).await {
                            leave.take(left.0);
                        }
                    }
                    (event, None) => leave.take(event),
                }
            }
        });
        Self { unheard, listener, task }
    }

    /// Listens from now on, until what is returned is dropped.
    pub(super) fn listen(&self) -> Listening {
        let (send, events) = channel(WAITING);
        let before = self.listener.get().replace(send);
        Listening { events: events.into(), unheard: self.unheard.clone(), listener: self.listener.clone(), before }
    }
}

impl Unheard {
    fn take(&self, event: SessionEvent) {
        match event {
            SessionEvent::NotAdmitted(_, error) | SessionEvent::ConnectFailed(error) => {
                self.notes.complain(&error.message())
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

impl Drop for Listening {
    fn drop(&mut self) {
        *self.listener.get() = self.before.take();
        while let Some(event) = self.events.take() {
            self.unheard.take(event);
        }
    }
}
