//! How each request is answered: alone, in its batch, or not at all. Pure.

use std::collections::HashMap;

use protocol::{Id, RpcError, error::PlayLimit, message};
use serde::Serialize;

/// Where the answer to a request goes.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// The id to answer under; null without one.
    pub(crate) id: Option<Id>,
    /// False for a notification.
    pub(crate) is_answered: bool,
    /// The batch that it came in.
    pub(crate) batch: Option<u64>,
}

/// The batches that are not fully answered.
#[derive(Debug)]
pub(crate) struct Answers {
    batches: HashMap<u64, Batch>,
    opened: u64,
    max_batch_kib: u64,
}

#[derive(Debug)]
struct Batch {
    missing: usize,
    responses: Vec<String>,
    bytes_left: u64,
}

impl Answers {
    /// The results of one batch together may have that many KiB.
    pub(crate) fn new(max_batch_kib: u64) -> Self {
        Self { batches: HashMap::new(), opened: 0, max_batch_kib }
    }

    /// Opens a batch of which so many members are answered; `None` if that is none.
    pub(crate) fn open_batch(&mut self, missing: usize) -> Option<u64> {
        if missing == 0 {
            return None;
        }
        self.opened += 1;
        let bytes_left = self.max_batch_kib.saturating_mul(1024);
        self.batches.insert(self.opened, Batch { missing, responses: Vec::with_capacity(missing), bytes_left });
        Some(self.opened)
    }

    /// What is to be sent once this request is answered, if anything is.
    pub(crate) fn settle(&mut self, ticket: &Ticket, result: Result<&impl Serialize, &RpcError>) -> Option<String> {
        if !ticket.is_answered {
            return None;
        }
        let is_result = result.is_ok();
        let response = message::response(ticket.id.as_ref(), result);
        let Some(number) = ticket.batch else { return Some(response) };
        let batch = self.batches.get_mut(&number)?;
        let response = match batch.bytes_left.checked_sub(response.len() as u64) {
            Some(left) => {
                batch.bytes_left = left;
                response
            }
            None if is_result => {
                let error = RpcError::LimitExceeded { limit: PlayLimit::Output, max: self.max_batch_kib };
                message::response(ticket.id.as_ref(), Err::<&(), _>(&error))
            }
            None => response,
        };
        batch.responses.push(response);
        batch.missing -= 1;
        if batch.missing > 0 {
            return None;
        }
        self.batches.remove(&number).map(|batch| message::batch(&batch.responses))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(id: u64, batch: Option<u64>) -> Ticket {
        Ticket { id: Some(Id::number(id)), is_answered: true, batch }
    }

    #[test]
    fn a_batch_is_answered_once_its_last_member_is() {
        let mut answers = Answers::new(1);
        let batch = answers.open_batch(2);
        assert_eq!(answers.settle(&ticket(1, batch), Ok(&1)), None);
        let silent = Ticket { id: None, is_answered: false, batch };
        assert_eq!(answers.settle(&silent, Ok(&5)), None);
        let text = answers.settle(&ticket(2, batch), Err::<&(), _>(&RpcError::Cancelled)).expect("the last");
        let array: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&array[0]["result"], &array[1]["error"]["code"]), (&1.into(), &(-32005).into()));
        assert!(answers.batches.is_empty());
    }

    #[test]
    fn a_batch_of_notifications_is_not_answered() {
        assert_eq!(Answers::new(1).open_batch(0), None);
    }

    #[test]
    fn the_results_of_a_batch_are_bounded_together() {
        let mut answers = Answers::new(1);
        let batch = answers.open_batch(3);
        let long = "x".repeat(600);
        answers.settle(&ticket(1, batch), Ok(&long));
        answers.settle(&ticket(2, batch), Ok(&long));
        let text = answers.settle(&ticket(3, batch), Ok(&"short")).expect("the last");
        let array: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(array[0]["result"], long);
        assert_eq!(array[1]["error"]["data"]["limit"], "output");
        assert_eq!(array[2]["result"], "short");
    }
}
