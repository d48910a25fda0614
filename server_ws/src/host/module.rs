//! A set of host functions, and what it keeps for the length of a play.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, OnceLock},
};

use serde::Serialize;
use serde_json::value::RawValue;
use worker::{HostFunction, HostModule};

use super::{
    arguments::Arguments,
    call::{Call, PlayContext, PlayEnd},
    error::Error,
};

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A call whose arguments have been read. Its result is JSON.
type PreparedCall = Result<BoxFuture<Result<String, Error>>, Error>;

type Handler<S> = Box<dyn Fn(Call<S>, &[&RawValue]) -> PreparedCall + Send + Sync>;

type EndHandler<S> = Box<dyn Fn(Arc<S>, PlayEnd) -> BoxFuture<Result<(), Error>> + Send + Sync>;

/// Functions that scripts call as `name::function(…)`; see [`host`](crate::host).
pub struct Module<S = ()> {
    offered: HostModule,
    handlers: Vec<Handler<S>>,
    begin: Box<dyn Fn(&PlayContext) -> S + Send + Sync>,
    end: Option<EndHandler<S>>,
}

impl Module {
    /// One that keeps nothing. The name is an identifier of Rhai's.
    pub fn new(name: impl Into<String>) -> Self {
        Self { offered: offered(name), handlers: Vec::new(), begin: Box::new(|_| ()), end: None }
    }
}

impl<S: Send + Sync + 'static> Module<S> {
    /// One that keeps something for the length of each play that calls it: `begin` makes it at the play's first call of
    /// the module, [`Call::state`] has it, and `end` is told how the play ended, once.
    ///
    /// `end` is called **before the play is answered**. Of a play that succeeded it may make an error instead: the client is
    /// then answered that error, as −32000, and the other modules that were called hear [`PlayEnd::Failed`], if they are
    /// told later; they are told in the order in which the play first called them. An error of any other end changes
    /// nothing. With this a module makes a play a transaction: what its functions do they do in the state, and `end` lets
    /// it last or not.
    ///
    /// A play that ends otherwise does not wait for its functions: one may still be running then, with the same state, and
    /// must find there that it has ended. `end` is never dropped half-way, either; it has until the play's deadline after a
    /// success, and a second after any other end. If it takes longer, the client is answered without it (−32004 `time`
    /// instead of a success), and it runs on.
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

    /// Adds a function: its name and those of its parameters are identifiers of Rhai's, `doc` is what `lookup` shows. More
    /// than one function may have a name, with other numbers of parameters.
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

/// A module of any state.
pub(crate) trait AnyModule: fmt::Debug + Send + Sync {
    /// The functions, as scripts see them.
    fn offered(&self) -> &HostModule;

    /// Whether a hook runs when a play ends that called the module.
    fn has_end_hook(&self) -> bool;

    /// Makes the instance for one play that calls the module.
    fn instantiate(self: Arc<Self>) -> Arc<dyn ModuleInstance>;
}

/// The instance of a module for one play. Every method runs code of the program, and may panic.
pub(crate) trait ModuleInstance: Send + Sync {
    /// Calls a function by its index in the module. The error is one of the arguments: then nothing has run.
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
        let Some(handler) = self.module.handlers.get(function) else { return Err(Error::failed()) };
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
