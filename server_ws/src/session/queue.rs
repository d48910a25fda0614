//! Plays and resets that wait for the one before, within bounds. Pure.

use std::{collections::VecDeque, sync::Arc};

use keys::PublicKey;
use protocol::{Id, Limits, RpcError, error::BusyLimit, methods::PlayParams};

use super::batches::Ticket;

/// What is done one at a time, in the order of admission.
#[derive(Debug)]
pub(crate) enum Job {
    /// A script, as that caller.
    Play {
        /// As they were sent.
        params: Arc<PlayParams>,
        /// Who the session was when it was admitted.
        caller: Option<PublicKey>,
    },
    /// A fresh environment.
    Reset,
}

impl Job {
    fn bytes(&self) -> u64 {
        match self {
            Self::Play { params, .. } => params.script.len() as u64,
            Self::Reset => 0,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) ticket: Ticket,
    pub(crate) job: Job,
}

#[derive(Debug)]
pub(crate) struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: u64,
    max_jobs: u64,
    max_kib: u64,
}

impl Queue {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { waiting: VecDeque::new(), bytes: 0, max_jobs: limits.queued_plays, max_kib: limits.queued_kib }
    }

    /// Admits a job behind those that wait. `is_idle`: nothing runs, so that the first in the queue waits for nothing.
    pub(crate) fn push(&mut self, ticket: Ticket, job: Job, is_idle: bool) -> Result<(), (Ticket, RpcError)> {
        let must_wait = !is_idle || !self.waiting.is_empty();
        let busy = |max| RpcError::Busy { limit: BusyLimit::Queued, max, retry_after_ms: None };
        if must_wait && self.waiting.len() as u64 >= self.max_jobs {
            return Err((ticket, busy(self.max_jobs)));
        }
        if must_wait && self.bytes + job.bytes() > self.max_kib.saturating_mul(1024) {
            return Err((ticket, busy(self.max_kib)));
        }
        self.bytes += job.bytes();
        self.waiting.push_back(Waiting { ticket, job });
        Ok(())
    }

    pub(crate) fn pop(&mut self) -> Option<Waiting> {
        let next = self.waiting.pop_front()?;
        self.bytes -= next.job.bytes();
        Some(next)
    }

    pub(crate) fn is_reset_next(&self) -> bool {
        self.waiting.front().is_some_and(|next| matches!(next.job, Job::Reset))
    }

    pub(crate) fn has_play(&self, id: &Id) -> bool {
        self.position(id).is_some()
    }

    /// Takes a play out before its turn.
    pub(crate) fn remove_play(&mut self, id: &Id) -> Option<Waiting> {
        let removed = self.waiting.remove(self.position(id)?)?;
        self.bytes -= removed.job.bytes();
        Some(removed)
    }

    fn position(&self, id: &Id) -> Option<usize> {
        self.waiting
            .iter()
            .position(|waiting| matches!(waiting.job, Job::Play { .. }) && waiting.ticket.id.as_ref() == Some(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(script: &str) -> Job {
        Job::Play { params: Arc::new(PlayParams { script: script.into(), timeout_ms: None, bind: None }), caller: None }
    }

    fn ticket(id: u64) -> Ticket {
        Ticket { id: Some(Id::number(id)), is_answered: true, is_play: true, batch: None, audited: None }
    }

    #[test]
    fn what_waits_is_bounded_in_number_and_bytes() {
        let limits = Limits { queued_plays: 2, queued_kib: 1, ..Limits::default() };
        let mut queue = Queue::new(&limits);
        queue.push(ticket(1), play(&"x".repeat(600)), false).expect("room");
        assert!(queue.push(ticket(2), play(&"x".repeat(600)), false).is_err());
        queue.push(ticket(3), Job::Reset, false).expect("room");
        assert!(queue.push(ticket(4), Job::Reset, false).is_err());
        queue.pop().expect("the first");
        queue.push(ticket(5), play(&"x".repeat(600)), false).expect("room again");
    }

    #[test]
    fn what_need_not_wait_is_not_refused() {
        let mut queue = Queue::new(&Limits { queued_plays: 0, queued_kib: 0, ..Limits::default() });
        assert!(queue.push(ticket(1), play("x"), false).is_err());
        queue.push(ticket(2), play("x"), true).expect("nothing runs");
        assert!(queue.push(ticket(3), play("x"), true).is_err());
    }

    #[test]
    fn only_plays_are_found_by_their_id() {
        let mut queue = Queue::new(&Limits::default());
        queue.push(ticket(1), Job::Reset, false).expect("room");
        queue.push(ticket(2), play("x"), false).expect("room");
        assert!(!queue.has_play(&Id::number(1)) && queue.has_play(&Id::number(2)));
        assert!(queue.remove_play(&Id::number(1)).is_none());
        assert!(queue.remove_play(&Id::number(2)).is_some() && !queue.has_play(&Id::number(2)));
    }
}
