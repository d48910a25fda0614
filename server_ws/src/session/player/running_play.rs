//! The running play: its inputs and its timers.

use std::{sync::Arc, time::Duration};

use keys::PublicKey;
use protocol::{
    RpcError,
    methods::{PlayParams, PlayResult},
};
use store::Revision;
use tokio::time::Instant;

use crate::{
    calls::{CallEvent, CpuBudget, EndError, FIRST_PROGRESS_DELAY, HostCalls, StopReason},
    metrics::PlayTimer,
    quota::{Grant, Waiter},
    session::ticket::Ticket,
};

pub(super) struct RunningPlay {
    pub(super) ticket: Ticket,
    pub(super) caller: Option<PublicKey>,
    /// Held while the play runs.
    pub(super) grant: Option<Grant>,
    /// The wait for the grant, before the play runs.
    pub(super) waiter: Option<Waiter>,
    /// The input for the worker; `None` once it is sent.
    pub(super) unsent: Option<Arc<PlayParams>>,
    pub(super) number: u64,
    /// The bytes of the script, which the play keeps for its audit record.
    pub(super) script_bytes: u64,
    /// The start of the play's time.
    pub(super) started: Instant,
    timer: PlayTimer,
    pub(super) max_ms: u64,
    pub(super) deadline: Option<Instant>,
    /// The CPU budget of the play, and of the plays behind it while its transactions end; `None` once the worker has the
    /// lowest priority.
    pub(super) cpu_budget: Option<CpuBudget>,
    pub(super) next_progress: Instant,
    pub(super) stop_reason: Option<StopReason>,
    /// When to kill the worker if the play does not stop.
    pub(super) kill_at: Option<Instant>,
    /// `None` before the first host call.
    pub(super) host_calls: Option<HostCalls>,
    /// The result of the script, while the transactions of the play end.
    pub(super) ending_result: Option<Result<PlayResult, RpcError>>,
}

/// An input of a running play.
pub(super) enum PlayInput {
    /// The grant to run; `None` if the circle is gone.
    Granted(Option<Grant>),
    HostCall(CallEvent),
    /// The transactions of the play have ended.
    Ended(Result<Option<Revision>, EndError>),
}

impl RunningPlay {
    /// Makes a play without a grant.
    pub(super) fn new(
        number: u64,
        ticket: Ticket,
        script_bytes: u64,
        caller: Option<PublicKey>,
        max_ms: u64,
        timer: PlayTimer,
    ) -> Self {
        let now = Instant::now();
        Self {
            ticket,
            caller,
            grant: None,
            waiter: None,
            script_bytes,
            unsent: None,
            number,
            started: now,
            timer,
            max_ms,
            deadline: None,
            cpu_budget: None,
            next_progress: now,
            stop_reason: None,
            kill_at: None,
            host_calls: None,
            ending_result: None,
        }
    }

    /// Gives the play its grant, which starts its clock, or lets it wait for one.
    pub(super) fn take_grant(&mut self, grant: Result<Grant, Waiter>, now: Instant) {
        match grant {
            Ok(grant) => {
                (self.grant, self.waiter) = (Some(grant), None);
                self.start_clock(now);
            }
            Err(waiter) => self.waiter = Some(waiter),
        }
    }

    /// Takes the grant back before the play begins.
    pub(super) fn release_grant(&mut self) {
        self.grant = None;
        self.timer.reset();
        self.deadline = None;
    }

    /// Starts the clock of the play. The wait for a grant does not count.
    fn start_clock(&mut self, now: Instant) {
        self.started = now;
        self.timer.start(self.started.into_std());
        self.deadline = self.started.checked_add(Duration::from_millis(self.max_ms));
        self.next_progress = self.started + FIRST_PROGRESS_DELAY;
    }

    /// Stops the clock of a play that has finished.
    pub(super) fn stop_clock(&mut self, now: Instant) {
        self.timer.stop(now.into_std());
    }

    /// Returns when the next timer of the play is due. Progress is due only if the session `can_send`.
    pub(super) fn next_tick(&self, can_send: bool) -> Option<Instant> {
        if self.ending_result.is_some() {
            return self.cpu_budget.as_ref().map(CpuBudget::next_check);
        }
        if self.stop_reason.is_some() {
            return self.kill_at;
        }
        let progress = (can_send && self.ticket.id().is_some()).then_some(self.next_progress);
        [self.deadline, self.cpu_budget.as_ref().map(CpuBudget::next_check), progress].into_iter().flatten().min()
    }

    /// Waits for the next input of the play other than from its worker; never returns while there is none. Cancel safe.
    pub(super) async fn next_input(&mut self) -> PlayInput {
        let has_result = self.ending_result.is_some();
        let host_calls = self.host_calls.as_mut();
        let host = async {
            match host_calls {
                Some(host_calls) if has_result => PlayInput::Ended(host_calls.end().await),
                Some(host_calls) => PlayInput::HostCall(host_calls.next_event().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            grant = grant(self.waiter.as_mut()) => PlayInput::Granted(grant),
            input = host => input,
        }
    }
}

async fn grant(waiter: Option<&mut Waiter>) -> Option<Grant> {
    match waiter {
        // The circle holds the sender, and outlives its sessions.
        Some(waiter) => waiter.await.ok(),
        None => std::future::pending().await,
    }
}
