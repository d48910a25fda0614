//! The calls of the store that a run makes, and its transaction.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use store::TurnKey;
use worker::HostCall;

use super::{
    HostCalls,
    host_calls::{CallAuthority, CallEnd, CalledFunction},
};
use crate::{
    circle_store::{RunTransaction, StoreAccess, StoreRights},
    host,
};

/// The transaction of a run.
#[derive(Debug, Clone)]
pub(crate) enum RunStore {
    /// The run commits the transaction at its end.
    Own(Arc<RunTransaction>),
    /// The transaction is that of the play that made this call.
    OfPlay(Arc<RunTransaction>),
}

impl RunStore {
    pub(super) fn transaction(&self) -> &Arc<RunTransaction> {
        match self {
            Self::Own(transaction) | Self::OfPlay(transaction) => transaction,
        }
    }
}

impl HostCalls {
    /// Starts a call of the modules of the store. It takes no place among the host calls.
    pub(super) fn start_store_call(&mut self, call: HostCall) {
        let number = call.function;
        let (module, function) = self.circle.host.function(number);
        let rights = match self.authority {
            CallAuthority::Circle => StoreRights::All,
            CallAuthority::Caller => {
                let key = self.play.caller;
                StoreRights::OfCaller(Box::new(self.circle.rights_of(key.as_ref())), key)
            }
        };
        let max_bytes = usize::try_from(self.limits.values.host_kib.saturating_mul(1024)).unwrap_or(usize::MAX);
        let access = self
            .transaction
            .as_ref()
            .map(|run| StoreAccess::new(run.transaction(), rights, !self.has_lasting_effects, max_bytes));
        let play = host::PlayContext { store: access, ..self.play.clone() };
        let instance = self.instance(module);
        let params = self.circle.host.modules[module].offered().functions[function].params.len();
        let task = async move {
            let Some(args) = call.arguments(params) else { return CallEnd::Malformed };
            match instance.call(function, play, &args) {
                Ok(future) => CallEnd::Returned(future.await),
                Err(error) => CallEnd::Returned(Err(error)),
            }
        };
        let (function, mut task) = (CalledFunction::OfScript(number), Box::pin(task));
        // A write is done at once. A read waits for another thread, which may wait for the disk.
        match poll_once(task.as_mut()) {
            Poll::Ready(end) => self.returned = Some((function, Ok(end))),
            Poll::Pending => self.running = Some((function, self.circle.host.tasks.spawn(task))),
        }
    }

    /// Returns what the run has to wait for, because it was about to read it first.
    pub(super) fn awaited_turn(&self) -> Option<TurnKey> {
        self.transaction.as_ref().and_then(|run| run.transaction().awaited_turn().cloned())
    }

    /// Whether the snapshot of the run is too old.
    pub(crate) fn is_too_old(&self) -> bool {
        self.transaction.as_ref().is_some_and(|run| run.transaction().is_too_old())
    }
}

/// Polls a future whose waker does not matter, because another task polls it again.
pub(super) fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
