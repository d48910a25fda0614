//! Completion at a key press, with a short timeout for the circle's answer.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, time::timeout};

use crate::{
    commands::ArgumentKind,
    completion::{CompletionItem, CompletionList, CompletionSource, completion_source},
    session::SessionHandle,
};

/// The timeout for the circle's answer.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(150);

/// Completes inputs with the help of a circle, without waiting long.
pub struct Completer {
    runtime: Handle,
    session: SessionHandle,
    known: LocalCandidates,
    /// The newest answer, including answers after the timeout.
    latest: Arc<Mutex<CompletionList>>,
}

/// The local candidates for the argument of a REPL command.
type LocalCandidates = Box<dyn Fn(ArgumentKind, &str) -> Vec<CompletionItem>>;

impl Completer {
    /// Returns a completer for a session. `known` returns local candidates for the argument of a REPL command.
    pub fn new(
        runtime: Handle,
        session: SessionHandle,
        known: impl Fn(ArgumentKind, &str) -> Vec<CompletionItem> + 'static,
    ) -> Self {
        Self { runtime, session, known: Box::new(known), latest: Arc::default() }
    }

    /// Switches to another session.
    pub fn set_session(&mut self, session: SessionHandle) {
        self.session = session;
        self.latest = Arc::default();
    }

    /// Returns the candidates at a cursor. If the circle does not answer within 150 ms, narrows the latest answer or
    /// returns what the session knows instead; a late answer serves the next call. Blocks for 150 ms at most.
    pub fn complete(&self, input: &str, cursor: usize) -> CompletionList {
        let request = match completion_source(input, cursor, &self.known) {
            CompletionSource::Local(completion) => return completion,
            CompletionSource::Circle(request) => request,
        };
        let newest = self.latest.clone();
        let answer = self.session.complete((input.to_owned(), cursor), request.clone());
        let answer = self.runtime.spawn(async move {
            let completion = answer.await?;
            newest.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&completion);
            Some(completion)
        });
        if let Ok(Ok(Some(completion))) = self.runtime.block_on(async { timeout(ANSWER_TIMEOUT, answer).await }) {
            return completion;
        }
        let newest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let narrowed = newest.narrow(input, cursor);
        narrowed.or_else(|| self.session.complete_locally((input.to_owned(), cursor), &request)).unwrap_or_default()
    }
}
