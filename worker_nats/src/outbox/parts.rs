//! The parts of setups that wait for the client, behind all other messages.

use std::collections::VecDeque;

use async_nats::{Subject, message::OutboundMessage};
use bytes::Bytes;

use crate::{messages::MAX_PART, peers::message};

/// Maximum number of bytes of all parts that wait.
const MAX_BYTES: usize = 4 << 20;

/// Maximum number of parts that wait.
const MAX_PARTS: usize = MAX_BYTES / MAX_PART;

/// Maximum number of parts that wait for one machine: as many as it requests at once.
const MAX_PARTS_OF_MACHINE: usize = 8;

/// The parts that wait. A machine that requests more than its share delays no other message, and requests the others
/// again.
#[derive(Debug, Default)]
pub(super) struct PartQueue {
    /// Each with the name of its machine.
    parts: VecDeque<(Box<str>, OutboundMessage)>,
}

impl PartQueue {
    /// Adds the part for a subject of a machine, unless it waits already or too many wait.
    pub(super) fn push(&mut self, machine: &str, subject: Subject, encode: impl FnOnce() -> Bytes) {
        let of_machine = self.parts.iter().filter(|(other, _)| &**other == machine);
        let has_room = self.parts.len() < MAX_PARTS && of_machine.clone().count() < MAX_PARTS_OF_MACHINE;
        if has_room && of_machine.into_iter().all(|(_, part)| part.subject != subject) {
            self.parts.push_back((machine.into(), message(subject, None, encode())));
        }
    }

    pub(super) fn pop(&mut self) -> Option<OutboundMessage> {
        self.parts.pop_front().map(|(_, part)| part)
    }

    pub(super) fn clear(&mut self) {
        self.parts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &mut PartQueue, machine: usize, token: usize) {
        let subject = format!("circles.team.worker.m{machine}.inbox.part.{token}").into();
        queue.push(&format!("m{machine}"), subject, || vec![0; MAX_PART].into());
    }

    #[test]
    fn machine_fills_its_share_only() {
        let mut queue = PartQueue::default();
        for token in 0..100 {
            push(&mut queue, 1, token);
        }
        assert_eq!(queue.parts.len(), MAX_PARTS_OF_MACHINE);
        push(&mut queue, 2, 0);
        assert_eq!(queue.parts.len(), MAX_PARTS_OF_MACHINE + 1);
        // What was sent makes room.
        assert!(queue.pop().is_some_and(|part| part.subject.ends_with("m1.inbox.part.0")));
        push(&mut queue, 1, 100);
        assert_eq!(queue.parts.len(), MAX_PARTS_OF_MACHINE + 1);
    }

    #[test]
    fn part_that_is_requested_again_waits_once() {
        let mut queue = PartQueue::default();
        push(&mut queue, 1, 0);
        push(&mut queue, 1, 0);
        assert!(queue.pop().is_some() && queue.pop().is_none());
    }

    #[test]
    fn all_parts_together_are_bounded() {
        let mut queue = PartQueue::default();
        for machine in 0..100 {
            push(&mut queue, machine, 0);
        }
        assert_eq!(queue.parts.iter().map(|(_, part)| part.payload.len()).sum::<usize>(), MAX_BYTES);
        queue.clear();
        assert!(queue.pop().is_none());
    }
}
