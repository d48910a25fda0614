//! What may stand where the cursor is: asked of the circle, or known here for `:` commands.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use client_ws::{CircleWsClient, CompleteResult};
use tokio::{runtime::Handle, time::timeout};

use super::meta;

/// Bytes of a candidate.
const MAX_TEXT: usize = 256;

/// Characters of what is said of one.
const MAX_DETAIL: usize = 200;

/// As the protocol has it.
const MAX_CANDIDATES: usize = 200;

/// How long a key press may wait for the circle.
const PATIENCE: Duration = Duration::from_millis(150);

/// Candidates for the word before the cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Completion {
    /// What was asked about: an answer to another text is of no use.
    pub input: String,
    /// Where the replaced word begins, and where the cursor is, in characters.
    pub start: usize,
    pub cursor: usize,
    pub candidates: Vec<Candidate>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub text: String,
    /// A type, a signature, what a command does.
    pub detail: String,
}

impl Completion {
    /// Of a `:` command, which is no affair of the circle's.
    pub(crate) fn of_command(input: &str, cursor: usize) -> Option<Self> {
        let typed = input.strip_prefix(':')?.get(..byte(input, cursor)?.checked_sub(1)?)?;
        let fitting = meta::COMMANDS.iter().filter(|(name, ..)| name.starts_with(typed));
        let candidates = fitting
            .map(|(name, argument, does)| {
                let detail = if argument.is_empty() { (*does).to_owned() } else { format!("{argument} · {does}") };
                Candidate { text: (*name).to_owned(), detail }
            })
            .collect();
        Some(Self { input: input.to_owned(), start: 1, cursor, candidates })
    }

    /// As the circle answered.
    pub(crate) fn of_answer(input: String, cursor: usize, answer: CompleteResult) -> Self {
        let start = usize::try_from(answer.start).unwrap_or(usize::MAX).min(cursor);
        let word: String = input.chars().take(cursor).skip(start).collect();
        // Not believed: what is replaced is one word, and a candidate goes on with it on one line of some length.
        let is_word = !word.chars().any(char::is_whitespace);
        let is_fitting = |text: &str| {
            is_word && text.starts_with(&word) && text.len() <= MAX_TEXT && !text.chars().any(char::is_control)
        };
        let candidates = answer
            .candidates
            .into_iter()
            .take(MAX_CANDIDATES)
            .filter(|candidate| is_fitting(&candidate.text))
            .map(|candidate| {
                let detail: String = candidate.detail.chars().take(MAX_DETAIL).collect();
                Candidate { text: candidate.text, detail: detail.replace('\n', " ") }
            })
            .collect();
        Self { input, start, cursor, candidates }
    }

    /// The same candidates for a word that goes on, if it is the same word as far as it went.
    fn narrowed(&self, input: &str, cursor: usize) -> Option<Self> {
        let begin = |text: &str| text.chars().take(self.start).collect::<String>();
        if cursor < self.start || begin(input) != begin(&self.input) {
            return None;
        }
        let word: String = input.chars().take(cursor).skip(self.start).collect();
        let candidates =
            self.candidates.iter().filter(|candidate| candidate.text.starts_with(&word)).cloned().collect();
        Some(Self { input: input.to_owned(), start: self.start, cursor, candidates })
    }
}

/// The byte that a character begins at.
pub(crate) fn byte(text: &str, character: usize) -> Option<usize> {
    text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(character)
}

/// Asks a circle, for someone who cannot wait.
pub(crate) struct Completer {
    runtime: Handle,
    client: Arc<CircleWsClient>,
    /// The newest answer, however late it came.
    known: Arc<Mutex<Completion>>,
}

impl Completer {
    pub(crate) fn new(runtime: Handle, client: Arc<CircleWsClient>) -> Self {
        Self { runtime, client, known: Arc::default() }
    }

    /// What the circle answers in time, or else what was known last: then the next question finds the answer. Blocks for
    /// 150 ms at most.
    pub(crate) fn complete(&self, input: &str, cursor: usize) -> Completion {
        if let Some(completion) = Completion::of_command(input, cursor) {
            return completion;
        }
        let (client, known, asked) = (self.client.clone(), self.known.clone(), input.to_owned());
        let answer = self.runtime.spawn(async move {
            let answer = client.complete(asked.clone(), cursor as u64).await.ok()?;
            let completion = Completion::of_answer(asked, cursor, answer);
            known.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&completion);
            Some(completion)
        });
        if let Ok(Ok(Some(completion))) = self.runtime.block_on(async { timeout(PATIENCE, answer).await }) {
            return completion;
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.narrowed(input, cursor).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(completion: &Completion) -> Vec<&str> {
        completion.candidates.iter().map(|candidate| candidate.text.as_str()).collect()
    }

    #[test]
    fn commands_are_completed_here() {
        let completion = Completion::of_command(":he", 3).expect("a command");
        assert_eq!((texts(&completion), completion.start), (vec!["help"], 1));
        assert!(texts(&Completion::of_command(":", 1).expect("a command")).contains(&"quit"));
        for (input, cursor) in [("x", 1), (":help", 0), ("", 0), (":é", 9)] {
            assert_eq!(Completion::of_command(input, cursor), None, "{input}");
        }
    }

    #[test]
    fn what_a_circle_offers_is_not_believed() {
        let offer = |text: &str, detail: &str| client_ws::Candidate {
            text: text.into(),
            kind: client_ws::CandidateKind::Variable,
            detail: detail.into(),
        };
        let answer = |start, candidates| CompleteResult { start, candidates };
        let long = "x".repeat(70_000);
        let offers =
            || vec![offer("total", &long), offer("other", ""), offer("to\nend", ""), offer(&format!("to{long}"), "")];
        let completion = Completion::of_answer("1 + to".into(), 6, answer(4, offers()));
        assert_eq!((texts(&completion), completion.candidates[0].detail.len()), (vec!["total"], MAX_DETAIL));
        // More than the word before the cursor is not for it to replace.
        assert!(Completion::of_answer("1 + to".into(), 6, answer(0, offers())).candidates.is_empty());
        assert_eq!(Completion::of_answer("to".into(), 2, answer(u64::MAX, offers())).start, 2);
    }

    #[test]
    fn what_was_known_serves_for_a_word_that_goes_on() {
        let candidates = ["total", "tops"].map(|text| Candidate { text: text.into(), detail: String::new() }).into();
        let known = Completion { input: "1 + to".into(), start: 4, cursor: 6, candidates };
        assert_eq!(texts(&known.narrowed("1 + tot", 7).expect("the same word")), ["total"]);
        assert_eq!(known.narrowed("2 + tot", 7), None);
        assert_eq!(known.narrowed("1 +", 3), None);
    }
}
