use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
};

use crate::CommitEffect;

/// The storage failed, now or earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: Arc<str>,
    pub(crate) happened: CommitEffect,
    /// The store was closed, and nothing failed.
    pub(crate) is_closed: bool,
}

/// What all parts share: the first error, after which nothing touches the storage.
#[derive(Clone, Default)]
pub(crate) struct Latch(Arc<LatchState>);

#[derive(Default)]
struct LatchState {
    reason: OnceLock<Failure>,
    on_failure: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl fmt::Debug for Latch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Latch").field(&self.0.reason).finish()
    }
}

impl Latch {
    /// Calls a function once the store has failed or is closed. There is one function.
    pub(crate) fn on_failure(&self, function: impl Fn() + Send + Sync + 'static) {
        self.0.on_failure.get_or_init(|| Box::new(function));
    }

    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.0.reason.get() {
            None => Ok(()),
            Some(failure) => Err(failure.clone()),
        }
    }

    /// Runs an operation of the engine, unless the engine has failed. An error or a panic latches.
    pub(super) fn run<T>(&self, operation: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, Failure> {
        self.check()?;
        self.attempt(operation)
    }

    /// Runs an operation of the engine, whether the engine has failed meanwhile or not.
    pub(super) fn attempt<T>(&self, operation: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, Failure> {
        // A panic leaves nothing inconsistent that is used again: after it the latch keeps everyone out.
        let error = match catch_unwind(AssertUnwindSafe(operation)) {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error.to_string(),
            Err(panic) => panic_text(&*panic),
        };
        Err(self.fail(&error))
    }

    pub(super) fn fail(&self, reason: &str) -> Failure {
        self.set(Failure { reason: reason.into(), happened: CommitEffect::No, is_closed: false })
    }

    pub(super) fn close(&self) {
        let reason = "the store is closed".into();
        self.set(Failure { reason, happened: CommitEffect::No, is_closed: true });
    }

    fn set(&self, failure: Failure) -> Failure {
        let failure = self.0.reason.get_or_init(|| failure).clone();
        if let Some(on_failure) = self.0.on_failure.get() {
            on_failure();
        }
        failure
    }
}

pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic in the storage engine: {}", text.unwrap_or("without a text"))
}
