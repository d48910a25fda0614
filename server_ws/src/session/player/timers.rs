//! The timers of the player: deadlines, the kill, progress, the CPU budget, and samples of the worker's memory.

use std::time::Duration;

use protocol::{RpcError, error::LossReason};
use tokio::time::Instant;

use super::{Player, PlayerEvent, WorkerState, query_grant::QueryGrant};
use crate::{
    calls::{CpuBudget, PROGRESS_INTERVAL, StopReason},
    quota::MemoryAction,
    session::ticket::Ticket,
};

/// The delay of a memory sample after the use of a worker, and the interval of samples while it plays.
const MEMORY_SAMPLE_INTERVAL: Duration = Duration::from_millis(250);

impl Player {
    /// Returns when [`sample_memory`](Self::sample_memory) is due.
    pub(crate) fn next_memory_sample(&self) -> Option<Instant> {
        // A worker whose play is being stopped need not be evicted as well.
        self.sample_memory_at.filter(|_| matches!(self.worker, WorkerState::Ready(..)) && !self.is_finishing())
    }

    /// Samples the worker's memory, if that is due. If the worker grew and a quota is used up, it is evicted, and the
    /// environment is lost.
    pub(crate) fn sample_memory(&mut self, now: Instant) -> Option<PlayerEvent> {
        let due = self.next_memory_sample().filter(|at| *at <= now)?;
        // Short plays share a sample, and an idle worker is not sampled again.
        self.sample_memory_at = None;
        let is_idle = self.is_idle();
        let WorkerState::Ready(worker, permit) = &mut self.worker else { return None };
        match permit.sample_memory(worker.memory_usage((due - MEMORY_SAMPLE_INTERVAL).into_std())) {
            MemoryAction::Keep if is_idle => return None,
            MemoryAction::Keep | MemoryAction::Watch => {
                self.sample_memory_at = Some(now + MEMORY_SAMPLE_INTERVAL);
                return None;
            }
            MemoryAction::Evict => {}
        }
        tracing::warn!(
            machine = worker.machine(),
            pid = worker.pid(),
            "worker killed: memory quota of the circle or the caller used up"
        );
        self.lose_environment(LossReason::Memory)
    }

    /// Records that the worker is in use, so that its memory is sampled.
    pub(super) fn schedule_memory_sample(&mut self) {
        self.sample_memory_at.get_or_insert_with(|| Instant::now() + MEMORY_SAMPLE_INTERVAL);
    }

    /// Returns when [`tick`](Self::tick) is due. Progress is due only if the session `can_send`.
    pub(crate) fn next_tick(&self, can_send: bool) -> Option<Instant> {
        let play = self.play.as_ref().and_then(|play| play.next_tick(can_send));
        play.into_iter().chain(self.query_grant.next_check()).min()
    }

    /// Expires the queries that are past their deadlines. Returns their tickets, and the error of each. A worker that
    /// does not answer loses its grant.
    pub(crate) fn expire_queries(&mut self, now: Instant) -> Vec<(Ticket, RpcError)> {
        let expired = self.queries.expire(now);
        if !expired.is_empty() {
            self.query_grant = QueryGrant::None;
            self.send_queries();
        }
        expired
    }

    /// Returns the CPU budget of a play that starts now; `None` if the worker already has the lowest priority.
    pub(super) fn new_cpu_budget(&self, now: Instant) -> Option<CpuBudget> {
        let WorkerState::Ready(worker, _) = &self.worker else { return None };
        (!worker.has_low_priority()).then(|| CpuBudget::new(now))
    }

    fn check_cpu_budget(&mut self, now: Instant) {
        if let Some(play) = &mut self.play
            && let Some(budget) = play.cpu_budget.as_mut().filter(|budget| budget.next_check() <= now)
            && let WorkerState::Ready(worker, _) = &mut self.worker
            && budget.is_spent(now, worker)
        {
            play.cpu_budget = None;
            worker.lower_priority();
        }
    }

    /// Handles the timers of the running play and of queries that are due.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<PlayerEvent> {
        self.check_query_budget(now);
        self.check_cpu_budget(now);
        let play = self.play.as_mut()?;
        if play.ending_result.is_some() {
            return None;
        }
        if play.stop_reason.is_some() {
            if play.kill_at.is_some_and(|at| at <= now)
                && let WorkerState::Ready(worker, _) = &mut self.worker
            {
                tracing::warn!(machine = worker.machine(), pid = worker.pid(), "worker killed: play did not stop");
                play.kill_at = None;
                worker.kill();
            }
            return None;
        }
        if play.deadline.is_some_and(|deadline| deadline <= now) {
            return self.stop(StopReason::Time);
        }
        if play.next_progress <= now {
            play.next_progress = now + PROGRESS_INTERVAL;
            if let WorkerState::Ready(worker, _) = &mut self.worker
                && play.ticket.id().is_some()
            {
                worker.request_progress();
            }
        }
        None
    }
}
