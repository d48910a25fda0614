//! The host functions of a pool, and their calls.

use std::{
    fmt,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    host::{Arguments, Internal},
    message::{HostCall, HostError, HostFunction, HostModule},
    parent::HostNameError,
};

type BoxFuture<'f> = Pin<Box<dyn Future<Output = Result<String, HostError>> + Send + 'f>>;

/// A host function, for arguments that are not read yet, with the names of its parameters. Its result is JSON.
type Handler<'f> = Box<dyn Fn(&[&RawValue], &[String]) -> Result<BoxFuture<'f>, HostError> + Send + Sync + 'f>;

/// A typed function as a [`Handler`].
pub(super) fn handler<'f, const N: usize, A, F, T, E>(function: impl Fn(A) -> F + Send + Sync + 'f) -> Handler<'f>
where
    A: Arguments<N>,
    F: Future<Output = Result<T, E>> + Send + 'f,
    T: Serialize,
    E: Into<HostError>,
{
    Box::new(move |values, params| {
        let called = function(A::read(values, params)?);
        Ok(Box::pin(async move {
            let value = called.await.map_err(Into::into)?;
            serde_json::to_string(&value).internal()
        }))
    })
}

struct Function {
    /// The name in scripts, with its module.
    name: String,
    params: Vec<String>,
    handler: Handler<'static>,
}

/// The functions of a pool, by the numbers that workers use.
#[derive(Default)]
pub(super) struct FunctionTable {
    modules: Vec<HostModule>,
    /// By module, and by function in the module.
    functions: Vec<Vec<Function>>,
}

impl FunctionTable {
    /// Adds a function with a name like `stock::count`.
    pub(super) fn add(&mut self, name: &str, params: Vec<String>, doc: String, handler: Handler<'static>) {
        // A name without a module is rejected by the check of the names.
        let (module, function) = name.rsplit_once("::").unwrap_or(("", name));
        let at = self.modules.iter().position(|known| known.name == module).unwrap_or_else(|| {
            self.modules.push(HostModule { name: module.into(), functions: Vec::new(), keeps_types: false });
            self.functions.push(Vec::new());
            self.modules.len() - 1
        });
        self.modules[at].functions.push(HostFunction {
            name: function.into(),
            params: params.clone(),
            doc,
            signature: None,
        });
        self.functions[at].push(Function { name: name.into(), params, handler });
    }

    /// The modules as scripts see them.
    pub(super) fn modules(&self) -> Result<Vec<HostModule>, HostNameError> {
        HostModule::check(&self.modules)?;
        Ok(self.modules.clone())
    }

    /// The number of a function, as workers use it.
    pub(super) fn number(&self, name: &str, params: usize) -> Option<usize> {
        self.functions.iter().flatten().position(|function| function.name == name && function.params.len() == params)
    }

    fn get(&self, number: u32) -> Option<&Function> {
        self.functions.iter().flatten().nth(usize::try_from(number).ok()?)
    }
}

impl fmt::Debug for FunctionTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionTable").field("modules", &self.modules).finish_non_exhaustive()
    }
}

/// The functions that one run has instead of the pool's, by number.
pub(super) type Replacements<'r> = Vec<(usize, Handler<'r>)>;

/// A call that a script waits for.
pub(super) struct RunningCall<'r> {
    /// The function's name in scripts.
    pub(super) function: String,
    result: Result<BoxFuture<'r>, Option<HostError>>,
}

impl<'r> RunningCall<'r> {
    /// Starts a call. Returns `None` if it is not what an uncompromised worker sends.
    pub(super) fn start(table: &FunctionTable, replacements: &Replacements<'r>, call: &HostCall) -> Option<Self> {
        let function = table.get(call.function)?;
        let values = call.arguments(function.params.len())?;
        let replacement = replacements.iter().rev().find(|(number, _)| u32::try_from(*number) == Ok(call.function));
        // A panic of the program's code must not end the run's task.
        let started: std::thread::Result<Result<BoxFuture<'r>, HostError>> =
            catch_unwind(AssertUnwindSafe(|| match replacement {
                Some((_, handler)) => handler(&values, &function.params),
                None => (function.handler)(&values, &function.params).map(|future| future as BoxFuture<'r>),
            }));
        let result = match started {
            Ok(started) => started.map_err(Some),
            Err(_) => Err(Some(panicked(&function.name))),
        };
        Some(Self { function: function.name.clone(), result })
    }

    /// Waits for the result as JSON. Cancel safe. Do not call it again after it has returned.
    pub(super) async fn result(&mut self) -> Result<String, HostError> {
        let future = match &mut self.result {
            Ok(future) => future,
            Err(error) => return Err(error.take().unwrap_or_else(HostError::hidden)),
        };
        let poll = |cx: &mut std::task::Context<'_>| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll,
            Err(_) => std::task::Poll::Ready(Err(panicked(&self.function))),
        };
        poll_fn(poll).await
    }
}

/// Logs a panic, whose text the panic hook has reported. The script learns only that the function failed.
fn panicked(function: &str) -> HostError {
    tracing::error!(function, "host function panicked");
    HostError::hidden()
}
