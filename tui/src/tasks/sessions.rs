//! What sessions report, and what they have done elsewhere: completion, history.

use console::{
    completion::{self, CompletionList},
    history::{HistoryFile, HistoryWriter},
    session::{Events, SessionHandle, SessionOptions},
};

use super::Tasks;
use crate::{
    circle_id::CircleId,
    event::{AppEvent, Message, SessionUpdate},
};

impl Tasks {
    /// Opens a session; what it reports is posted in its order, changes of its state between.
    pub(crate) fn open_session(&self, id: CircleId, opening: SessionOptions) -> SessionHandle {
        let (session, events) = SessionHandle::open(&self.runtime, opening);
        self.spawn(forward(self.clone(), id, session.watch(), events));
        session
    }

    /// Reads what was typed in earlier days.
    pub(crate) fn read_history(&self, id: CircleId, history: HistoryFile) {
        let file = history.clone();
        // Without it there is only less to walk through.
        let read = move || history.read().unwrap_or_default();
        self.spawn_blocking(read, move |inputs| AppEvent::Session(id, SessionUpdate::History(file, inputs)));
    }

    /// Keeps what is typed for other days.
    pub(crate) fn start_history_writer(&self) -> HistoryWriter {
        let tasks = self.clone();
        HistoryWriter::start(move |error| {
            // An app that has ended, or has no time for it, need not know.
            drop(tasks.queue.try_send(Message(AppEvent::Error(error))));
        })
    }

    /// Offers the files that a name which was begun may become.
    pub(crate) fn list_files(&self, id: CircleId, completion: CompletionList, prefix: String) {
        let listed = move || CompletionList { candidates: completion::file_candidates(&prefix), ..completion };
        self.spawn_blocking(listed, move |completion| AppEvent::Session(id, SessionUpdate::Completed(completion)));
    }

    /// Posts what may stand at the cursor, if the circle answers.
    pub(crate) fn complete(&self, id: CircleId, answer: impl Future<Output = Option<CompletionList>> + Send + 'static) {
        let tasks = self.clone();
        self.spawn(async move {
            if let Some(completion) = answer.await {
                tasks.post(AppEvent::Session(id, SessionUpdate::Completed(completion))).await;
            }
        });
    }
}

/// Posts what a session reports until the session ends.
async fn forward(
    tasks: Tasks,
    id: CircleId,
    mut state: tokio::sync::watch::Receiver<console::session::SessionState>,
    mut events: Events,
) {
    loop {
        let event = tokio::select! {
            biased;
            event = events.next() => match event {
                Some(event) => SessionUpdate::Reported(event),
                None => return,
            },
            Ok(()) = state.changed() => SessionUpdate::Changed,
        };
        tasks.post(AppEvent::Session(id, event)).await;
    }
}
