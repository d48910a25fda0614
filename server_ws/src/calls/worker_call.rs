//! The run of a function of the circle in a worker.

use protocol::{RpcError, error::LossReason};
use serde_json::value::RawValue;
use tokio::time::Instant;
use worker::{Call, EvalOutcome, HostReturn, Loss, Print, ProgressReport, Stream, WorkerEvent};

use super::{
    CallEnd, CallEvent, CallRejection, CallReturn, CpuBudget, FIRST_PROGRESS_DELAY, HostCalls, PROGRESS_INTERVAL,
    STOP_GRACE_PERIOD, StopReason,
    call_context::{CallContext, CallOutput, wait_until},
};
use crate::{
    circle_functions::PooledWorker,
    circle_store::Retry,
    conversion,
    host::HostPrint,
    quota::{Grant, Waiter},
};

/// A call that has a worker.
pub(super) struct WorkerCall<'c> {
    call: &'c mut CallContext,
    worker: PooledWorker,
    number: u64,
    host_calls: Option<HostCalls>,
    /// The return of a host call, until the function may compute again.
    returning: Option<(Waiter, HostReturn)>,
    output: CallOutput,
    stopped: Option<StopReason>,
    /// Whether the attempt ends because it has to wait for its turn.
    waits_for_turn: bool,
    kill_at: Option<Instant>,
    next_progress: Instant,
    cpu_budget: Option<CpuBudget>,
}

impl<'c> WorkerCall<'c> {
    pub(super) fn new(call: &'c mut CallContext, mut worker: PooledWorker) -> Self {
        let now = Instant::now();
        Self {
            number: worker.next_call(),
            output: call.output(),
            call,
            worker,
            host_calls: None,
            returning: None,
            stopped: None,
            waits_for_turn: false,
            kill_at: None,
            next_progress: now + FIRST_PROGRESS_DELAY,
            cpu_budget: Some(CpuBudget::new(now)),
        }
    }

    pub(super) async fn run(mut self, function: u32, args: &[worker::Value], _grant: Grant) -> CallEnd {
        let constants = self.call.constants();
        let call = Call { number: self.number, function, args, constants: &constants };
        if let Err(error) = self.worker.worker().call(&call) {
            let function = self.call.callee.name();
            self.call.log_fault(|suppressed| {
                tracing::error!(function, %error, suppressed, "cannot pass arguments to worker");
            });
            return CallEnd::error(RpcError::Internal);
        }
        self.worker.worker().flush();
        let outcome = self.wait_for_outcome().await;
        let is_machine_lost = matches!(outcome, Err(Loss::Unreachable | Loss::Drained)) && self.stopped.is_none();
        let (result, is_healthy) = self.result(outcome);
        self.finish(result, is_healthy, is_machine_lost).await
    }

    /// Waits until the worker reports an outcome or is lost.
    async fn wait_for_outcome(&mut self) -> Result<EvalOutcome, Loss> {
        loop {
            let next_tick = self.next_tick();
            tokio::select! {
                event = self.worker.worker().event() => match event {
                    WorkerEvent::Done { outcome, .. } => return Ok(outcome),
                    // The call was stopped before the worker began it.
                    WorkerEvent::Withdrawn { .. } => return Ok(EvalOutcome::Stopped),
                    WorkerEvent::Lost(loss) => return Err(loss),
                    WorkerEvent::Print(print) => self.keep(print),
                    WorkerEvent::HostCall(call) => self.start_host_call(call),
                    WorkerEvent::Progress(report) => self.report(report),
                    WorkerEvent::Leaving => self.worker.wear_out(),
                    WorkerEvent::Silent { lost_at } => {
                        self.worker.wear_out();
                        if self.leaves_silent_machine(lost_at) {
                            return Err(Loss::Unreachable);
                        }
                    }
                    _ => {}
                },
                event = host_event(self.host_calls.as_mut()) => self.take_host_event(event),
                grant = computing_grant(self.returning.as_mut()) => self.return_to_function(grant),
                reason = self.call.stopper.stopped(), if self.stopped.is_none() => self.stop(reason),
                () = wait_until(next_tick) => self.tick(Instant::now()),
            }
        }
    }

    /// Whether the call gives its worker up, because its time would be over before the silent machine counts as lost. What
    /// the worker has asked for is undone with the transaction, and nobody hears the worker any more, so the call can run
    /// again wherever the machine is.
    fn leaves_silent_machine(&self, lost_at: std::time::Instant) -> bool {
        let has_lasting_effects = self.host_calls.as_ref().is_some_and(HostCalls::has_lasting_effects);
        let lacks_time = self.call.deadline.is_some_and(|deadline| deadline.into_std() <= lost_at);
        lacks_time && self.stopped.is_none() && !self.waits_for_turn && !has_lasting_effects
    }

    fn next_tick(&self) -> Option<Instant> {
        if self.stopped.is_some() || self.waits_for_turn {
            return self.kill_at;
        }
        let progress = self.call.is_reported().then_some(self.next_progress);
        let cpu = self.cpu_budget.as_ref().map(CpuBudget::next_check);
        [self.call.deadline, progress, cpu].into_iter().flatten().min()
    }

    fn tick(&mut self, now: Instant) {
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill_at = None;
            let (worker, function) = (self.worker.worker(), self.call.callee.name());
            self.call.log_fault(|suppressed| {
                tracing::warn!(
                    machine = worker.machine(),
                    pid = worker.pid(),
                    function,
                    suppressed,
                    "worker killed: call did not stop"
                );
            });
            return worker.kill();
        }
        if self.stopped.is_some() || self.waits_for_turn {
            return;
        }
        if self.call.deadline.is_some_and(|deadline| deadline <= now) {
            return self.stop(StopReason::Time);
        }
        if self.next_progress <= now {
            self.next_progress = now + PROGRESS_INTERVAL;
            if self.call.is_reported() {
                self.worker.worker().request_progress();
            }
        }
        if let Some(budget) = self.cpu_budget.as_mut().filter(|budget| budget.next_check() <= now)
            && budget.is_spent(now, self.worker.worker())
        {
            self.cpu_budget = None;
            self.worker.demote();
            // With its low priority, the function takes no processor from the calls that have a grant.
            self.return_to_function(None);
        }
    }

    fn stop(&mut self, reason: StopReason) {
        if self.stopped.is_some() {
            return;
        }
        self.stopped = Some(reason);
        self.kill_at = Some(Instant::now() + STOP_GRACE_PERIOD);
        let number = self.number;
        self.returning = None;
        self.worker.worker().stop(number);
        if let Some(host_calls) = &mut self.host_calls {
            host_calls.detach();
        }
    }

    fn keep(&mut self, print: Print) {
        if self.stopped.is_none() {
            self.output.keep(print);
        }
    }

    fn report(&self, mut progress: ProgressReport) {
        // A late report of the call before is of another caller.
        if progress.play != self.number {
            return;
        }
        if let Some(script) = self.host_calls.as_ref().and_then(HostCalls::progress) {
            progress.script = Some(script);
        }
        self.call.report(progress);
    }

    fn start_host_call(&mut self, call: worker::HostCall) {
        // A call of the store is short, and would not be worth another worker.
        if !self.call.circle.host.is_of_store(call.function) {
            self.worker.stop_computing();
        }
        let context = &*self.call;
        let host_calls = self.host_calls.get_or_insert_with(|| context.host_calls());
        match host_calls.start(call) {
            Ok(()) => {}
            Err(CallRejection::TooManyCalls) => self.stop(StopReason::HostCalls),
            Err(CallRejection::TooManyDetached) => self.stop(StopReason::DetachedCalls),
        }
    }

    fn take_host_event(&mut self, event: CallEvent) {
        match event {
            CallEvent::Printed(HostPrint::Text(text)) => {
                self.keep(Print { play: self.number, stream: Stream::Print, text, position: None });
            }
            CallEvent::Printed(HostPrint::TooMuch) => self.stop(StopReason::HostOutput),
            CallEvent::Returned(CallReturn::Script(returned)) => match self.worker.resume_computing() {
                Ok(()) => self.worker.worker().return_host_call(returned),
                Err(waiter) => self.returning = Some((waiter, returned)),
            },
            CallEvent::Returned(CallReturn::WaitsForTurn) => {
                self.waits_for_turn = true;
                self.kill_at = Some(Instant::now() + STOP_GRACE_PERIOD);
                self.worker.worker().return_host_call(HostReturn::Aborted);
            }
            CallEvent::Returned(CallReturn::TooLarge) => self.stop(StopReason::HostBytes),
            CallEvent::Returned(CallReturn::Malformed) => {
                let worker = self.worker.worker();
                self.call.log_fault(|suppressed| {
                    tracing::error!(
                        machine = worker.machine(),
                        pid = worker.pid(),
                        suppressed,
                        "malformed host call from worker; killing it"
                    );
                });
                worker.kill_as_crashed();
            }
        }
    }

    /// Passes the return of a host call to the function, which computes with this grant.
    fn return_to_function(&mut self, grant: Option<Grant>) {
        if let Some(grant) = grant {
            self.worker.take_computing(grant);
        }
        if let Some((_, returned)) = self.returning.take() {
            self.worker.worker().return_host_call(returned);
        }
    }

    /// Returns the result, and whether the worker may serve further calls.
    fn result(&self, outcome: Result<EvalOutcome, Loss>) -> (Result<Box<RawValue>, RpcError>, bool) {
        let call = &*self.call;
        match (self.stopped, outcome) {
            (Some(StopReason::Time), Err(_)) => {
                self.note_loss(LossReason::Time);
                (Err(call.stop_error(StopReason::Time)), false)
            }
            (_, Err(loss)) => {
                let reason = match loss {
                    // Not the fault of the function: someone else has ended the worker.
                    Loss::Killed | Loss::Unreachable | Loss::Drained => LossReason::Killed,
                    Loss::Memory => LossReason::Memory,
                    _ => LossReason::Crash,
                };
                self.note_loss(reason);
                (Err(RpcError::EnvironmentLost { reason }), false)
            }
            (Some(reason), Ok(_)) => (Err(call.stop_error(reason)), false),
            // The worker has stopped where it waited for the host call, and is as good as before.
            (None, Ok(EvalOutcome::Stopped)) if self.waits_for_turn => (Err(RpcError::Internal), true),
            (None, Ok(EvalOutcome::Value(value))) => (call.value(value.json), true),
            (None, Ok(EvalOutcome::Failed(error))) => (Err(call.script_error(error)), true),
            (None, Ok(outcome)) => (Err(conversion::play_error(outcome)), false),
        }
    }

    /// Records the loss of the worker.
    fn note_loss(&self, reason: LossReason) {
        let call = &*self.call;
        let function = call.callee.name();
        call.log_fault(|suppressed| tracing::warn!(function, %reason, suppressed, "worker of function lost"));
        call.circle.metrics.count_environment_loss(reason);
        // If something else killed the worker, the function is not to blame.
        if matches!(reason, LossReason::Crash | LossReason::Memory | LossReason::Time) {
            call.circle.losses.note_loss(call.caller.caller, Instant::now());
        }
    }

    /// Gives the worker back, and ends the transactions of the call.
    async fn finish(self, result: Result<Box<RawValue>, RpcError>, is_healthy: bool, is_machine_lost: bool) -> CallEnd {
        let Self { call, worker, host_calls, output, stopped, .. } = self;
        if is_healthy {
            worker.give_back();
        } else {
            drop(worker);
        }
        let awaited = host_calls.as_ref().and_then(HostCalls::awaited_turn).filter(|_| stopped.is_none());
        let may_rerun = !host_calls.as_ref().is_some_and(HostCalls::has_lasting_effects);
        let mut end = call.end(host_calls, result, output).await;
        let lost = (is_machine_lost && may_rerun).then_some(Retry::LostMachine);
        end.retry = awaited.map(Retry::Turn).or(end.retry).or(lost);
        end
    }
}

/// Waits for the grant to compute; never returns unless the function waits for one. `None` if the workers are gone.
/// Cancel safe.
async fn computing_grant(returning: Option<&mut (Waiter, HostReturn)>) -> Option<Grant> {
    match returning {
        Some((waiter, _)) => waiter.await.ok(),
        None => std::future::pending().await,
    }
}

/// Waits for an event of the running host call; never returns without one. Cancel safe.
async fn host_event(host_calls: Option<&mut HostCalls>) -> CallEvent {
    match host_calls {
        Some(host_calls) => host_calls.next_event().await,
        None => std::future::pending().await,
    }
}
