//! The running play: its inputs and its timers.

use std::{sync::Arc, time::Duration};

use keys::PublicKey;
use protocol::{
    RpcError,
    methods::{PlayParams, PlayResult},
};
use tokio::time::{Instant, timeout_at};

use super::{
    cpu_budget::CpuBudget,
    host_calls::{CallReturn, HostCalls},
};
use crate::{
    host::EndHookError,
    metrics::PlayTimer,
    quota::{Grant, Waiter},
    session::ticket::Ticket,
};

/// The delay of the first progress report.
const FIRST_PROGRESS_DELAY: Duration = Duration::from_millis(500);

/// Why a play is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// The client cancelled the play.
    Cancelled,
    /// The play exceeded its time limit.
    Time,
    /// The circle is shutting down.
    Shutdown,
    /// The play made too many host calls.
    HostCalls,
    /// The result of a host function is too large.
    HostBytes,
    /// The caller has too many detached host calls.
    DetachedCalls,
}

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
    /// The CPU budget of the play, and of the plays behind it while its end hooks run; `None` once the worker has the
    /// lowest priority.
    pub(super) cpu_budget: Option<CpuBudget>,
    pub(super) next_progress: Instant,
    pub(super) stop_reason: Option<StopReason>,
    /// When to kill the worker if the play does not stop.
    pub(super) kill_at: Option<Instant>,
    /// `None` before the first host call.
    pub(super) host_calls: Option<HostCalls>,
    pub(super) end_hooks: Option<EndHooks>,
}

/// The wait of a play for its end hooks.
pub(super) struct EndHooks {
    /// The result without them.
    pub(super) result: Result<PlayResult, RpcError>,
    /// When the play finishes without them.
    pub(super) deadline: Option<Instant>,
}

/// An input of a running play.
pub(super) enum PlayInput {
    /// The grant to run; `None` if the circle is gone.
    Granted(Option<Grant>),
    /// The host call has ended.
    HostCall(CallReturn),
    /// The end hooks have run; `None` if they take too long.
    EndHooks(Option<Result<(), EndHookError>>),
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
            end_hooks: None,
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
        if self.end_hooks.is_some() {
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
        let (has_result, deadline) =
            (self.end_hooks.is_some(), self.end_hooks.as_ref().and_then(|hooks| hooks.deadline));
        let host_calls = self.host_calls.as_mut();
        let host = async {
            if has_result {
                PlayInput::EndHooks(end_hooks(host_calls, deadline).await)
            } else {
                PlayInput::HostCall(next_return(host_calls).await)
            }
        };
        tokio::select! {
            grant = grant(self.waiter.as_mut()) => PlayInput::Granted(grant),
            input = host => input,
        }
    }
}

async fn next_return(host_calls: Option<&mut HostCalls>) -> CallReturn {
    match host_calls {
        Some(host_calls) => host_calls.next_return().await,
        None => std::future::pending().await,
    }
}

/// Returns the result of the end hooks; `None` if they take too long.
async fn end_hooks(host_calls: Option<&mut HostCalls>, deadline: Option<Instant>) -> Option<Result<(), EndHookError>> {
    match (host_calls, deadline) {
        (Some(host_calls), Some(deadline)) => timeout_at(deadline, host_calls.end_hooks()).await.ok(),
        (Some(host_calls), None) => Some(host_calls.end_hooks().await),
        (None, _) => std::future::pending().await,
    }
}

async fn grant(waiter: Option<&mut Waiter>) -> Option<Grant> {
    match waiter {
        // The circle holds the sender, and outlives its sessions.
        Some(waiter) => waiter.await.ok(),
        None => std::future::pending().await,
    }
}
