//! The plays that are sent to the worker ahead of their start, so that a pipelining client does not pay two wake-ups for
//! each play.
//!
//! They share one grant, which passes from each play to the next. If another caller waits for a grant, the player holds
//! the worker: the worker pauses after the running play, and the grant goes back.

use keys::PublicKey;
use protocol::{Id, methods::PlayParams};
use tokio::time::Instant;

use super::{Player, PlayerEvent, STOP_GRACE_PERIOD, StopReason, WorkerState, prepare, send};
use crate::{
    quota::Grant,
    session::{queue::PlayerLoad, ticket::Ticket},
};

/// The maximum number of plays that are sent ahead.
const MAX_AHEAD: usize = 16;

/// The maximum number of bytes of their scripts. The worker reads as much at a time.
const MAX_AHEAD_BYTES: u64 = 32 << 10;

impl Player {
    /// Returns the bytes of the scripts that were sent ahead.
    pub(super) fn ahead_bytes(&self) -> u64 {
        self.ahead.iter().map(|play| play.script_bytes).sum()
    }

    pub(in crate::session) fn load(&self) -> PlayerLoad {
        let (ahead, ahead_bytes) = (self.ahead.len() as u64, self.ahead_bytes());
        PlayerLoad { is_idle: self.is_idle(), ahead, ahead_bytes }
    }

    /// Whether the running play or one that was sent ahead has this id.
    pub(crate) fn has_play(&self, id: &Id) -> bool {
        self.is_running(id) || self.ahead.iter().any(|play| play.ticket.has_id(id))
    }

    /// Whether this play may be sent to the worker while another play runs. It must have the caller of the running play,
    /// because they share a grant.
    pub(in crate::session) fn accepts_ahead(&self, params: &PlayParams, caller: Option<PublicKey>) -> bool {
        let (Some(running), WorkerState::Ready(worker, _)) = (&self.play, &self.worker) else { return false };
        !worker.is_holding()
            && !self.is_leaving
            && running.unsent.is_none()
            && running.grant.as_ref().is_some_and(|grant| !self.contention.affects(grant))
            && !self.is_finishing()
            && running.caller == caller
            && self.ahead.len() < MAX_AHEAD
            && self.ahead_bytes() + params.script.len() as u64 <= MAX_AHEAD_BYTES
    }

    /// Queues a play for the worker, behind the running one.
    pub(super) fn send_ahead(&mut self, ticket: Ticket, params: &PlayParams, caller: Option<PublicKey>) {
        let play = self.new_play(ticket, params, caller);
        if let WorkerState::Ready(worker, _) = &mut self.worker {
            prepare(worker, &mut self.prepared, &self.circle, &self.limits, caller);
            send(worker, play.number, params);
        }
        self.ahead.push_back(play);
    }

    /// Sends what is queued for the worker.
    pub(in crate::session) fn flush(&mut self) {
        if let WorkerState::Ready(worker, _) = &mut self.worker {
            worker.flush();
        }
    }

    /// Makes the next play that was sent ahead the running one. Its time starts now.
    pub(super) fn start_next_ahead(&mut self, grant: Option<Grant>, now: Instant) {
        if self.play.is_some() || self.unreported_loss.is_some() {
            return;
        }
        let Some(mut next) = self.ahead.pop_front() else { return };
        let is_held = grant.is_none();
        // A play that was withdrawn while the worker was held had no grant.
        next.take_grant(grant.map_or_else(|| self.acquire_grant(next.caller), Ok), now);
        if is_held && next.grant.is_some() {
            self.resume_worker();
        }
        next.cpu_budget = self.new_cpu_budget(now);
        if next.stop_reason.is_some() {
            next.kill_at = Some(now + STOP_GRACE_PERIOD);
        }
        let is_contended = next.grant.as_ref().is_some_and(|grant| self.contention.affects(grant));
        self.play = Some(next);
        if is_contended {
            self.hold_worker();
        }
    }

    /// Cancels a play that was sent ahead. Returns whether it is being cancelled; `None` if there is no such play.
    pub(in crate::session) fn cancel_ahead(&mut self, id: &Id) -> Option<bool> {
        let at = self.ahead.iter().position(|play| play.ticket.has_id(id))?;
        self.stop_ahead(at, StopReason::Cancelled);
        Some(self.ahead[at].stop_reason == Some(StopReason::Cancelled))
    }

    /// Stops all plays that were sent ahead.
    pub(in crate::session) fn stop_all_ahead(&mut self, reason: StopReason) {
        for at in 0..self.ahead.len() {
            self.stop_ahead(at, reason);
        }
    }

    /// Stops a play that was sent ahead. It finishes once the worker has confirmed that it has not begun, or with its
    /// outcome.
    fn stop_ahead(&mut self, at: usize, reason: StopReason) {
        let play = &mut self.ahead[at];
        if play.stop_reason.is_none()
            && let WorkerState::Ready(worker, _) = &mut self.worker
        {
            play.stop_reason = Some(reason);
            worker.stop(play.number);
        }
    }

    /// Finishes a play that was stopped before it began.
    pub(super) fn finish_withdrawn(&mut self, number: u64) -> Option<PlayerEvent> {
        if let Some(at) = self.ahead.iter().position(|play| play.number == number) {
            let play = self.ahead.remove(at)?;
            let error = self.stop_error(play.stop_reason?, play.max_ms);
            return Some(self.finished(play.ticket, play.caller, Err(error), Instant::now()));
        }
        let play = self.play.take_if(|play| play.number == number)?;
        let error = self.stop_error(play.stop_reason?, play.max_ms);
        Some(self.finish_event(play, Err(error), Instant::now()))
    }

    /// Drops the plays that were sent ahead, because they are lost with their worker. Returns their tickets.
    pub(super) fn take_ahead_tickets(&mut self) -> Vec<Ticket> {
        self.ahead.drain(..).map(|play| play.ticket).collect()
    }

    /// Whether the plays that were sent ahead wait until the transactions of the running play have ended.
    pub(super) fn is_blocked_by_end(&self) -> bool {
        !self.ahead.is_empty()
            // Otherwise they are lost, and the worker is a new one.
            && self.unreported_loss.is_none()
            && self.play.as_ref().is_some_and(|play| play.ending_result.is_some())
    }

    /// Whether the running play shares its grant with plays that were sent ahead, and the worker does not hold them yet.
    pub(super) fn may_hold(&self) -> bool {
        !self.ahead.is_empty()
            && self.play.as_ref().is_some_and(|play| play.grant.is_some())
            && matches!(&self.worker, WorkerState::Ready(worker, _) if !worker.is_holding())
    }

    /// Tells the worker to pause after the running play.
    pub(super) fn hold_worker(&mut self) {
        if self.may_hold()
            && let WorkerState::Ready(worker, _) = &mut self.worker
        {
            worker.hold();
        }
    }

    /// Holds the worker while the client does not read, because the outcomes of its plays stay unread. If others wait for
    /// a grant, they get that of this session: of the plays that were sent, at most the one that had begun still runs.
    pub(in crate::session) fn pause_ahead(&mut self) {
        self.hold_worker();
        if self.may_give_way()
            && let Some(play) = &mut self.play
            && play.grant.as_ref().is_some_and(|grant| self.contention.affects(grant))
        {
            play.grant = None;
        }
    }

    /// Whether the worker is held while the running play has a grant.
    pub(in crate::session) fn may_give_way(&self) -> bool {
        matches!(&self.worker, WorkerState::Ready(worker, _) if worker.is_holding())
            && self.play.as_ref().is_some_and(|play| play.grant.is_some())
    }

    /// Gives the grant back while the worker is held, and waits for another one.
    pub(super) fn release_grant(&mut self) {
        let Some(mut play) = self.play.take_if(|play| play.waiter.is_none()) else { return };
        // The grant goes to the caller who waits, and this play waits behind.
        play.release_grant();
        play.take_grant(self.acquire_grant(play.caller), Instant::now());
        if play.grant.is_some() {
            self.resume_worker();
        }
        self.play = Some(play);
    }

    /// Lets the worker continue after a hold.
    pub(super) fn resume_worker(&mut self) {
        if let WorkerState::Ready(worker, _) = &mut self.worker {
            worker.resume();
        }
    }
}
