//! The constants that an environment predefines: those of its setup, and those of the current plays.

use std::{collections::BTreeMap, io};

use rhai::{Dynamic, Module};

use crate::{engine, message::NamedValue};

/// The constants of an environment, by name.
#[derive(Default)]
pub(super) struct Constants {
    setup: BTreeMap<String, Dynamic>,
    values: BTreeMap<String, Dynamic>,
    /// The shared values of the constants, if calls replace them. Each call may have other constants, and a module for
    /// each change would remain in the engine.
    cells: Option<BTreeMap<String, Dynamic>>,
}

impl Constants {
    /// Creates the constants of an environment. `are_shared` says whether calls replace them often.
    pub(super) fn new(are_shared: bool) -> Self {
        Self { cells: are_shared.then(BTreeMap::new), ..Self::default() }
    }

    /// Whether calls replace them often.
    pub(super) fn are_shared(&self) -> bool {
        self.cells.is_some()
    }

    /// Adds constants of the setup. One whose value cannot be read is `()`.
    pub(super) fn add_to_setup(&mut self, constants: &[NamedValue]) {
        let value = |constant| engine::named_value(constant).unwrap_or(Dynamic::UNIT);
        self.setup.extend(constants.iter().map(|constant| (constant.name().to_owned(), value(constant))));
        self.values.clone_from(&self.setup);
    }

    /// Replaces the constants of the current plays. They hide those of the setup.
    ///
    /// A name that earlier plays had becomes `()`, because Rhai's engine cannot forget a module.
    pub(super) fn replace(&mut self, constants: &[NamedValue]) -> io::Result<()> {
        let mut values: BTreeMap<_, _> = self.values.keys().map(|name| (name.clone(), Dynamic::UNIT)).collect();
        values.extend(self.setup.clone());
        for constant in constants {
            values.insert(constant.name().to_owned(), engine::named_value(constant)?);
        }
        self.values = values;
        Ok(())
    }

    pub(super) fn values(&self) -> &BTreeMap<String, Dynamic> {
        &self.values
    }

    /// The constants as a module; `None` if the modules before have all of them.
    pub(super) fn module(&mut self) -> Option<Module> {
        let mut module = Module::new();
        let Some(cells) = &mut self.cells else {
            for (name, value) in &self.values {
                module.set_var(name.as_str(), value.clone());
            }
            return Some(module);
        };
        let mut has_new = false;
        for (name, value) in &self.values {
            // Read-only inside of the cell, so that scripts cannot assign to it.
            let value = value.clone().into_read_only();
            if let Some(mut cell) = cells.get_mut(name).and_then(Dynamic::write_lock::<Dynamic>) {
                *cell = value;
                continue;
            }
            let cell = value.into_shared();
            module.set_var(name.as_str(), cell.clone());
            cells.insert(name.clone(), cell);
            has_new = true;
        }
        has_new.then_some(module)
    }
}
