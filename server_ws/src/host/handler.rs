//! The functions that a module accepts, and the erasure of their types.

use std::{pin::Pin, sync::Arc};

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Arguments, Error, Internal, call::Call};

pub(super) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A function of a module with state: an `async fn(&State, Call<Tx>, (A, B, …)) -> Result<T, E>`. Methods of the state
/// are such functions, and every such function implements this trait.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a host function of a module whose state is `{S}`",
    label = "expected `async fn(&{S}, host::Call<{Tx}>, (A, B, …)) -> Result<T, E>` with a `Send` future",
    note = "`E` must convert into `host::Error`"
)]
pub trait Handler<'s, S, Tx, A>: Send + Sync + 'static {
    /// The result of a call that succeeds.
    type Value;

    #[doc(hidden)]
    fn call(&self, state: &'s S, call: Call<Tx>, arguments: A) -> BoxFuture<'s, Result<Self::Value, Error>>;
}

impl<'s, S, Tx, A, F, R, T, E> Handler<'s, S, Tx, A> for F
where
    S: 's,
    F: Fn(&'s S, Call<Tx>, A) -> R + Send + Sync + 'static,
    R: Future<Output = Result<T, E>> + Send + 's,
    E: Into<Error>,
{
    type Value = T;

    fn call(&self, state: &'s S, call: Call<Tx>, arguments: A) -> BoxFuture<'s, Result<T, Error>> {
        let result = self(state, call, arguments);
        Box::pin(async move { result.await.map_err(Into::into) })
    }
}

/// A call whose arguments have been read. Its result is JSON.
pub(super) type PreparedCall<Tx> = Box<dyn FnOnce(Call<Tx>) -> BoxFuture<'static, Result<String, Error>> + Send>;

/// Reads the arguments of a call, or returns the error for the script.
pub(super) type ErasedFunction<Tx> = Box<dyn Fn(&[&RawValue]) -> Result<PreparedCall<Tx>, Error> + Send + Sync>;

/// Erases the types of a function with state.
pub(super) fn erase<const N: usize, S, Tx, A, T>(
    state: &Arc<S>,
    params: Vec<String>,
    function: impl for<'s> Handler<'s, S, Tx, A, Value = T>,
) -> ErasedFunction<Tx>
where
    S: Send + Sync + 'static,
    Tx: Send + 'static,
    A: Arguments<N>,
    T: Serialize + Send,
{
    let (state, function) = (state.clone(), Arc::new(function));
    Box::new(move |values| {
        let (state, function, arguments) = (state.clone(), function.clone(), A::read(values, &params)?);
        Ok(Box::new(move |call| Box::pin(async move { to_json(&function.call(&state, call, arguments).await?) })))
    })
}

/// Erases the types of a closure.
pub(super) fn erase_closure<const N: usize, A, F, T>(
    params: Vec<String>,
    function: impl Fn(Call, A) -> F + Send + Sync + 'static,
) -> ErasedFunction<()>
where
    A: Arguments<N>,
    F: Future<Output = Result<T, Error>> + Send + 'static,
    T: Serialize + Send,
{
    let function = Arc::new(function);
    Box::new(move |values| {
        let (function, arguments) = (function.clone(), A::read(values, &params)?);
        // The closure itself may panic, too, so the task of the call runs it.
        Ok(Box::new(move |call| Box::pin(async move { to_json(&function(call, arguments).await?) })))
    })
}

fn to_json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).internal()
}
