//! The host calls of one play: the call that the play waits for, and the end hooks of the modules that it called.

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::task::{JoinError, JoinHandle};
use worker::{HostCall, HostReturn};

use crate::{
    circle::{Circle, SessionLimits},
    host::{self, EndHookError, ModuleInstance, PlayEnd},
    metrics::HostCallOutcome,
    quota::Caller,
};

/// The host calls of one play; made at its first call.
pub(super) struct HostCalls {
    circle: Arc<Circle>,
    limits: Arc<SessionLimits>,
    caller: Caller,
    play: host::PlayContext,
    /// The modules that the play called, by their index, in the order of its first calls.
    modules: Vec<(usize, Arc<dyn ModuleInstance>)>,
    calls: u64,
    /// The call for which the play waits: the number of the function, for the log, and its task.
    running: Option<(u32, JoinHandle<CallEnd>)>,
    end_hooks: Option<JoinHandle<Result<(), EndHookError>>>,
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
pub(super) enum CallRejection {
    /// The play has made too many calls.
    TooManyCalls,
    /// The caller has too many detached calls.
    TooManyDetached,
}

/// The return of a call, for the player.
#[derive(Debug)]
pub(super) enum CallReturn {
    /// A value or an error for the script.
    Script(HostReturn),
    /// The result is too large.
    TooLarge,
    /// The worker sent a malformed call.
    Malformed,
}

impl HostCalls {
    pub(super) fn new(
        circle: Arc<Circle>,
        limits: Arc<SessionLimits>,
        caller: Caller,
        play: host::PlayContext,
    ) -> Self {
        Self {
            circle,
            limits,
            caller,
            play,
            modules: Vec::new(),
            calls: 0,
            running: None,
            end_hooks: None,
            has_ended: false,
        }
    }

    /// Starts a call; [`next_return`](Self::next_return) waits for it.
    pub(super) fn start(&mut self, call: HostCall) -> Result<(), CallRejection> {
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
            let future = match serde_json::from_str::<Vec<&RawValue>>(&call.args) {
                Ok(args) if args.len() == params => instance.call(function, play, &args),
                _ => return CallEnd::Malformed,
            };
            match future {
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

    /// Returns the return of the current call; never returns without one. Cancel safe.
    pub(super) async fn next_return(&mut self) -> CallReturn {
        let Some((number, task)) = &mut self.running else { return std::future::pending().await };
        let (number, ended) = (*number, task.await);
        self.running = None;
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
        match result {
            Ok(json) if json.len() as u64 > max => CallReturn::TooLarge,
            Ok(json) => CallReturn::Script(HostReturn::Value(json)),
            Err(error) => {
                if (error.message.len() + error.data.as_ref().map_or(0, String::len)) as u64 > max {
                    return CallReturn::TooLarge;
                }
                CallReturn::Script(HostReturn::Failed(error))
            }
        }
    }

    /// Detaches the running call: the play no longer waits for it, and the function continues for as long as it takes.
    /// The function can observe that its play is cancelled.
    pub(super) fn detach(&mut self) {
        self.play.cancelled.cancel();
        if let Some((_, task)) = self.running.take() {
            self.circle.metrics.count_host_call(HostCallOutcome::Abandoned);
            self.circle.host.tasks.detach(self.caller, task);
        }
    }

    /// Starts the end hooks of the modules that the play called, once. Returns false if no module has one; otherwise
    /// [`end_hooks`](Self::end_hooks) waits for them. Hooks that nobody waits for count as a detached call.
    pub(super) fn start_end_hooks(&mut self, end: PlayEnd) -> bool {
        self.detach();
        self.has_ended = true;
        let mut modules = std::mem::take(&mut self.modules);
        modules.retain(|(index, _)| self.circle.host.modules[*index].has_end_hook());
        if modules.is_empty() {
            return false;
        }
        let circle = self.circle.clone();
        self.end_hooks = Some(self.circle.host.tasks.spawn(async move {
            let (mut end, mut result) = (end, Ok(()));
            for (index, instance) in modules {
                // Each hook runs in a task of its own, so that its panic does not stop the others.
                let hook = circle.host.tasks.spawn(async move {
                    match instance.run_end_hook(end) {
                        Some(hook) => hook.await,
                        None => Ok(()),
                    }
                });
                let hook_result = hook.await.unwrap_or_else(|error| {
                    tracing::error!(%error, "end hook panicked");
                    Err(host::Error::hidden())
                });
                if let Err(error) = hook_result
                    && end.is_success()
                {
                    let module = circle.host.modules[index].offered().name.clone();
                    (end, result) = (PlayEnd::Failed, Err(EndHookError { module, error }));
                }
            }
            result
        }));
        true
    }

    /// Returns the result of the running end hooks; never returns without any. Cancel safe.
    pub(super) async fn end_hooks(&mut self) -> Result<(), EndHookError> {
        let Some(hooks) = &mut self.end_hooks else { return std::future::pending().await };
        let result = hooks.await;
        self.end_hooks = None;
        // The task fails only when the program's runtime shuts down.
        result.unwrap_or(Ok(()))
    }
}

/// Runs the end hooks of a play without a finish, because its connection has ended.
impl Drop for HostCalls {
    fn drop(&mut self) {
        if !self.has_ended {
            self.start_end_hooks(PlayEnd::Disconnected);
        }
        if let Some(hooks) = self.end_hooks.take() {
            self.circle.host.tasks.detach(self.caller, hooks);
        }
    }
}
