//! The host functions of one play: the one that it waits for, and the modules that are told how it ends.

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::task::{JoinError, JoinHandle};
use worker::{HostCall, HostError, HostReturn};

use crate::{
    circle::{Circle, SessionLimits},
    host::{self, EndHookError, ModuleInstance, PlayEnd},
    metrics::HostCallEnd,
    quota::Caller,
};

/// Made at a play's first call.
pub(crate) struct Hosting {
    circle: Arc<Circle>,
    limits: Arc<SessionLimits>,
    caller: Caller,
    play: host::Play,
    /// Those that it called, by their index, in the order of its first calls.
    modules: Vec<(usize, Arc<dyn ModuleInstance>)>,
    calls: u64,
    /// The number of the function, for the log, and its task.
    waits_for: Option<(u32, JoinHandle<Called>)>,
    /// Set once modules are to be told how the play ended; taken once they have been.
    telling: Option<Telling>,
    is_told: bool,
}

/// How a function ended, or that it never began.
#[derive(Debug)]
enum Called {
    Ended(Result<String, host::Error>),
    /// What the worker sent as arguments is not what a worker sends.
    Unreadable,
}

/// Why a call is not carried out, and the play ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The play has made as many as it may.
    TooMany,
    /// The caller has left as many functions behind as it may.
    LeftBehind,
}

/// What came of a call that a play waits for.
#[derive(Debug)]
pub(crate) enum Returned {
    /// This is for the script.
    Script(HostReturn),
    /// The result is larger than it may be.
    TooLarge,
    /// The worker is not to be trusted.
    Unreadable,
}

/// Tells modules how a play ended.
type Telling = JoinHandle<Result<(), EndHookError>>;

impl Hosting {
    pub(crate) fn new(circle: Arc<Circle>, limits: Arc<SessionLimits>, caller: Caller, play: host::Play) -> Self {
        Self {
            circle,
            limits,
            caller,
            play,
            modules: Vec::new(),
            calls: 0,
            waits_for: None,
            telling: None,
            is_told: false,
        }
    }

    /// Has a function carried out, for [`returned`](Self::returned) to wait for.
    pub(crate) fn call(&mut self, call: HostCall) -> Result<(), Refusal> {
        self.calls += 1;
        let refused = if self.calls > self.limits.values.host_calls {
            Some(Refusal::TooMany)
        } else {
            self.circle.host.tasks.has_too_many_detached(self.caller).then_some(Refusal::LeftBehind)
        };
        if let Some(refusal) = refused {
            self.circle.metrics.host_call(HostCallEnd::Refused);
            return Err(refusal);
        }
        let (module, function) = self.circle.host.function(call.function);
        let number = call.function;
        let called = self.module(module);
        let (play, place) = (self.play.clone(), self.circle.host.tasks.acquire(self.caller));
        let params = self.circle.host.modules[module].offered().functions[function].params.len();
        let task = async move {
            let _place = match place {
                Ok(place) => place,
                Err(turn) => tokio::select! {
                    biased;
                    // It has not begun, so it need not.
                    () = play.cancelled.cancelled() => return Called::Ended(Err(host::Error::failed())),
                    // The circle has the other end.
                    Ok(place) = turn => place,
                    else => return Called::Ended(Err(host::Error::failed())),
                },
            };
            let future = match serde_json::from_str::<Vec<&RawValue>>(&call.args) {
                Ok(args) if args.len() == params => called.call(function, play, &args),
                _ => return Called::Unreadable,
            };
            match future {
                Ok(future) => Called::Ended(future.await),
                Err(error) => Called::Ended(Err(error)),
            }
        };
        self.waits_for = Some((number, self.circle.host.tasks.spawn(task)));
        Ok(())
    }

    fn module(&mut self, index: usize) -> Arc<dyn ModuleInstance> {
        if let Some((_, module)) = self.modules.iter().find(|(known, _)| *known == index) {
            return module.clone();
        }
        let module = self.circle.host.modules[index].clone().instantiate();
        self.modules.push((index, module.clone()));
        module
    }

    /// What the function that the play waits for came to; never, while it waits for none. Cancel safe.
    pub(crate) async fn returned(&mut self) -> Returned {
        let Some((number, function)) = &mut self.waits_for else { return std::future::pending().await };
        let (number, called) = (*number, function.await);
        self.waits_for = None;
        let returned = self.judge(number, called);
        self.circle.metrics.host_call(match &returned {
            Returned::Script(HostReturn::Value(_)) => HostCallEnd::Ok,
            Returned::Script(_) => HostCallEnd::Failed,
            Returned::TooLarge => HostCallEnd::TooLarge,
            Returned::Unreadable => HostCallEnd::Unreadable,
        });
        returned
    }

    fn judge(&self, number: u32, called: Result<Called, JoinError>) -> Returned {
        let ended = match called {
            Ok(Called::Ended(ended)) => ended,
            Ok(Called::Unreadable) => return Returned::Unreadable,
            Err(error) => {
                tracing::error!(function = self.circle.host.name(number), %error, "a host function panicked");
                Err(host::Error::failed())
            }
        };
        let max = self.limits.values.host_kib.saturating_mul(1024);
        match ended {
            Ok(json) if json.len() as u64 > max => Returned::TooLarge,
            Ok(json) => Returned::Script(HostReturn::Value(json)),
            Err(error) => {
                let data = error.data.map(|data| data.to_string());
                if (error.message.len() + data.as_ref().map_or(0, String::len)) as u64 > max {
                    return Returned::TooLarge;
                }
                Returned::Script(HostReturn::Failed(HostError { message: error.message, data }))
            }
        }
    }

    /// The play waits no more: the function that runs is told so, and runs on for as long as it wants.
    pub(crate) fn abandon(&mut self) {
        self.play.cancelled.cancel();
        if let Some((_, function)) = self.waits_for.take() {
            self.circle.metrics.host_call(HostCallEnd::Abandoned);
            self.circle.host.tasks.detach(self.caller, function);
        }
    }

    /// Has the modules told that ask how their plays ended; they hear it once. False if none does, else
    /// [`told`](Self::told) waits for them. What is dropped before is counted as left behind.
    pub(crate) fn end(&mut self, how: PlayEnd) -> bool {
        self.abandon();
        self.is_told = true;
        let mut modules = std::mem::take(&mut self.modules);
        modules.retain(|(index, _)| self.circle.host.modules[*index].has_end_hook());
        if modules.is_empty() {
            return false;
        }
        let circle = self.circle.clone();
        self.telling = Some(self.circle.host.tasks.spawn(async move {
            let (mut how, mut result) = (how, Ok(()));
            for (index, module) in modules {
                // Each in a task of its own: a panic of one is not the others'.
                let told = circle.host.tasks.spawn(async move {
                    match module.run_end_hook(how) {
                        Some(told) => told.await,
                        None => Ok(()),
                    }
                });
                let told = told.await.unwrap_or_else(|error| {
                    tracing::error!(%error, "a host module panicked at the end of a play");
                    Err(host::Error::failed())
                });
                if let Err(error) = told
                    && how.is_success()
                {
                    let module = circle.host.modules[index].offered().name.clone();
                    (how, result) = (PlayEnd::Failed, Err(EndHookError { module, error }));
                }
            }
            result
        }));
        true
    }

    /// What the modules say that are told; never, while none is. Cancel safe.
    pub(crate) async fn told(&mut self) -> Result<(), EndHookError> {
        let Some(telling) = &mut self.telling else { return std::future::pending().await };
        let told = telling.await;
        self.telling = None;
        // The task only ends otherwise when the program's runtime does.
        told.unwrap_or(Ok(()))
    }
}

/// The connection ended, or the play, before its modules had been told.
impl Drop for Hosting {
    fn drop(&mut self) {
        if !self.is_told {
            self.end(PlayEnd::Disconnected);
        }
        if let Some(telling) = self.telling.take() {
            self.circle.host.tasks.detach(self.caller, telling);
        }
    }
}
