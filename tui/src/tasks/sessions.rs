//! Tasks for sessions: events, completion, history.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use console::{
    completion::{self, CompletionList},
    directory::WorkingDirectory,
    history::{HistoryFile, HistoryStore, SharedHistory},
    session::{Events, SessionHandle, SessionOptions},
};

use frontend::text::StyledLine;

use super::Tasks;
use crate::{
    circle_id::CircleId,
    event::{AppEvent, Message, SessionUpdate},
};

/// Pause before a circle is asked for documentation, while the selection may still move.
const DOCUMENT_DELAY: Duration = Duration::from_millis(150);

impl Tasks {
    /// Opens a session, and posts its events in order, with the changes of its state between them.
    pub(crate) fn open_session(&self, id: CircleId, opening: SessionOptions) -> SessionHandle {
        #[cfg(test)]
        let opening = match &self.outside {
            Some(outside) => SessionOptions { remote: outside.remote(), ..opening },
            None => opening,
        };
        let (session, events) = SessionHandle::open(&self.runtime, opening);
        self.runtime.spawn(forward(self.clone(), id, session.watch(), events));
        session
    }

    /// Opens the history's file.
    pub(crate) fn open_history(&self, store: HistoryStore, history: SharedHistory) -> HistoryFile {
        let tasks = self.clone();
        HistoryFile::open(store, history, move |outcome| {
            let event = outcome.map_or_else(AppEvent::Error, |()| AppEvent::HistoryRead);
            // The app may have ended or be busy; the event is dropped then.
            drop(tasks.queue.try_send(Message(event)));
        })
    }

    /// Posts the files that complete a path.
    pub(crate) fn list_files(
        &self,
        id: CircleId,
        completion: CompletionList,
        prefix: String,
        directory: Arc<WorkingDirectory>,
    ) {
        let listed =
            move || CompletionList { candidates: completion::file_candidates(&prefix, &directory), ..completion };
        self.spawn_blocking(listed, move |completion| AppEvent::Session(id, SessionUpdate::Completed(completion)));
    }

    /// Posts the first line of a function's documentation, unless another one is asked for meanwhile.
    pub(crate) fn document(
        &self,
        id: CircleId,
        name: String,
        answer: impl Future<Output = Option<Vec<StyledLine>>> + Send + 'static,
    ) {
        let (tasks, number) = (self.clone(), self.documents.fetch_add(1, Ordering::SeqCst) + 1);
        self.spawn(async move {
            tokio::time::sleep(DOCUMENT_DELAY).await;
            if tasks.documents.load(Ordering::SeqCst) != number {
                return;
            }
            let lines = answer.await.unwrap_or_default();
            // The signature comes first, and the documentation is indented.
            let doc = lines.iter().map(ToString::to_string).find(|line| line.starts_with("  "));
            let doc = doc.map_or(String::new(), |doc| doc.trim().to_owned());
            tasks.post(AppEvent::Session(id, SessionUpdate::Documented(name, doc))).await;
        });
    }

    /// Posts the completions of a circle, if it answers.
    pub(crate) fn complete(&self, id: CircleId, answer: impl Future<Output = Option<CompletionList>> + Send + 'static) {
        let tasks = self.clone();
        // Tests fake the session, not the task.
        self.runtime.spawn(async move {
            if let Some(completion) = answer.await {
                tasks.post(AppEvent::Session(id, SessionUpdate::Completed(completion))).await;
            }
        });
    }
}

/// Forwards events until the session ends.
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
