//! How each request is answered: alone, in its batch, or not at all. Pure.

use std::collections::HashMap;

use protocol::{Id, RpcError, error::PlayLimit, message};
use serde::Serialize;

use crate::audit::Audited;

/// Where the answer to a request goes.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// The id to answer under; null without one.
    pub(crate) id: Option<Id>,
    /// False for a notification.
    pub(crate) is_answered: bool,
    /// Whether it is a play, whose id is taken until it is answered.
    pub(crate) is_play: bool,
    /// The batch that it came in.
    pub(crate) batch: Option<u64>,
    /// Of a play, where someone is told of each.
    pub(crate) audited: Option<Box<Audited>>,
}

/// Bytes of responses that a session may hold at the least, so that small answers always fit.
const MIN_HELD: usize = 256 << 10;

/// Bytes of a response that is held in any case.
const SMALL: usize = 256;

/// Bytes of a result that count towards the output limit.
pub(crate) type Weight = u64;

/// Whether a result went into its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    Whole,
    /// The results of its batch are too large together: an error stands in its place.
    Replaced,
}

/// The batches that are not fully answered.
#[derive(Debug)]
pub(crate) struct Answers {
    batches: HashMap<u64, Batch>,
    opened: u64,
    max_batch_kib: u64,
    /// Bytes of responses that wait for the rest of their batches.
    held: usize,
    max_held: usize,
}

#[derive(Debug)]
struct Batch {
    missing: usize,
    responses: Vec<String>,
    /// The plays among those that are done.
    plays: Vec<Id>,
    bytes_left: u64,
}

impl Answers {
    /// The results of one batch together may have that many KiB.
    pub(crate) fn new(max_batch_kib: u64) -> Self {
        // As text and as JSON, and as much again for what is not a value.
        let max_held = usize::try_from(max_batch_kib.saturating_mul(3 * 1024)).unwrap_or(usize::MAX);
        Self { batches: HashMap::new(), opened: 0, max_batch_kib, held: 0, max_held: max_held.max(MIN_HELD) }
    }

    /// Opens a batch of which so many members are answered; `None` if that is none.
    pub(crate) fn open_batch(&mut self, missing: usize) -> Option<u64> {
        if missing == 0 {
            return None;
        }
        self.opened += 1;
        let bytes_left = self.max_batch_kib.saturating_mul(1024);
        let batch = Batch { missing, responses: Vec::with_capacity(missing), plays: Vec::new(), bytes_left };
        self.batches.insert(self.opened, batch);
        Some(self.opened)
    }

    /// Whether a play with that id is done and not answered, because its batch is not.
    pub(crate) fn hold_play(&self, id: &Id) -> bool {
        self.batches.values().any(|batch| batch.plays.contains(id))
    }

    /// What is to be sent once this request is done, if anything is, and whether its own result is in it.
    pub(crate) fn settle(
        &mut self,
        ticket: &Ticket,
        result: Result<&impl Serialize, &RpcError>,
        weight: Weight,
    ) -> (Option<String>, Fit) {
        if !ticket.is_answered {
            return (None, Fit::Whole);
        }
        let id = ticket.id.as_ref();
        let Some(number) = ticket.batch else { return (Some(message::response(id, result)), Fit::Whole) };
        let Some(batch) = self.batches.get_mut(&number) else { return (None, Fit::Whole) };
        let room = self.max_held.saturating_sub(self.held);
        let fitting = batch.bytes_left.checked_sub(weight).and_then(|left| {
            let response = message::response(id, result);
            // What is no longer than the error in its place is never replaced: a cancellation must stay one.
            (response.len() <= room.max(SMALL)).then_some((left, response))
        });
        let (response, fit) = if let Some((left, response)) = fitting {
            batch.bytes_left = left;
            (response, Fit::Whole)
        } else {
            let error = RpcError::LimitExceeded { limit: PlayLimit::Output, max: self.max_batch_kib };
            (message::response(id, Err::<&(), _>(&error)), Fit::Replaced)
        };
        self.held += response.len();
        batch.responses.push(response);
        batch.plays.extend(id.filter(|_| ticket.is_play).cloned());
        batch.missing -= 1;
        if batch.missing > 0 {
            return (None, fit);
        }
        let responses = self.batches.remove(&number).map(|batch| batch.responses).unwrap_or_default();
        self.held -= responses.iter().map(String::len).sum::<usize>();
        (Some(message::batch(&responses)), fit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(id: u64, batch: Option<u64>) -> Ticket {
        Ticket { id: Some(Id::number(id)), is_answered: true, is_play: true, batch, audited: None }
    }

    #[test]
    fn a_batch_is_answered_once_its_last_member_is() {
        let mut answers = Answers::new(1);
        let batch = answers.open_batch(2);
        assert_eq!(answers.settle(&ticket(1, batch), Ok(&1), 1), (None, Fit::Whole));
        let silent = Ticket { id: None, is_answered: false, ..ticket(0, batch) };
        assert_eq!(answers.settle(&silent, Ok(&5), 1), (None, Fit::Whole));
        assert!(answers.hold_play(&Id::number(1)));
        let (text, _) = answers.settle(&ticket(2, batch), Err::<&(), _>(&RpcError::Cancelled), 0);
        let text = text.expect("the last");
        assert!(!answers.hold_play(&Id::number(1)));
        let array: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&array[0]["result"], &array[1]["error"]["code"]), (&1.into(), &(-32005).into()));
        assert!(answers.batches.is_empty());
    }

    #[test]
    fn a_batch_of_notifications_is_not_answered() {
        assert_eq!(Answers::new(1).open_batch(0), None);
    }

    #[test]
    fn what_all_open_batches_hold_is_bounded() {
        let mut answers = Answers::new(1);
        let large = "x".repeat(20_000);
        for id in 0..1000 {
            let batch = answers.open_batch(2);
            answers.settle(&ticket(id, batch), Ok(&large), 0);
        }
        let batch = answers.open_batch(2);
        answers.settle(&ticket(1000, batch), Err::<&(), _>(&RpcError::Cancelled), 0);
        let text = answers.settle(&ticket(1001, batch), Ok(&large), 0).0.expect("the last");
        assert!(text.contains("-32005") && text.contains("-32004"), "{text}");
        // What does not fit is answered with an error of a hundred bytes or so.
        assert!(answers.held < MIN_HELD + 1000 * 200, "{}", answers.held);
        assert_eq!(answers.batches.len(), 1000);
    }

    #[test]
    fn the_results_of_a_batch_are_bounded_together() {
        let mut answers = Answers::new(1);
        let batch = answers.open_batch(3);
        assert_eq!(answers.settle(&ticket(1, batch), Ok(&"long"), 600).1, Fit::Whole);
        assert_eq!(answers.settle(&ticket(2, batch), Ok(&"long"), 600).1, Fit::Replaced);
        let text = answers.settle(&ticket(3, batch), Ok(&"short"), 5).0.expect("the last");
        let array: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(array[0]["result"], "long");
        assert_eq!(array[1]["error"]["data"]["limit"], "output");
        assert_eq!(array[2]["result"], "short");
    }
}
