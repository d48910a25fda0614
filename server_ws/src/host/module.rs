//! Modules of host functions, and the state that they keep for each play.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, OnceLock},
};

use serde::Serialize;
use serde_json::value::RawValue;
use worker::{HostFunction, HostModule};

use super::{
    Arguments, Error,
    call::{Call, PlayContext, PlayEnd},
};

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A call whose arguments have been read. Its result is JSON.
type PreparedCall = Result<BoxFuture<Result<String, Error>>, Error>;

type Handler<S> = Box<dyn Fn(Call<S>, &[&RawValue]) -> PreparedCall + Send + Sync>;

type EndHandler<S> = Box<dyn Fn(Arc<S>, PlayEnd) -> BoxFuture<Result<(), Error>> + Send + Sync>;

/// A module of host functions, which scripts call as `name::function(…)`; see [`host`](crate::host).
pub struct Module<S = ()> {
    offered: HostModule,
    handlers: Vec<Handler<S>>,
    begin: Box<dyn Fn(&PlayContext) -> S + Send + Sync>,
    end: Option<EndHandler<S>>,
}

impl Module {
    /// Makes a module without state. The name must be a Rhai identifier.
    pub fn new(name: impl Into<String>) -> Self {
        Self { offered: offered(name), handlers: Vec::new(), begin: Box::new(|_| ()), end: None }
    }
}

impl<S: Send + Sync + 'static> Module<S> {
    /// Makes a module that keeps state for each play that calls it. `begin` makes the state at the play's first call of
    /// the module, [`Call::state`] returns it, and `end`, the end hook, runs once when the play ends.
    ///
    /// The circle runs `end` **before it answers the play**. If the play succeeded, `end` may fail it: the client then
    /// gets that error as −32000, and the hooks that run later get [`PlayEnd::Failed`]. Hooks run in the order in which
    /// the play first called their modules. If the play ended in any other way, an error of `end` changes nothing. With
    /// this, a module can make a play a transaction: its functions collect changes in the state, and `end` commits or
    /// discards them.
    ///
    /// A play that did not succeed does not wait for its functions. One of them may still be running with the same
    /// state, and must check there whether the play has ended. `end` always runs to its end, too. The circle waits for
    /// it until the play's deadline after a success, and for a second otherwise. Then it answers the client without it
    /// (with −32004 `time` instead of a success), and the hook continues as a detached call.
    pub fn for_each_play<F: Future<Output = Result<(), Error>> + Send + 'static>(
        name: impl Into<String>,
        begin: impl Fn(&PlayContext) -> S + Send + Sync + 'static,
        end: impl Fn(Arc<S>, PlayEnd) -> F + Send + Sync + 'static,
    ) -> Self {
        Self {
            offered: offered(name),
            handlers: Vec::new(),
            begin: Box::new(begin),
            end: Some(Box::new(move |state, play_end| Box::pin(end(state, play_end)))),
        }
    }

    /// Adds a function. Its name and the names of its parameters must be Rhai identifiers; `lookup` shows `doc`.
    /// Several functions may share a name if they have different numbers of parameters.
    #[must_use]
    pub fn function<const N: usize, A, F, T>(
        mut self,
        name: impl Into<String>,
        params: [&str; N],
        doc: impl Into<String>,
        function: impl Fn(Call<S>, A) -> F + Send + Sync + 'static,
    ) -> Self
    where
        A: Arguments<N>,
        F: Future<Output = Result<T, Error>> + Send + 'static,
        T: Serialize + Send,
    {
        let params: Vec<String> = params.map(Into::into).to_vec();
        let names = params.clone();
        self.offered.functions.push(HostFunction { name: name.into(), params, doc: doc.into() });
        self.handlers.push(Box::new(move |call, values| {
            let called = function(call, A::read(values, &names)?);
            Ok(Box::pin(async move { serde_json::to_string(&called.await?).map_err(Error::internal) }))
        }));
        self
    }
}

fn offered(name: impl Into<String>) -> HostModule {
    HostModule { name: name.into(), functions: Vec::new() }
}

/// A module with any type of state.
pub(crate) trait AnyModule: fmt::Debug + Send + Sync {
    /// Returns the functions, as scripts see them.
    fn offered(&self) -> &HostModule;

    /// Whether the module has an end hook.
    fn has_end_hook(&self) -> bool;

    /// Makes the instance of the module for one play.
    fn instantiate(self: Arc<Self>) -> Arc<dyn ModuleInstance>;
}

/// The instance of a module for one play. All methods run code of the program, which may panic.
pub(crate) trait ModuleInstance: Send + Sync {
    /// Calls a function by its index in the module. If an argument is invalid, the function does not run.
    fn call(&self, function: usize, play: PlayContext, args: &[&RawValue]) -> PreparedCall;

    /// Runs the end hook, if the module has one and the play called it.
    fn run_end_hook(&self, play_end: PlayEnd) -> Option<BoxFuture<Result<(), Error>>>;
}

impl<S: Send + Sync + 'static> AnyModule for Module<S> {
    fn offered(&self) -> &HostModule {
        &self.offered
    }

    fn has_end_hook(&self) -> bool {
        self.end.is_some()
    }

    fn instantiate(self: Arc<Self>) -> Arc<dyn ModuleInstance> {
        Arc::new(PlayInstance { module: self, state: OnceLock::new() })
    }
}

struct PlayInstance<S> {
    module: Arc<Module<S>>,
    state: OnceLock<Arc<S>>,
}

impl<S: Send + Sync + 'static> ModuleInstance for PlayInstance<S> {
    fn call(&self, function: usize, play: PlayContext, args: &[&RawValue]) -> PreparedCall {
        let Some(handler) = self.module.handlers.get(function) else { return Err(Error::hidden()) };
        let state = self.state.get_or_init(|| Arc::new((self.module.begin)(&play))).clone();
        handler(Call { play, state }, args)
    }

    fn run_end_hook(&self, play_end: PlayEnd) -> Option<BoxFuture<Result<(), Error>>> {
        Some(self.module.end.as_ref()?(self.state.get()?.clone(), play_end))
    }
}

impl<S> fmt::Debug for Module<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").field("offered", &self.offered).finish_non_exhaustive()
    }
}
