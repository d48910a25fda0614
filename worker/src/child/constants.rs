//! The constants that an environment predefines: those of its setup, and those of the current plays.

use std::{collections::BTreeMap, io};

use rhai::{Dynamic, Module};

use crate::{engine, message::NamedValue};

/// The constants of an environment, by name.
#[derive(Default)]
pub(super) struct Constants {
    setup: BTreeMap<String, Dynamic>,
    values: BTreeMap<String, Dynamic>,
}

impl Constants {
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

    /// The constants as a module.
    pub(super) fn module(&self) -> Module {
        let mut module = Module::new();
        for (name, value) in &self.values {
            module.set_var(name.as_str(), value.clone());
        }
        module
    }
}
