//! Modules of host functions.

use std::{fmt, sync::Arc};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use worker::{HostFunction, HostModule};

use super::{
    Arguments, Error,
    call::Call,
    handler::{ErasedFunction, Handler, erase, erase_closure},
    instance::{ModuleInstance, PlayInstance},
    signature::{self, SchemasOf, schemas_of},
    transaction::{NoTransactions, StateTransactions, Transactional, Transactions},
};

/// A module of host functions, which scripts call as `name::function(…)`; see [`host`](crate::host).
///
/// The functions are closures ([`new`](Module::new)) or methods of a state ([`with_state`](Module::with_state),
/// [`transactional`](Module::transactional)). `S` is `()`, or the state in an `Arc`; `Tx` is the transaction of a play.
pub struct Module<S = (), Tx = ()> {
    state: S,
    definition: Definition<Tx>,
}

/// The part of a module that does not depend on the type of its state.
pub(super) struct Definition<Tx> {
    offered: HostModule,
    functions: Vec<ErasedFunction<Tx>>,
    schemas: Vec<SchemasOf>,
    transactions: Box<dyn Transactions<Tx>>,
    is_rerunnable: bool,
}

impl<Tx> Definition<Tx> {
    fn new(name: impl Into<String>, transactions: impl Transactions<Tx> + 'static) -> Self {
        let offered = HostModule { name: name.into(), functions: Vec::new(), keeps_types: false };
        Self {
            offered,
            functions: Vec::new(),
            schemas: Vec::new(),
            transactions: Box::new(transactions),
            is_rerunnable: false,
        }
    }

    fn add(
        &mut self,
        name: String,
        params: Vec<String>,
        doc: String,
        schemas: SchemasOf,
        function: ErasedFunction<Tx>,
    ) {
        let signature = signature::signature(&name, &params, &schemas(&mut signature::generator()));
        self.offered.functions.push(HostFunction { name, params, doc, signature: Some(signature) });
        self.schemas.push(schemas);
        self.functions.push(function);
    }

    pub(super) fn function(&self, index: usize) -> Option<&ErasedFunction<Tx>> {
        self.functions.get(index)
    }

    pub(super) fn transactions(&self) -> &dyn Transactions<Tx> {
        &*self.transactions
    }
}

impl Module {
    /// Makes a module whose functions are closures. The name must be a Rhai identifier.
    pub fn new(name: impl Into<String>) -> Self {
        Self { state: (), definition: Definition::new(name, NoTransactions) }
    }

    /// Adds a function. Its name and the names of its parameters must be Rhai identifiers; `lookup` shows `doc`.
    /// Several functions may share a name if they have different numbers of parameters. The types of the arguments and of
    /// the result appear in the signature, which completion and `lookup` show, and in the result of `rpc.discover`.
    #[must_use]
    pub fn function<const N: usize, A, F, T>(
        mut self,
        name: impl Into<String>,
        params: [&str; N],
        doc: impl Into<String>,
        function: impl Fn(Call, A) -> F + Send + Sync + 'static,
    ) -> Self
    where
        A: Arguments<N> + JsonSchema,
        F: Future<Output = Result<T, Error>> + Send + 'static,
        T: Serialize + JsonSchema + Send,
    {
        let params: Vec<String> = params.map(Into::into).to_vec();
        let erased = erase_closure(params.clone(), function);
        self.definition.add(name.into(), params, doc.into(), schemas_of::<A, T>, erased);
        self
    }
}

impl<S: Send + Sync + 'static> Module<Arc<S>> {
    /// Makes a module whose functions are methods of `state`, such as a pool of connections. The name must be a Rhai
    /// identifier.
    ///
    /// ```
    /// use server_ws::host;
    ///
    /// struct Prices {
    ///     tea: u32,
    /// }
    ///
    /// impl Prices {
    ///     async fn total(&self, _: host::Call, (count,): (u32,)) -> host::Result<u32> {
    ///         self.tea.checked_mul(count).ok_or_else(|| "too many".into())
    ///     }
    /// }
    ///
    /// let module = host::Module::with_state("prices", Prices { tea: 4 })
    ///     .function("total", ["count"], "Returns the price of so many.", Prices::total);
    /// # drop(module);
    /// ```
    pub fn with_state(name: impl Into<String>, state: S) -> Self {
        Self { state: Arc::new(state), definition: Definition::new(name, NoTransactions) }
    }
}

impl<S: Transactional> Module<Arc<S>, S::Tx> {
    /// Makes a module that makes every play a transaction: its functions are methods of `state`, and each play that
    /// calls them has a [transaction](Transactional) of its own.
    pub fn transactional(name: impl Into<String>, state: S) -> Self {
        let state = Arc::new(state);
        Self { definition: Definition::new(name, StateTransactions(state.clone())), state }
    }
}

impl<S: Send + Sync + 'static, Tx: Send + 'static> Module<Arc<S>, Tx> {
    /// Adds a function, which is usually a method of the state. Its name and the names of its parameters must be Rhai
    /// identifiers; `lookup` shows `doc`. Several functions may share a name if they have different numbers of
    /// parameters. The types of the arguments and of the result appear in the signature, which completion and `lookup`
    /// show, and in the result of `rpc.discover`.
    #[must_use]
    pub fn function<const N: usize, A, T>(
        mut self,
        name: impl Into<String>,
        params: [&str; N],
        doc: impl Into<String>,
        function: impl for<'s> Handler<'s, S, Tx, A, Value = T>,
    ) -> Self
    where
        A: Arguments<N> + JsonSchema,
        T: Serialize + JsonSchema + Send,
    {
        let params: Vec<String> = params.map(Into::into).to_vec();
        let erased = erase(&self.state, params.clone(), function);
        self.definition.add(name.into(), params, doc.into(), schemas_of::<A, T>, erased);
        self
    }
}

/// A module with any types.
pub(crate) trait AnyModule: fmt::Debug + Send + Sync {
    /// Returns the functions, as scripts see them.
    fn offered(&self) -> &HostModule;

    /// Returns the generators of the functions' schemas.
    fn schemas(&self) -> &[SchemasOf];

    /// Checks that a function takes these arguments. The error names the parameter.
    fn check(&self, function: usize, args: &[&RawValue]) -> Result<(), Error>;

    /// Whether a run that called the module may run again.
    fn is_rerunnable(&self) -> bool;

    /// Makes the instance of the module for one play.
    fn instantiate(self: Arc<Self>) -> Arc<dyn ModuleInstance>;
}

impl<Tx: Send + 'static> AnyModule for Definition<Tx> {
    fn offered(&self) -> &HostModule {
        &self.offered
    }

    fn schemas(&self) -> &[SchemasOf] {
        &self.schemas
    }

    fn check(&self, function: usize, args: &[&RawValue]) -> Result<(), Error> {
        self.function(function).ok_or_else(Error::hidden)?(args).map(drop)
    }

    fn is_rerunnable(&self) -> bool {
        self.is_rerunnable
    }

    fn instantiate(self: Arc<Self>) -> Arc<dyn ModuleInstance> {
        Arc::new(PlayInstance::new(self))
    }
}

impl<S, Tx: Send + 'static> Module<S, Tx> {
    /// The arguments keep their types, as the results do: see [`HostModule::keeps_types`].
    pub(crate) fn keep_types(mut self) -> Self {
        self.definition.offered.keeps_types = true;
        self
    }

    /// States that a call of a function of the circle may run again although it called this module: what the module does
    /// ends with its transaction, or does not matter.
    ///
    /// On a circle with a [store](crate::CircleBuilder::store), a call whose transaction conflicts with another one runs
    /// again, unless it called a module that has not said this. Its caller then gets −32010.
    #[must_use]
    pub fn rerunnable(mut self) -> Self {
        self.definition.is_rerunnable = true;
        self
    }

    /// Erases the types of the module.
    pub(crate) fn erase(self) -> Arc<dyn AnyModule> {
        Arc::new(self.definition)
    }
}

impl<Tx> fmt::Debug for Definition<Tx> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").field("offered", &self.offered).finish_non_exhaustive()
    }
}

impl<S, Tx> fmt::Debug for Module<S, Tx> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.definition.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_of_state_can_be_async_closure() {
        let add = async |state: &u32, _: Call, (number,): (u32,)| Ok::<_, Error>(state + number);
        let module = Module::with_state("numbers", 5).function("add", ["number"], "Adds.", add);
        assert_eq!(module.definition.offered.functions[0].signature.as_deref(), Some("add(number: int) -> int"));
    }
}
