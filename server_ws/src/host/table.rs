//! The host functions of a circle, under the numbers that its workers know them by.

use std::sync::Arc;

use protocol::Limits;
use worker::HostModule;

use super::{Hosted, Running};

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) modules: Vec<Arc<dyn Hosted>>,
    /// By number: the index of the module, and of the function in it.
    functions: Vec<(usize, usize)>,
    pub(crate) running: Running,
}

impl Table {
    pub(crate) fn new(modules: Vec<Arc<dyn Hosted>>, limits: &Limits) -> Self {
        let functions = modules
            .iter()
            .enumerate()
            .flat_map(|(index, module)| (0..module.offered().functions.len()).map(move |function| (index, function)));
        Self { functions: functions.collect(), modules, running: Running::new(limits) }
    }

    /// What scripts see of it; in the order of the numbers.
    pub(crate) fn offered(&self) -> Vec<HostModule> {
        self.modules.iter().map(|module| module.offered().clone()).collect()
    }

    /// The module of a function and its place in there. The number is of this table: a worker's end lets no other pass.
    pub(crate) fn function(&self, number: u32) -> (usize, usize) {
        self.functions[number as usize]
    }

    /// For log lines.
    pub(crate) fn name(&self, number: u32) -> String {
        let (module, function) = self.function(number);
        let module = self.modules[module].offered();
        format!("{}::{}", module.name, module.functions[function].name)
    }
}
