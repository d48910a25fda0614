//! The host calls of one play: the call that the play waits for, its output, and the modules that the play called.

use std::sync::Arc;

use tokio::{
    sync::mpsc::UnboundedReceiver,
    task::{JoinError, JoinHandle},
    time::Instant,
};
use worker::{HostCall, HostReturn};

use super::play_end::{EndError, PlayEnding};
use crate::{
    circle::{Circle, SessionLimits},
    host::{self, HostPrint, ModuleInstance, PlayEnd},
    metrics::HostCallOutcome,
    quota::Caller,
};

/// The host calls of one play; made at its first call.
pub(crate) struct HostCalls {
    circle: Arc<Circle>,
    limits: Arc<SessionLimits>,
    caller: Caller,
    play: host::PlayContext,
    /// What the functions print.
    prints: UnboundedReceiver<HostPrint>,
    /// The modules that the play called, by their index.
    modules: Vec<(usize, Arc<dyn ModuleInstance>)>,
    calls: u64,
    /// The call for which the play waits: the number of the function, for the log, and its task.
    running: Option<(u32, JoinHandle<CallEnd>)>,
    /// The return of the running call, while prints that came before are still to be handled.
    returned: Option<(u32, Result<CallEnd, JoinError>)>,
    ending: Option<PlayEnding>,
    has_ended: bool,
}

/// How the task of a call ended.
#[derive(Debug)]
enum CallEnd {
    Returned(Result<String, host::Error>),
    /// The function did not run: the arguments are not what a correct worker sends.
    Malformed,
}

/// Why a call is rejected and the play is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallRejection {
    /// The play has made too many calls.
    TooManyCalls,
    /// The caller has too many detached calls.
    TooManyDetached,
}

/// An event of the running call, for the player.
#[derive(Debug)]
pub(crate) enum CallEvent {
    Printed(HostPrint),
    Returned(CallReturn),
}

/// The return of a call, for the player.
#[derive(Debug)]
pub(crate) enum CallReturn {
    /// A value or an error for the script.
    Script(HostReturn),
    /// The result is too large.
    TooLarge,
    /// The worker sent a malformed call.
    Malformed,
}

impl HostCalls {
    pub(crate) fn new(
        circle: Arc<Circle>,
        limits: Arc<SessionLimits>,
        caller: Caller,
        play: host::PlayContext,
        prints: UnboundedReceiver<HostPrint>,
    ) -> Self {
        Self {
            circle,
            limits,
            caller,
            play,
            prints,
            modules: Vec::new(),
            calls: 0,
            running: None,
            returned: None,
            ending: None,
            has_ended: false,
        }
    }

    /// Starts a call; [`next_event`](Self::next_event) waits for it.
    pub(crate) fn start(&mut self, call: HostCall) -> Result<(), CallRejection> {
        self.calls += 1;
        let rejection = if self.calls > self.limits.values.host_calls {
            Some(CallRejection::TooManyCalls)
        } else {
            self.circle.host.tasks.has_too_many_detached(self.caller).then_some(CallRejection::TooManyDetached)
        };
        if let Some(rejection) = rejection {
            self.circle.metrics.count_host_call(HostCallOutcome::Refused);
            return Err(rejection);
        }
        let (module, function) = self.circle.host.function(call.function);
        let number = call.function;
        let instance = self.instance(module);
        let (play, grant) = (self.play.clone(), self.circle.host.tasks.acquire(self.caller));
        let params = self.circle.host.modules[module].offered().functions[function].params.len();
        let task = async move {
            let _grant = match grant {
                Ok(grant) => grant,
                Err(waiter) => tokio::select! {
                    biased;
                    // The function has not started, so it does not run at all.
                    () = play.cancelled.cancelled() => return CallEnd::Returned(Err(host::Error::hidden())),
                    // The circle holds the sender.
                    Ok(grant) = waiter => grant,
                    else => return CallEnd::Returned(Err(host::Error::hidden())),
                },
            };
            let Some(args) = call.arguments(params) else { return CallEnd::Malformed };
            match instance.call(function, play, &args) {
                Ok(future) => CallEnd::Returned(future.await),
                Err(error) => CallEnd::Returned(Err(error)),
            }
        };
        self.running = Some((number, self.circle.host.tasks.spawn(task)));
        Ok(())
    }

    fn instance(&mut self, index: usize) -> Arc<dyn ModuleInstance> {
        if let Some((_, instance)) = self.modules.iter().find(|(module_index, _)| *module_index == index) {
            return instance.clone();
        }
        let instance = self.circle.host.modules[index].clone().instantiate();
        self.modules.push((index, instance.clone()));
        instance
    }

    /// Returns the next print or the return of the running call; never returns without a call. Prints come before the
    /// return. Cancel safe.
    pub(crate) async fn next_event(&mut self) -> CallEvent {
        if let Some((number, task)) = &mut self.running {
            let number = *number;
            tokio::select! {
                biased;
                Some(print) = self.prints.recv() => return CallEvent::Printed(print),
                ended = task => self.returned = Some((number, ended)),
            }
            self.running = None;
        }
        if let Ok(print) = self.prints.try_recv() {
            return CallEvent::Printed(print);
        }
        let Some((number, ended)) = self.returned.take() else { return std::future::pending().await };
        self.play.output.clear_progress();
        CallEvent::Returned(self.returned(number, ended))
    }

    /// Returns a print that has already arrived.
    pub(crate) fn arrived_print(&mut self) -> Option<HostPrint> {
        self.prints.try_recv().ok()
    }

    /// Returns the progress that the running call has reported.
    pub(crate) fn progress(&self) -> Option<worker::ScriptProgress> {
        self.play.output.progress()
    }

    fn returned(&self, number: u32, ended: Result<CallEnd, JoinError>) -> CallReturn {
        let returned = self.check(number, ended);
        self.circle.metrics.count_host_call(match &returned {
            CallReturn::Script(HostReturn::Value(_)) => HostCallOutcome::Ok,
            CallReturn::Script(_) => HostCallOutcome::Failed,
            CallReturn::TooLarge => HostCallOutcome::TooLarge,
            CallReturn::Malformed => HostCallOutcome::Unreadable,
        });
        returned
    }

    fn check(&self, number: u32, ended: Result<CallEnd, JoinError>) -> CallReturn {
        let result = match ended {
            Ok(CallEnd::Returned(result)) => result,
            Ok(CallEnd::Malformed) => return CallReturn::Malformed,
            Err(error) => {
                tracing::error!(function = self.circle.host.name(number), %error, "host function panicked");
                Err(host::Error::hidden())
            }
        };
        let max = self.limits.values.host_kib.saturating_mul(1024);
        let returned = match result {
            Ok(json) => HostReturn::Value(json),
            Err(error) => HostReturn::Failed(error),
        };
        if returned.bytes() > max { CallReturn::TooLarge } else { CallReturn::Script(returned) }
    }

    /// Detaches the running call: the play no longer waits for it, and the function continues for as long as it takes.
    /// The function can observe that its play is cancelled.
    pub(crate) fn detach(&mut self) {
        self.play.cancelled.cancel();
        self.prints.close();
        while self.prints.try_recv().is_ok() {}
        if let Some((_, task)) = self.running.take() {
            self.circle.metrics.count_host_call(HostCallOutcome::Abandoned);
            self.circle.host.tasks.detach(self.caller, task);
        }
    }

    /// Starts the end of the transactions of the play, once; `deadline` is that of a play that has succeeded. Returns
    /// false if there are none; otherwise [`end`](Self::end) waits for them. An end that nobody waits for counts as a
    /// detached call.
    pub(crate) fn start_end(&mut self, end: PlayEnd, deadline: Option<Instant>) -> bool {
        self.detach();
        self.has_ended = true;
        let mut modules = std::mem::take(&mut self.modules);
        modules.retain(|(_, instance)| instance.needs_end());
        if modules.is_empty() {
            return false;
        }
        modules.sort_by_key(|(index, _)| *index);
        self.ending = Some(PlayEnding::start(&self.circle, modules, end, deadline));
        true
    }

    /// Waits for the end of the transactions, and returns whether the play succeeds. Never returns without
    /// transactions that end. Cancel safe.
    pub(crate) async fn end(&mut self) -> Result<(), EndError> {
        let Some(ending) = &mut self.ending else { return std::future::pending().await };
        let result = ending.wait().await;
        if let Some(ending) = self.ending.take() {
            ending.detach(&self.circle, self.caller);
        }
        result
    }

    /// Shortens the wait for the end, because the circle shuts down.
    pub(crate) fn shut_down(&mut self) {
        if let Some(ending) = &mut self.ending {
            ending.shut_down();
        }
    }
}

/// Ends the transactions of a play without a finish, because its connection has ended.
impl Drop for HostCalls {
    fn drop(&mut self) {
        if !self.has_ended {
            self.start_end(PlayEnd::Disconnected, None);
        }
        if let Some(ending) = self.ending.take() {
            ending.detach(&self.circle, self.caller);
        }
    }
}
