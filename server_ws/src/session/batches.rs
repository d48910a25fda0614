//! The batches of a session that are not fully answered yet. Pure.

use std::collections::HashMap;

use protocol::{
    Id, RpcError,
    error::{LimitSetting, PlayLimit},
    message,
};
use serde::Serialize;

use super::ticket::Ticket;
use crate::conversion::limit_exceeded;

/// The minimum of `max_held` in bytes, so that small responses always fit.
const MIN_HELD: usize = 256 << 10;

/// The size in bytes of a response that is always held.
const SMALL_RESPONSE: usize = 256;

/// The bytes of a result that count towards the output limit.
pub(crate) type Weight = u64;

/// Whether a result fits into its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    Whole,
    /// The results of the batch are too large together, so an error replaces this result.
    Replaced,
}

#[derive(Debug)]
pub(crate) struct Batches {
    open: HashMap<u64, Batch>,
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
    /// The ids of the plays among the responses.
    plays: Vec<Id>,
    bytes_left: u64,
}

impl Batches {
    /// Makes an empty set. The results of one batch together may have this many KiB.
    pub(crate) fn new(max_batch_kib: u64) -> Self {
        // Room for values as text and as JSON, and as much again for everything else.
        let max_held = usize::try_from(max_batch_kib.saturating_mul(3 * 1024)).unwrap_or(usize::MAX);
        Self { open: HashMap::new(), opened: 0, max_batch_kib, held: 0, max_held: max_held.max(MIN_HELD) }
    }

    /// Opens a batch in which `missing` requests get a reply, and returns its number; `None` if no request gets one.
    pub(crate) fn open(&mut self, missing: usize) -> Option<u64> {
        if missing == 0 {
            return None;
        }
        self.opened += 1;
        let bytes_left = self.max_batch_kib.saturating_mul(1024);
        let batch = Batch { missing, responses: Vec::with_capacity(missing), plays: Vec::new(), bytes_left };
        self.open.insert(self.opened, batch);
        Some(self.opened)
    }

    /// Returns the bytes of responses that wait for the rest of their batches.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Whether a play with this id has finished and waits for the rest of its batch.
    pub(super) fn has_play(&self, id: &Id) -> bool {
        self.open.values().any(|batch| batch.plays.contains(id))
    }

    /// Adds the result of one request. Returns the text to send now, if any, and whether the result fits.
    pub(super) fn reply(
        &mut self,
        ticket: &Ticket,
        result: Result<&impl Serialize, &RpcError>,
        weight: Weight,
    ) -> (Option<String>, Fit) {
        if ticket.is_notification() {
            return (None, Fit::Whole);
        }
        let id = ticket.id();
        let Some(number) = ticket.batch() else { return (Some(message::response(id, result)), Fit::Whole) };
        let Some(batch) = self.open.get_mut(&number) else { return (None, Fit::Whole) };
        let room = self.max_held.saturating_sub(self.held);
        let fitting = batch.bytes_left.checked_sub(weight).and_then(|left| {
            let response = message::response(id, result);
            // A response no longer than the error is never replaced, because a cancellation must stay one.
            (response.len() <= room.max(SMALL_RESPONSE)).then_some((left, response))
        });
        let (response, fit) = if let Some((left, response)) = fitting {
            batch.bytes_left = left;
            (response, Fit::Whole)
        } else {
            let (max, setting) = (self.max_batch_kib, LimitSetting::OutputKib);
            let error = if result.is_ok() && ticket.keeps_id() {
                // The play or the call has taken effect.
                RpcError::ResultLost { max, setting: Some(setting), is_recorded: false }
            } else {
                limit_exceeded(PlayLimit::Output, max, setting)
            };
            (message::response(id, Err::<&(), _>(&error)), Fit::Replaced)
        };
        self.held += response.len();
        batch.responses.push(response);
        batch.plays.extend(id.filter(|_| ticket.keeps_id()).cloned());
        batch.missing -= 1;
        if batch.missing > 0 {
            return (None, fit);
        }
        let responses = self.open.remove(&number).map(|batch| batch.responses).unwrap_or_default();
        self.held -= responses.iter().map(String::len).sum::<usize>();
        (Some(message::batch(&responses)), fit)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::ticket::ReplyTo, *};

    fn ticket(id: u64, batch: Option<u64>) -> Ticket {
        Ticket::new(ReplyTo::Id(Id::number(id)), batch).into_play(None)
    }

    #[test]
    fn batch_is_answered_with_last_request() {
        let mut batches = Batches::new(1);
        let batch = batches.open(2);
        assert_eq!(batches.reply(&ticket(1, batch), Ok(&1), 1), (None, Fit::Whole));
        let silent = Ticket::new(ReplyTo::Nobody, batch).into_play(None);
        assert_eq!(batches.reply(&silent, Ok(&5), 1), (None, Fit::Whole));
        assert!(batches.has_play(&Id::number(1)));
        let (text, _) = batches.reply(&ticket(2, batch), Err::<&(), _>(&RpcError::Cancelled), 0);
        let text = text.expect("the last");
        assert!(!batches.has_play(&Id::number(1)));
        let array: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&array[0]["result"], &array[1]["error"]["code"]), (&1.into(), &(-32005).into()));
        assert!(batches.open.is_empty());
    }

    #[test]
    fn notification_batch_has_no_reply() {
        assert_eq!(Batches::new(1).open(0), None);
    }

    #[test]
    fn responses_of_open_batches_are_bounded() {
        let mut batches = Batches::new(1);
        let large = "x".repeat(20_000);
        for id in 0..1000 {
            let batch = batches.open(2);
            batches.reply(&ticket(id, batch), Ok(&large), 0);
        }
        let batch = batches.open(2);
        batches.reply(&ticket(1000, batch), Err::<&(), _>(&RpcError::Cancelled), 0);
        let text = batches.reply(&ticket(1001, batch), Ok(&large), 0).0.expect("the last");
        assert!(text.contains("-32005") && text.contains("-32004"), "{text}");
        // An error of about a hundred bytes replaces each response that does not fit.
        assert!(batches.held < MIN_HELD + 1000 * 200, "{}", batches.held);
        assert_eq!(batches.open.len(), 1000);
    }

    #[test]
    fn results_of_batch_are_bounded_together() {
        let mut batches = Batches::new(1);
        let batch = batches.open(3);
        assert_eq!(batches.reply(&ticket(1, batch), Ok(&"long"), 600).1, Fit::Whole);
        assert_eq!(batches.reply(&ticket(2, batch), Ok(&"long"), 600).1, Fit::Replaced);
        let text = batches.reply(&ticket(3, batch), Ok(&"short"), 5).0.expect("the last");
        let array: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(array[0]["result"], "long");
        assert_eq!(array[1]["error"]["data"]["limit"], "output");
        assert_eq!(array[1]["error"]["data"]["happened"], true);
        assert_eq!(array[2]["result"], "short");
    }
}
