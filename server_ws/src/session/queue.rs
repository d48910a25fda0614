//! The queue of a session: plays and resets that wait for an earlier job, within bounds. Pure.

use std::{collections::VecDeque, sync::Arc};

use keys::PublicKey;
use protocol::{Id, Limits, RpcError, error::BusyLimit, methods::PlayParams};

use super::ticket::Ticket;

/// A job of a session. Jobs run one at a time, in the order in which they were enqueued.
#[derive(Debug)]
pub(crate) enum Job {
    /// A script.
    Play {
        params: Arc<PlayParams>,
        /// The session's key at the admission of the play.
        caller: Option<PublicKey>,
    },
    /// A fresh environment.
    Reset,
}

impl Job {
    fn bytes(&self) -> u64 {
        match self {
            Self::Play { params, .. } => (params.script.len() + params.name.as_ref().map_or(0, String::len)) as u64,
            Self::Reset => 0,
        }
    }
}

#[derive(Debug)]
pub(super) struct QueuedJob {
    pub(super) ticket: Ticket,
    pub(super) job: Job,
}

/// What the player has that counts towards the bounds of the queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlayerLoad {
    pub(super) is_idle: bool,
    /// The number of plays that were sent ahead.
    pub(super) ahead: u64,
    /// The bytes of the scripts that were sent ahead.
    pub(super) ahead_bytes: u64,
}

#[derive(Debug)]
pub(super) struct JobQueue {
    jobs: VecDeque<QueuedJob>,
    bytes: u64,
    max_jobs: u64,
    max_kib: u64,
}

impl JobQueue {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { jobs: VecDeque::new(), bytes: 0, max_jobs: limits.queued_plays, max_kib: limits.queued_kib }
    }

    /// Enqueues a job. While the player is idle, the first job does not have to wait, so no bound refuses it. Plays that
    /// were sent ahead to the worker still wait.
    pub(super) fn enqueue(&mut self, ticket: Ticket, job: Job, player: PlayerLoad) -> Result<(), (Ticket, RpcError)> {
        let must_wait = !player.is_idle || !self.jobs.is_empty();
        let busy = |max| RpcError::Busy { limit: BusyLimit::Queued, max, retry_after_ms: None };
        if must_wait && self.jobs.len() as u64 + player.ahead >= self.max_jobs {
            return Err((ticket, busy(self.max_jobs)));
        }
        if must_wait && self.bytes + player.ahead_bytes + job.bytes() > self.max_kib.saturating_mul(1024) {
            return Err((ticket, busy(self.max_kib)));
        }
        self.bytes += job.bytes();
        self.jobs.push_back(QueuedJob { ticket, job });
        Ok(())
    }

    pub(super) fn dequeue(&mut self) -> Option<QueuedJob> {
        let queued = self.jobs.pop_front()?;
        self.bytes -= queued.job.bytes();
        Some(queued)
    }

    /// Returns the bytes of the queued scripts.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn has_jobs(&self) -> bool {
        !self.jobs.is_empty()
    }

    pub(super) fn is_reset_next(&self) -> bool {
        self.jobs.front().is_some_and(|queued| matches!(queued.job, Job::Reset))
    }

    /// Returns the next job if it is a play: the play, and its caller.
    pub(super) fn next_play(&self) -> Option<(&PlayParams, Option<PublicKey>)> {
        match &self.jobs.front()?.job {
            Job::Play { params, caller } => Some((params, *caller)),
            Job::Reset => None,
        }
    }

    pub(super) fn is_play_next(&self) -> bool {
        self.next_play().is_some()
    }

    pub(super) fn has_play(&self, id: &Id) -> bool {
        self.position(id).is_some()
    }

    /// Removes a play from the queue before it runs.
    pub(super) fn remove_play(&mut self, id: &Id) -> Option<QueuedJob> {
        let removed = self.jobs.remove(self.position(id)?)?;
        self.bytes -= removed.job.bytes();
        Some(removed)
    }

    fn position(&self, id: &Id) -> Option<usize> {
        self.jobs.iter().position(|queued| matches!(queued.job, Job::Play { .. }) && queued.ticket.has_id(id))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::ticket::ReplyTo, *};

    fn play(script: &str) -> Job {
        Job::Play {
            params: Arc::new(PlayParams { script: script.into(), timeout_ms: None, bind: None, name: None }),
            caller: None,
        }
    }

    const IDLE: PlayerLoad = PlayerLoad { is_idle: true, ahead: 0, ahead_bytes: 0 };
    const BUSY: PlayerLoad = PlayerLoad { is_idle: false, ..IDLE };

    fn ticket(id: u64) -> Ticket {
        Ticket::new(ReplyTo::Id(Id::number(id)), None).into_play(None)
    }

    #[test]
    fn queue_is_bounded_in_number_and_bytes() {
        let limits = Limits { queued_plays: 2, queued_kib: 1, ..Limits::default() };
        let mut queue = JobQueue::new(&limits);
        queue.enqueue(ticket(1), play(&"x".repeat(600)), BUSY).expect("room");
        assert!(queue.enqueue(ticket(2), play(&"x".repeat(600)), BUSY).is_err());
        queue.enqueue(ticket(3), Job::Reset, BUSY).expect("room");
        assert!(queue.enqueue(ticket(4), Job::Reset, BUSY).is_err());
        queue.dequeue().expect("the first");
        queue.enqueue(ticket(5), play(&"x".repeat(600)), BUSY).expect("room again");
    }

    #[test]
    fn queue_accepts_when_idle() {
        let mut queue = JobQueue::new(&Limits { queued_plays: 0, queued_kib: 0, ..Limits::default() });
        assert!(queue.enqueue(ticket(1), play("x"), BUSY).is_err());
        queue.enqueue(ticket(2), play("x"), IDLE).expect("nothing runs");
        assert!(queue.enqueue(ticket(3), play("x"), IDLE).is_err());
    }

    #[test]
    fn plays_sent_ahead_count_towards_bounds() {
        let mut queue = JobQueue::new(&Limits { queued_plays: 2, queued_kib: 1, ..Limits::default() });
        assert!(queue.enqueue(ticket(1), play("x"), PlayerLoad { ahead: 2, ..BUSY }).is_err());
        assert!(queue.enqueue(ticket(2), play("x"), PlayerLoad { ahead: 1, ahead_bytes: 1024, ..BUSY }).is_err());
        queue.enqueue(ticket(3), play("x"), PlayerLoad { ahead: 1, ahead_bytes: 1023, ..BUSY }).expect("room");
    }

    #[test]
    fn queue_finds_only_plays_by_their_id() {
        let mut queue = JobQueue::new(&Limits::default());
        queue.enqueue(ticket(1), Job::Reset, BUSY).expect("room");
        queue.enqueue(ticket(2), play("x"), BUSY).expect("room");
        assert!(!queue.has_play(&Id::number(1)) && queue.has_play(&Id::number(2)));
        assert!(queue.remove_play(&Id::number(1)).is_none());
        assert!(queue.remove_play(&Id::number(2)).is_some() && !queue.has_play(&Id::number(2)));
    }
}
