//! What the player does when its time has come: deadlines, the kill, progress, and what a worker may take of the machine.

use std::time::Duration;

use protocol::{RpcError, error::LossReason};
use tokio::time::Instant;

use super::{Happened, Player, Slot, running_play::Ending};
use crate::{
    quota::{MemoryAction, kernel},
    session::batches::Ticket,
};

/// How often a play is reported on.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// How long after it was used a worker's memory is looked at, and how often while it plays.
const WEIGH_INTERVAL: Duration = Duration::from_millis(250);

impl Player {
    /// When [`weigh`](Self::weigh) has something to do next.
    pub(crate) fn next_weighing(&self) -> Option<Instant> {
        // One that is made to end is not ended twice.
        self.weigh_at.filter(|_| matches!(self.slot, Slot::Ready(..)) && !self.is_ending())
    }

    /// Looks at the worker's memory, if that is due. Where it grew and there is no room, it is dropped, and lost with it is
    /// what this returns.
    pub(crate) fn weigh(&mut self, now: Instant) -> Option<Happened> {
        self.next_weighing().filter(|at| *at <= now)?;
        // Short plays share a look, and one that does nothing is not looked at again.
        self.weigh_at = None;
        let is_idle = self.is_idle();
        let Slot::Ready(worker, place) = &mut self.slot else { return None };
        match place.sample_memory(worker.pid()) {
            MemoryAction::Keep if is_idle => return None,
            MemoryAction::Keep | MemoryAction::Watch => {
                self.weigh_at = Some(now + WEIGH_INTERVAL);
                return None;
            }
            MemoryAction::Evict => {}
        }
        tracing::warn!(
            pid = worker.pid(),
            "the memory for all or for one caller is used up, a worker that grew is ended"
        );
        Some(self.lose(LossReason::Memory))
    }

    /// Something makes use of the worker.
    pub(super) fn uses(&mut self) {
        self.weigh_at.get_or_insert_with(|| Instant::now() + WEIGH_INTERVAL);
    }

    /// When [`tick`](Self::tick) has something to do next. `is_heard`: the client reads, so progress can be told.
    pub(crate) fn next_tick(&self, is_heard: bool) -> Option<Instant> {
        self.running.as_ref().and_then(|running| running.next_tick(is_heard))
    }

    /// Does what is due. What it returns has ended.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<(Ticket, RpcError)> {
        let running = self.running.as_mut()?;
        if running.telling.is_some() {
            return None;
        }
        if running.ending.is_some() {
            if running.kill_at.is_some_and(|at| at <= now)
                && let Slot::Ready(worker, _) = &mut self.slot
            {
                tracing::warn!(pid = worker.pid(), "a play does not stop, its worker is killed");
                running.kill_at = None;
                worker.kill();
            }
            return None;
        }
        if running.deadline.is_some_and(|deadline| deadline <= now) {
            return self.stop(Ending::Time);
        }
        if let Some(patience) = running.patience.as_mut().filter(|patience| patience.next_look() <= now)
            && let Slot::Ready(worker, _) = &mut self.slot
            && patience.is_over(now, worker.pid().and_then(kernel::computed_by))
        {
            running.patience = None;
            worker.give_way();
        }
        if running.next_progress <= now {
            running.next_progress = now + PROGRESS_INTERVAL;
            if let Slot::Ready(worker, _) = &mut self.slot
                && running.ticket.id.is_some()
            {
                worker.ask_progress();
            }
        }
        None
    }
}
