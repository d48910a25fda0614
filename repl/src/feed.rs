//! A session's events: to whoever waits for what comes of an input, otherwise above the line that is typed.

use std::sync::{Arc, Mutex, PoisonError};

use console::session::{Event, Events, ShownKind};
use tokio::{
    runtime::Handle,
    sync::mpsc::{Sender, channel},
    task::JoinHandle,
};

use super::notes::Notes;

/// Events that wait for whoever waits for them.
const WAITING: usize = 64;

/// Takes a session's events for as long as it lives.
pub(super) struct Feed {
    listener: Arc<Mutex<Option<Sender<Event>>>>,
    task: JoinHandle<()>,
}

/// While there is one, a session's events come here.
pub(super) struct Listening {
    pub(super) events: Events,
    listener: Arc<Mutex<Option<Sender<Event>>>>,
}

impl Feed {
    pub(super) fn start(runtime: &Handle, mut events: Events, notes: Notes) -> Self {
        let listener: Arc<Mutex<Option<Sender<Event>>>> = Arc::default();
        let shared = listener.clone();
        let task = runtime.spawn(async move {
            while let Some(event) = events.next().await {
                let listener = shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
                // Remarks that belong to no input are not for whoever waits for one.
                match (event, listener) {
                    (Event::Shown(shown), _) if matches!(shown.kind, ShownKind::Note | ShownKind::Warning) => {
                        notes.show(&shown);
                    }
                    (event, Some(listener)) => {
                        // Whoever has stopped waiting leaves it.
                        if let Err(left) = listener.send(event).await {
                            leave(left.0, &notes);
                        }
                    }
                    (event, None) => leave(event, &notes),
                }
            }
        });
        Self { listener, task }
    }

    /// Listens from now on, until what is returned is dropped.
    pub(super) fn listen(&self) -> Listening {
        let (send, events) = channel(WAITING);
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(send);
        Listening { events: events.into(), listener: self.listener.clone() }
    }
}

/// An event that nobody waits for.
fn leave(event: Event, notes: &Notes) {
    match event {
        Event::NotAdmitted(_, error) | Event::ConnectFailed(error) => notes.complain(&error.message()),
        Event::Shown(shown) => notes.show(&shown),
        _ => {}
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
