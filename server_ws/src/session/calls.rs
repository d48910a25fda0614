//! The calls of functions of a session. They do not wait for its plays, nor its plays for them: they start in order and
//! run side by side.

use std::sync::Arc;

use protocol::{Id, RpcError};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::Instant,
};

use super::{Session, ticket::Ticket};
use crate::{
    calls::{CallEnd, CallReport, CallStopper, FunctionCall, StopReason, log_finish},
    circle_functions::CircleFunction,
    conversion,
    quota::Caller,
};

/// Progress reports that wait for the session; further ones are dropped.
const MAX_REPORTS: usize = 16;

/// The running calls of a session. A session without calls holds one pointer.
#[derive(Debug, Default)]
pub(super) struct SessionCalls(Option<Box<RunningCalls>>);

#[derive(Debug)]
struct RunningCalls {
    /// Each call is a task, so that it goes on while the client does not read. Dropping the set ends them.
    tasks: JoinSet<(u64, CallEnd)>,
    calls: Vec<RunningCall>,
    reports: (mpsc::Sender<CallReport>, mpsc::Receiver<CallReport>),
    started: u64,
    /// The bytes of the arguments of all calls.
    argument_bytes: usize,
}

#[derive(Debug)]
struct RunningCall {
    number: u64,
    ticket: Ticket,
    argument_bytes: usize,
    function: Arc<CircleFunction>,
    caller: Caller,
    started: Instant,
    stopper: CallStopper,
    task: AbortHandle,
}

/// An event of the calls, for the session.
#[derive(Debug)]
pub(super) enum SessionCallEvent {
    Progress(CallReport),
    /// A call has ended.
    Ended(u64, CallEnd),
}

impl Default for RunningCalls {
    fn default() -> Self {
        Self {
            tasks: JoinSet::new(),
            calls: Vec::new(),
            reports: mpsc::channel(MAX_REPORTS),
            started: 0,
            argument_bytes: 0,
        }
    }
}

impl SessionCalls {
    /// Returns the number of calls that have not ended.
    pub(super) fn count(&self) -> usize {
        self.0.as_ref().map_or(0, |running| running.calls.len())
    }

    /// Returns the bytes of the arguments of the calls.
    pub(super) fn held_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |running| running.argument_bytes)
    }

    pub(super) fn has_call(&self, id: &Id) -> bool {
        self.0.as_ref().is_some_and(|running| running.calls.iter().any(|call| call.ticket.has_id(id)))
    }

    /// Stops a call; `None` if there is no call with this id. Otherwise whether it stops for this reason.
    pub(super) fn stop(&self, id: &Id, reason: StopReason) -> Option<bool> {
        let call = self.0.as_ref()?.calls.iter().find(|call| call.ticket.has_id(id))?;
        Some(call.stopper.stop(reason))
    }

    /// Stops all calls.
    pub(super) fn stop_all(&self, reason: StopReason) {
        for call in self.0.iter().flat_map(|running| &running.calls) {
            call.stopper.stop(reason);
        }
    }

    /// Ends all calls at once, because the client is gone.
    pub(super) fn abandon(&mut self) {
        self.0 = None;
    }

    /// Returns the next event; never returns without calls. Cancel safe.
    pub(super) async fn next_event(&mut self) -> SessionCallEvent {
        let Some(running) = self.0.as_mut().filter(|running| !running.calls.is_empty()) else {
            return std::future::pending().await;
        };
        tokio::select! {
            biased;
            Some(report) = running.reports.1.recv() => SessionCallEvent::Progress(report),
            Some(ended) = running.tasks.join_next() => match ended {
                Ok((number, end)) => SessionCallEvent::Ended(number, end),
                Err(error) => {
                    tracing::error!(%error, "call panicked");
                    let end = CallEnd::error(RpcError::Internal);
                    let lost = running.calls.iter().find(|call| call.task.id() == error.id());
                    SessionCallEvent::Ended(lost.map_or(0, |call| call.number), end)
                }
            },
        }
    }
}

impl Session {
    /// Returns the number of calls that have not ended.
    pub(crate) fn running_calls(&self) -> usize {
        self.calls.count()
    }

    /// Starts a call, whose request has this many bytes of arguments.
    pub(crate) fn start_call(
        &mut self,
        ticket: Ticket,
        argument_bytes: usize,
        mut call: FunctionCall,
        stopper: CallStopper,
    ) {
        let running = self.calls.0.get_or_insert_default();
        running.started += 1;
        let number = running.started;
        // A notification has no id, so it gets no reports.
        if ticket.id().is_some() {
            call.report_to(number, running.reports.0.clone());
        }
        let (function, caller, started) = (call.function().clone(), call.quota_caller(), Instant::now());
        let task = running.tasks.spawn(async move { (number, call.run().await) });
        running.argument_bytes += argument_bytes;
        running.calls.push(RunningCall { number, ticket, argument_bytes, function, caller, started, stopper, task });
    }

    /// Handles an event of the calls, after the events of the commit of the call.
    pub(super) async fn take_call_event(&mut self, event: SessionCallEvent) {
        if let SessionCallEvent::Ended(_, CallEnd { revision: Some(revision), .. }) = &event {
            self.events_before_reply(revision.get()).await;
        }
        self.handle_call(event);
    }

    fn handle_call(&mut self, event: SessionCallEvent) {
        let Some(running) = &mut self.calls.0 else { return };
        match event {
            SessionCallEvent::Progress(CallReport { call, started, progress }) => {
                let call = running.calls.iter().find(|running| running.number == call);
                // The report of a call that has just ended is of no use.
                let Some(id) = call.and_then(|call| call.ticket.id()).cloned() else { return };
                if self.outbox.is_empty() {
                    let progress = conversion::progress(id, started, progress);
                    self.notify(&progress);
                }
            }
            SessionCallEvent::Ended(number, CallEnd { result, prints, .. }) => {
                let Some(at) = running.calls.iter().position(|call| call.number == number) else { return };
                let call = running.calls.remove(at);
                running.argument_bytes -= call.argument_bytes;
                if running.calls.is_empty() {
                    self.calls.abandon();
                }
                let function = call.function.name();
                log_finish(&self.circle, call.caller, function, call.started, result.as_ref().err(), None);
                if let Some(id) = call.ticket.id() {
                    for print in prints {
                        self.notify(&conversion::output(id.clone(), print));
                    }
                }
                self.reply_call(&call.ticket, &result);
            }
        }
    }
}
