//! A run of a script, before it is awaited.

use std::{any::type_name, fmt, future::IntoFuture, marker::PhantomData, pin::Pin, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    error::RunError,
    execution::{self, PrintSink, Request},
    functions::handler,
    session::Session,
};
use crate::{
    host::{self, Arguments},
    message::{HostError, NamedValue, PlayValue, Print},
};

/// A run of a script in a [`Session`]: awaiting it runs the script and returns its value as a `T`.
///
/// `T` is any type that deserializes: [`serde_json::Value`] takes every value, and [`serde::de::IgnoredAny`] drops it.
/// Values have the form of JSON: integers exactly; numbers that are not finite as null; `()`
/// as null; characters as strings; blobs as base64; values without a form in JSON, such as functions, as their text.
///
/// Dropping the future stops the script, and drops the future of a running host function. The session and its variables
/// remain, unless the script cannot be stopped within a second: the worker is then killed.
#[must_use = "a run does nothing unless it is awaited"]
pub struct Run<'s, T> {
    session: &'s mut Session,
    request: Request<'s>,
    error: Option<RunError>,
    value: PhantomData<fn() -> T>,
}

impl<'s, T> Run<'s, T> {
    pub(super) fn new(session: &'s mut Session, script: &'s str) -> Self {
        let timeout = session.place.pool.timeout;
        let request = Request {
            script,
            name: None,
            inputs: Vec::new(),
            timeout,
            prints: PrintSink::Dropped,
            functions: Vec::new(),
        };
        Self { session, request, error: None, value: PhantomData }
    }

    /// Passes a value to the script, as a variable of this name. The value is data: nothing in it can become code.
    ///
    /// Like any variable, it remains in the session after the run, and functions of the script do not see it. A value
    /// that cannot be passed fails the run with [`RunError::Input`]: see [`NamedValue::new`].
    pub fn input(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        match NamedValue::new(name, value) {
            Ok(input) => self.request.inputs.push(input),
            Err(error) => self.fail(RunError::Input(error)),
        }
        self
    }

    /// Sets the time limit, in place of [`PoolBuilder::timeout`](super::PoolBuilder::timeout). It includes the time of
    /// host functions.
    ///
    /// When the time is up, the script is stopped. If it does not stop within a second, its worker is killed.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.timeout = timeout;
        self
    }

    /// Names the script for tracebacks, for example after its file.
    pub fn name(mut self, name: &'s str) -> Self {
        self.request.name = Some(name);
        self
    }

    /// Calls a function for each print, in order, while the script runs. Without a function, prints are dropped.
    ///
    /// [`WorkerLimits::output_bytes`](crate::WorkerLimits::output_bytes) bounds the prints of a run. The script goes on
    /// during the call, until the pipe between the processes is full. The function must not block.
    pub fn on_print(mut self, print: impl FnMut(Print) + Send + 's) -> Self {
        self.request.prints = PrintSink::Function(Box::new(print));
        self
    }

    /// Collects the prints, also those of a script that then fails.
    /// [`WorkerLimits::output_bytes`](crate::WorkerLimits::output_bytes) bounds them.
    pub fn collect_prints(mut self, prints: &'s mut Vec<Print>) -> Self {
        self.request.prints = PrintSink::List(prints);
        self
    }

    /// Replaces a function of [`PoolBuilder::function`](super::PoolBuilder::function) in this run, for example by one
    /// that knows the user. It has as many parameters as the replaced one, and may borrow.
    pub fn function<const N: usize, A, F, R, E>(
        mut self,
        name: &str,
        function: impl Fn(A) -> F + Send + Sync + 's,
    ) -> Self
    where
        A: Arguments<N>,
        F: Future<Output = Result<R, E>> + Send + 's,
        R: Serialize,
        E: Into<HostError>,
    {
        match self.session.place.pool.functions.number(name, N) {
            Some(number) => self.request.functions.push((number, handler(function))),
            None => self.fail(RunError::UnknownFunction { name: name.into() }),
        }
        self
    }

    /// Runs the script, and returns its value as text and as JSON, with the number of its operations.
    ///
    /// # Errors
    ///
    /// Returns a [`RunError`].
    pub async fn raw(self) -> Result<PlayValue, RunError>
    where
        T: 's,
    {
        match self.error {
            Some(error) => Err(error),
            None => execution::execute(self.session, self.request).await,
        }
    }

    /// The first error is the one that the run returns.
    fn fail(&mut self, error: RunError) {
        self.error.get_or_insert(error);
    }
}

impl<'s, T: DeserializeOwned + 's> IntoFuture for Run<'s, T> {
    type Output = Result<T, RunError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 's>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let value = self.raw().await?;
            host::from_script(&value.json).map_err(|reason| RunError::Value { expected: type_name::<T>(), reason })
        })
    }
}

impl<T> fmt::Debug for Run<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("script", &self.request.script).finish_non_exhaustive()
    }
}
