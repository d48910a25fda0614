//! The host calls of one play: the call that the play waits for, its output, and the modules that the play called.

use std::sync::Arc;

use serde_json::value::RawValue;
use store::Revision;
use tokio::{
    sync::mpsc::UnboundedReceiver,
    task::{JoinError, JoinHandle},
    time::Instant,
};
use worker::{HostCall, HostReturn};

use super::{
    RunStore, StopReason,
    play_end::{EndError, OnceRecord, RunCommit, RunEnding},
};
use crate::{
    audit::PlayCaller,
    circle::{Circle, SessionLimits},
    host::{self, HostPrint, ModuleInstance, PlayEnd},
    metrics::HostCallOutcome,
    quota::Caller,
};

/// The host calls of one play; made at its first call.
pub(crate) struct HostCalls {
    pub(super) circle: Arc<Circle>,
    pub(super) limits: Arc<SessionLimits>,
    pub(super) caller: Caller,
    pub(super) play: host::PlayContext,
    /// What the functions print.
    prints: UnboundedReceiver<HostPrint>,
    /// The modules that the play called, by their index.
    modules: Vec<(usize, Arc<dyn ModuleInstance>)>,
    calls: u64,
    /// The call for which the play waits: its function, for the log, and its task.
    pub(super) running: Option<(CalledFunction, JoinHandle<CallEnd>)>,
    /// The return of the running call, while prints that came before are still to be handled.
    pub(super) returned: Option<(CalledFunction, Result<CallEnd, JoinError>)>,
    /// The transaction of the run; `None` without a store.
    pub(super) transaction: Option<RunStore>,
    /// Whether a module was called whose effects a rerun would repeat.
    pub(super) has_lasting_effects: bool,
    ending: Option<RunEnding>,
    has_ended: bool,
    pub(super) authority: CallAuthority,
    /// The caller of the play for the audit, if auditing is on.
    pub(super) audited_caller: Option<PlayCaller>,
}

/// The function of a call, for the log.
#[derive(Debug, Clone, Copy)]
pub(super) enum CalledFunction {
    /// A function with this number in scripts.
    OfScript(u32),
    /// A function of the circle that the program has: the index of the module, and its own index.
    OfProgram(usize, usize),
}

/// Where the host calls of a run come from.
pub(crate) struct RunOrigin {
    pub(crate) authority: CallAuthority,
    /// The transaction; `None` without a store.
    pub(crate) transaction: Option<RunStore>,
    /// The caller of a play for the audit, if auditing is on.
    pub(crate) audited_caller: Option<PlayCaller>,
}

/// The rights of a script that makes host calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallAuthority {
    /// Those of its caller: a play.
    Caller,
    /// All: a function of the circle.
    Circle,
}

/// How the task of a call ended.
#[derive(Debug)]
pub(super) enum CallEnd {
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
    /// It is the turn of another run to read what this run was about to read first.
    WaitsForTurn,
}

impl HostCalls {
    pub(crate) fn new(
        circle: Arc<Circle>,
        limits: Arc<SessionLimits>,
        caller: Caller,
        play: host::PlayContext,
        prints: UnboundedReceiver<HostPrint>,
        RunOrigin { authority, transaction, audited_caller }: RunOrigin,
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
            transaction,
            has_lasting_effects: false,
            has_ended: false,
            authority,
            audited_caller,
        }
    }

    /// Starts a call; [`next_event`](Self::next_event) waits for it.
    pub(crate) fn start(&mut self, call: HostCall) -> Result<(), CallRejection> {
        if self.circle.host.is_of_store(call.function) {
            self.start_store_call(call);
            return Ok(());
        }
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
        let number = call.function;
        if let Some(index) = (number as usize).checked_sub(self.circle.host.count()) {
            self.start_function(number, index, call.args);
            return Ok(());
        }
        if !self.may_use(number) {
            let refused = host::Error::new("the role of the caller may not use this function").with_code("forbidden");
            let task = self.circle.host.tasks.spawn(async { CallEnd::Returned(Err(refused)) });
            self.running = Some((CalledFunction::OfScript(number), task));
            return Ok(());
        }
        let (module, function) = self.circle.host.function(number);
        self.has_lasting_effects |= !self.circle.host.modules[module].is_rerunnable();
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
        self.running = Some((CalledFunction::OfScript(number), self.circle.host.tasks.spawn(task)));
        Ok(())
    }

    /// Starts a function of the program, as a call of a function of the circle.
    pub(super) fn start_program(
        &mut self,
        module: usize,
        function: usize,
        args: Vec<Box<RawValue>>,
    ) -> Result<(), StopReason> {
        if self.circle.host.tasks.has_too_many_detached(self.caller) {
            return Err(StopReason::DetachedCalls);
        }
        self.has_lasting_effects |= !self.circle.host.modules[module].is_rerunnable();
        let (instance, play) = (self.instance(module), self.play.clone());
        let task = async move {
            let args: Vec<&RawValue> = args.iter().map(|arg| &**arg).collect();
            CallEnd::Returned(match instance.call(function, play, &args) {
                Ok(future) => future.await,
                Err(error) => Err(error),
            })
        };
        self.running = Some((CalledFunction::OfProgram(module, function), self.circle.host.tasks.spawn(task)));
        Ok(())
    }

    /// Whether the script may call a host function.
    fn may_use(&self, number: u32) -> bool {
        if self.authority == CallAuthority::Circle {
            return true;
        }
        let (module, function) = self.circle.host.function(number);
        let offered = self.circle.host.modules[module].offered();
        let rights = self.circle.rights_of(self.play.caller.as_ref());
        rights.role.is_some_and(|role| role.may_use(&offered.name, &offered.functions[function].name))
    }

    pub(super) fn instance(&mut self, index: usize) -> Arc<dyn ModuleInstance> {
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
        if let Some((function, task)) = &mut self.running {
            let function = *function;
            tokio::select! {
                biased;
                Some(print) = self.prints.recv() => return CallEvent::Printed(print),
                ended = task => self.returned = Some((function, ended)),
            }
            self.running = None;
        }
        if let Ok(print) = self.prints.try_recv() {
            return CallEvent::Printed(print);
        }
        let Some((function, ended)) = self.returned.take() else { return std::future::pending().await };
        self.play.output.clear_progress();
        CallEvent::Returned(self.returned(function, ended))
    }

    /// Returns a print that has already arrived.
    pub(crate) fn arrived_print(&mut self) -> Option<HostPrint> {
        self.prints.try_recv().ok()
    }

    /// Returns the progress that the running call has reported.
    pub(crate) fn progress(&self) -> Option<worker::ScriptProgress> {
        self.play.output.progress()
    }

    fn returned(&self, function: CalledFunction, ended: Result<CallEnd, JoinError>) -> CallReturn {
        let returned = self.check(function, ended);
        self.circle.metrics.count_host_call(match &returned {
            CallReturn::Script(HostReturn::Value(_)) => HostCallOutcome::Ok,
            CallReturn::Script(_) => HostCallOutcome::Failed,
            CallReturn::TooLarge => HostCallOutcome::TooLarge,
            CallReturn::Malformed => HostCallOutcome::Unreadable,
            CallReturn::WaitsForTurn => return returned,
        });
        returned
    }

    fn check(&self, function: CalledFunction, ended: Result<CallEnd, JoinError>) -> CallReturn {
        let result = match ended {
            Ok(CallEnd::Returned(result)) => result,
            Ok(CallEnd::Malformed) => return CallReturn::Malformed,
            Err(error) => {
                tracing::error!(function = self.name(function), %error, "host function panicked");
                Err(host::Error::hidden())
            }
        };
        if self.transaction.as_ref().is_some_and(|run| run.transaction().awaited_turn().is_some()) {
            return CallReturn::WaitsForTurn;
        }
        let max = self.limits.values.host_kib.saturating_mul(1024);
        let returned = match result {
            Ok(json) => HostReturn::Value(json),
            Err(error) => HostReturn::Failed(error),
        };
        if returned.bytes() > max { CallReturn::TooLarge } else { CallReturn::Script(returned) }
    }

    /// Returns the name of a function, for the log.
    fn name(&self, function: CalledFunction) -> String {
        let host = &self.circle.host;
        match function {
            CalledFunction::OfScript(number) => match (number as usize).checked_sub(host.count()) {
                Some(index) => self.limits.functions.get(index).map_or_else(String::new, ToString::to_string),
                None => host.name(number),
            },
            CalledFunction::OfProgram(module, function) => host.name_in(module, function),
        }
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

    /// Starts the end of the transactions of the play, once; `deadline` is that of a play that has succeeded, and `commit`
    /// how the store commits. Returns false if there are none; otherwise [`end`](Self::end) waits for them. An end that
    /// nobody waits for counts as a detached call.
    pub(crate) fn start_end(&mut self, end: PlayEnd, deadline: Option<Instant>, record: Option<OnceRecord>) -> bool {
        self.detach();
        self.has_ended = true;
        let mut modules = std::mem::take(&mut self.modules);
        modules.retain(|(_, instance)| instance.needs_end());
        let own = self.transaction.take().and_then(|transaction| match transaction {
            RunStore::Own(transaction) => Some(transaction),
            RunStore::OfPlay(_) => None,
        });
        // Without a commit, the transaction ends here, or once a detached call of it has ended.
        let own = own.filter(|transaction| end.is_success() && (record.is_some() || transaction.needs_commit()));
        if modules.is_empty() && own.is_none() {
            return false;
        }
        modules.sort_by_key(|(index, _)| *index);
        let commit = own.map(|transaction| RunCommit { transaction, record });
        self.ending = Some(RunEnding::start(&self.circle, modules, commit, end, deadline));
        true
    }

    /// Whether a rerun would repeat what the run has done besides its transaction.
    pub(super) fn has_lasting_effects(&self) -> bool {
        self.has_lasting_effects
    }

    /// Waits for the end of the transactions, and returns whether the play succeeds. Never returns without
    /// transactions that end. Cancel safe.
    pub(crate) async fn end(&mut self) -> Result<Option<Revision>, EndError> {
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
            self.start_end(PlayEnd::Disconnected, None, None);
        }
        if let Some(ending) = self.ending.take() {
            ending.detach(&self.circle, self.caller);
        }
    }
}
