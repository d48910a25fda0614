//! The table of a circle's host functions, by the numbers that workers use for them.

use std::sync::Arc;

use protocol::Limits;
use serde_json::Value;
use worker::HostModule;

use super::{module::AnyModule, signature, tasks::HostTasks};

#[derive(Debug)]
pub(crate) struct FunctionTable {
    /// The modules for scripts, then those whose functions are the circle's own.
    pub(crate) modules: Vec<Arc<dyn AnyModule>>,
    /// The number of the modules of the store, which come first.
    of_store: usize,
    /// The number of the modules for scripts.
    offered: usize,
    /// By number: the index of the module, and the index of the function in the module.
    functions: Vec<(usize, usize)>,
    pub(crate) tasks: HostTasks,
    /// The functions in the contract of the circle, if there are any.
    pub(crate) contract: Option<Value>,
}

impl FunctionTable {
    /// Makes the table of modules for scripts, those of the store before the others, and of modules whose functions are those of the circle, which scripts do not
    /// see as host functions.
    pub(crate) fn new(
        store: Vec<Arc<dyn AnyModule>>,
        modules: Vec<Arc<dyn AnyModule>>,
        own: Vec<Arc<dyn AnyModule>>,
        limits: &Limits,
    ) -> Self {
        let of_store = store.len();
        let modules: Vec<_> = store.into_iter().chain(modules).collect();
        let functions = modules
            .iter()
            .enumerate()
            .flat_map(|(index, module)| (0..module.offered().functions.len()).map(move |function| (index, function)));
        let (functions, contract) = (functions.collect(), signature::contract(&modules));
        let offered = modules.len();
        let modules = modules.into_iter().chain(own).collect();
        Self { functions, modules, of_store, offered, tasks: HostTasks::new(limits), contract }
    }

    /// The modules as scripts see them, in the order of the numbers.
    pub(crate) fn offered(&self) -> Vec<HostModule> {
        self.modules[..self.offered].iter().map(|module| module.offered().clone()).collect()
    }

    /// Returns the modules whose functions are the circle's own, as they are declared.
    pub(crate) fn own_names(&self) -> Vec<&HostModule> {
        self.modules[self.offered..].iter().map(|module| module.offered()).collect()
    }

    /// Returns the modules whose functions are the circle's own, with their indices.
    pub(crate) fn own(&self) -> impl Iterator<Item = (usize, &Arc<dyn AnyModule>)> {
        self.modules.iter().enumerate().skip(self.offered)
    }

    /// Returns the name of the module and the name of each function, by number.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.functions.iter().map(|(module, function)| {
            let module = self.modules[*module].offered();
            (module.name.as_str(), module.functions[*function].name.as_str())
        })
    }

    /// Whether a function is one of the modules of the store.
    pub(crate) fn is_of_store(&self, number: u32) -> bool {
        self.functions.get(number as usize).is_some_and(|(module, _)| *module < self.of_store)
    }

    /// Returns the number of functions. Scripts have further ones, which are the circle's own.
    pub(crate) fn count(&self) -> usize {
        self.functions.len()
    }

    /// Returns the index of a function's module, and of the function in the module. The number is below [`count`](Self::count).
    pub(crate) fn function(&self, number: u32) -> (usize, usize) {
        self.functions[number as usize]
    }

    /// Returns the name of a function, for the log.
    pub(crate) fn name(&self, number: u32) -> String {
        let (module, function) = self.function(number);
        self.name_in(module, function)
    }

    /// Returns the name of a function in a module, for the log.
    pub(crate) fn name_in(&self, module: usize, function: usize) -> String {
        let module = self.modules[module].offered();
        format!("{}::{}", module.name, module.functions[function].name)
    }
}
