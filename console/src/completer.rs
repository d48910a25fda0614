//! Completions while a key is pressed: asked of the circle, and not waited for long.

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

/// How long a key press may wait for the circle.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(150);

/// Asks a circle, for someone who cannot wait.
pub struct Completer {
    runtime: Handle,
    session: SessionHandle,
    known: LocalCandidates,
    /// The newest answer, however late it came.
    latest: Arc<Mutex<CompletionList>>,
}

/// What the surroundings know.
type LocalCandidates = Box<dyn Fn(ArgumentKind, &str) -> Vec<CompletionItem>>;

impl Completer {
    /// A completer that asks `client`; `known` offers what the console itself knows to stand behind a `:` command.
    pub fn new(
        runtime: Handle,
        session: SessionHandle,
        known: impl Fn(ArgumentKind, &str) -> Vec<CompletionItem> + 'static,
    ) -> Self {
        Self { runtime, session, known: Box::new(known), latest: Arc::default() }
    }

    /// Asks another circle from now on.
    pub fn set_session(&mut self, session: SessionHandle) {
        self.session = session;
        self.latest = Arc::default();
    }

    /// What the circle answers in time, or else what was known last: then the next question finds the answer. Blocks for
    /// 150 ms at most.
    pub fn complete(&self, input: &str, cursor: usize) -> CompletionList {
        let (script, at, offset) = match completion_source(input, cursor, &self.known) {
            CompletionSource::Local(completion) => return completion,
            CompletionSource::Circle { script, cursor, offset } => (script, cursor, offset),
        };
        let newest = self.latest.clone();
        let answer = self.session.complete((input.to_owned(), cursor), (script, at, offset));
        let answer = self.runtime.spawn(async move {
            let completion = answer.await?;
            newest.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&completion);
            Some(completion)
        });
        if let Ok(Ok(Some(completion))) = self.runtime.block_on(async { timeout(ANSWER_TIMEOUT, answer).await }) {
            return completion;
        }
        let newest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.narrow(input, cursor).unwrap_or_default()
    }
}
