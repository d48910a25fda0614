//! The inventory: an index of the names, types and functions of an environment, which the control thread can read while
//! the other thread evaluates. It is updated after each play, at a cost proportional to the changes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rhai::{
    Dynamic, Engine, FnAccess, GlobalRuntimeState, Module, Scope, ScriptFnMetadata, Shared, is_valid_identifier,
};

use super::{docs, library::native_modules};
use crate::message::{HostModule, Origin};

/// Maximum depth of indexed submodules.
const MAX_MODULE_DEPTH: usize = 8;

/// A variable or a constant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variable {
    pub(super) name: String,
    pub(super) type_name: String,
    pub(super) is_constant: bool,
    /// The name of the type in Rust, compared so that an unchanged variable needs no allocation.
    raw_type: &'static str,
}

/// A script function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScriptFunction {
    pub(super) name: String,
    pub(super) params: Vec<String>,
    pub(super) signature: String,
    pub(super) doc: String,
    /// The name in Rhai of the only type on whose values the function can be called, if there is one.
    pub(super) this_type: Option<String>,
    /// Whether the init script defined the function.
    pub(super) is_from_init: bool,
}

impl ScriptFunction {
    fn new(function: &ScriptFnMetadata<'_>, is_from_init: bool) -> Self {
        let receiver = function.this_type.map(|this_type| format!("{this_type}.")).unwrap_or_default();
        Self {
            name: function.name.into(),
            params: function.params.iter().map(|&param| param.into()).collect(),
            signature: format!("{receiver}{}({})", function.name, function.params.join(", ")),
            doc: docs::clean(function.comments.iter().copied()),
            this_type: function.this_type.map(Into::into),
            is_from_init,
        }
    }
}

/// The index of a module.
#[derive(Debug, Default)]
pub(crate) struct ModuleIndex {
    /// The functions, sorted by name.
    pub(super) functions: Vec<ScriptFunction>,
    /// Names and types of the constants, sorted by name.
    pub(super) constants: Vec<(String, String)>,
    pub(super) modules: BTreeMap<String, ModuleIndex>,
}

impl ModuleIndex {
    fn new(module: &Module, engine: &Engine, depth: usize) -> Self {
        let mut index = Self::default();
        for (_, access, _, _, function) in module.iter_script_fn_info() {
            if access == FnAccess::Public {
                index.functions.push(ScriptFunction::new(&ScriptFnMetadata::from(&**function), false));
            }
        }
        index.functions.sort_by(|a, b| (&a.name, a.params.len()).cmp(&(&b.name, b.params.len())));
        let type_of = |value: &Dynamic| engine.map_type_name(value.type_name()).to_owned();
        index.constants = module.iter_var().map(|(name, value)| (name.into(), type_of(value))).collect();
        index.constants.sort();
        if depth < MAX_MODULE_DEPTH {
            let modules = module.iter_sub_modules();
            index.modules = modules.map(|(name, module)| (name.into(), Self::new(module, engine, depth + 1))).collect();
        }
        index
    }

    fn from_host(module: &HostModule) -> Self {
        let functions = module.functions.iter().map(|function| ScriptFunction {
            name: function.name.clone(),
            params: function.params.clone(),
            signature: function.signature(),
            doc: function.doc.clone(),
            this_type: None,
            is_from_init: false,
        });
        let mut index = Self { functions: functions.collect(), ..Self::default() };
        index.functions.sort_by(|a, b| (&a.name, a.params.len()).cmp(&(&b.name, b.params.len())));
        index
    }
}

#[derive(Debug)]
struct Import {
    /// Address of the module, only to recognise it.
    address: usize,
    index: ModuleIndex,
}

/// The key by which Rhai identifies a function: name, number of parameters and type of `this`.
type FunctionKey = (String, usize, Option<String>);

/// The index of an environment after its last play.
#[derive(Debug)]
pub(crate) struct Inventory {
    /// The variables in the order of the scope, oldest first.
    variables: Vec<Variable>,
    functions: BTreeMap<FunctionKey, ScriptFunction>,
    imports: BTreeMap<String, Import>,
    /// The host modules by name.
    host: BTreeMap<String, ModuleIndex>,
    /// Number of the environment's imports that `imports` includes.
    imports_seen: usize,
    /// Names and types of the predefined constants, sorted by name.
    constants: Vec<(String, String)>,
    /// The names of the modules that scripts can import.
    pub(super) importable: Arc<[String]>,
    /// Maximum size of an answer, in bytes.
    pub(super) max_bytes: u64,
}

/// An inventory shared by both threads of a worker.
#[derive(Debug, Default, Clone)]
pub(crate) struct SharedInventory(Arc<Mutex<Inventory>>);

impl SharedInventory {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inventory> {
        // Every change leaves the inventory consistent, even if a thread panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Inventory {
    fn default() -> Self {
        Self::new(Vec::new(), &[], 64 << 10)
    }
}

/// Indexes host modules by name. The module `a::b` is in the module `a`; a module without functions is left out.
fn index_host(host: &[HostModule]) -> BTreeMap<String, ModuleIndex> {
    let mut all: BTreeMap<String, ModuleIndex> = BTreeMap::new();
    for module in host.iter().filter(|module| !module.functions.is_empty()) {
        let index = ModuleIndex::from_host(module);
        if let Some((outer, inner)) = module.name.split_once("::") {
            all.entry(outer.to_owned()).or_default().modules.insert(inner.to_owned(), index);
        } else {
            let modules = all.remove(&module.name).map(|known| known.modules).unwrap_or_default();
            all.insert(module.name.clone(), ModuleIndex { modules, ..index });
        }
    }
    all
}

impl Inventory {
    pub(crate) fn new(importable: Vec<String>, host: &[HostModule], max_bytes: u64) -> Self {
        Self {
            variables: Vec::new(),
            functions: BTreeMap::new(),
            imports: BTreeMap::new(),
            host: index_host(host),
            imports_seen: 0,
            constants: Vec::new(),
            importable: importable.into(),
            max_bytes,
        }
    }

    /// Replaces the host modules.
    pub(crate) fn set_host(&mut self, host: &[HostModule]) {
        self.host = index_host(host);
    }

    /// Replaces the predefined constants.
    pub(crate) fn note_constants(&mut self, constants: &BTreeMap<String, Dynamic>, engine: &Engine) {
        let type_of = |value: &Dynamic| engine.map_type_name(value.type_name()).to_owned();
        self.constants = constants.iter().map(|(name, value)| (name.clone(), type_of(value))).collect();
    }

    pub(crate) fn note_variables(&mut self, scope: &Scope<'_>, engine: &Engine) {
        self.variables.truncate(scope.len());
        let mut newer = Vec::new();
        // Newest first.
        for (age, (name, is_constant, value)) in scope.iter_raw().enumerate() {
            let raw_type = value.type_name();
            let variable = || {
                let type_name = engine.map_type_name(raw_type).to_owned();
                Variable { name: name.to_owned(), type_name, is_constant, raw_type }
            };
            match self.variables.get_mut(scope.len() - 1 - age) {
                None => newer.push(variable()),
                Some(existing) if existing.name == name && existing.raw_type == raw_type => {
                    existing.is_constant = is_constant;
                }
                Some(existing) => *existing = variable(),
            }
        }
        self.variables.extend(newer.into_iter().rev());
    }

    /// Adds or replaces the functions that a play or the init script defined.
    pub(crate) fn note_functions<'f>(
        &mut self,
        functions: impl Iterator<Item = ScriptFnMetadata<'f>>,
        is_from_init: bool,
    ) {
        // Closures are functions too, with names that scripts cannot write.
        for function in functions.filter(|function| is_valid_identifier(function.name)) {
            let key = (function.name.into(), function.params.len(), function.this_type.map(Into::into));
            self.functions.insert(key, ScriptFunction::new(&function, is_from_init));
        }
    }

    pub(crate) fn note_imports(&mut self, global: &GlobalRuntimeState, engine: &Engine) {
        if global.num_imports() == self.imports_seen {
            return;
        }
        if global.num_imports() < self.imports_seen {
            self.imports.clear();
            self.imports_seen = 0;
        }
        for (alias, module) in global.scan_imports_raw().skip(self.imports_seen) {
            let address = Shared::as_ptr(module).addr();
            // Repeating the same import at the start of each script costs nothing.
            if self.imports.get(alias.as_str()).is_none_or(|existing| existing.address != address) {
                self.imports.insert(alias.to_string(), Import { address, index: ModuleIndex::new(module, engine, 1) });
            }
        }
        self.imports_seen = global.num_imports();
    }

    /// The variables in the order of the scope, oldest first.
    pub(super) fn variables(&self) -> &[Variable] {
        &self.variables
    }

    pub(super) fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().rev().find(|variable| variable.name == name)
    }

    /// The script functions, sorted by name.
    pub(super) fn functions(&self) -> impl Iterator<Item = &ScriptFunction> {
        self.functions.values()
    }

    /// The names that can precede `::`: aliases of imported modules, and names of host modules and of native modules.
    pub(super) fn aliases(&self) -> impl Iterator<Item = &str> {
        self.imports.keys().chain(self.host.keys()).chain(native_modules().keys()).map(String::as_str)
    }

    /// The module with the path `a::b`, and its origin.
    pub(super) fn module(&self, path: &[&str]) -> Option<(&ModuleIndex, Origin)> {
        let (alias, inner) = path.split_first()?;
        // As for scripts, an imported module hides a host module, and a host module hides a native one.
        let (module, origin) = match (self.imports.get(*alias), self.host.get(*alias)) {
            (Some(import), _) => (&import.index, Origin::Module),
            (None, Some(module)) => (module, Origin::Host),
            (None, None) => (native_modules().get(*alias)?, Origin::Native),
        };
        let module = inner.iter().try_fold(module, |module, name| module.modules.get(*name))?;
        Some((module, origin))
    }

    /// Names and types of the predefined constants, sorted by name.
    pub(super) fn constants(&self) -> impl Iterator<Item = (&str, &str)> {
        self.constants.iter().map(|(name, type_name)| (name.as_str(), type_name.as_str()))
    }
}
