//! The module resolver: `import` loads the sources that the setup contains.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rhai::{Engine, EvalAltResult, ImmutableString, Module, ModuleResolver, Position, Scope, ScriptFuncDef, Shared};

use super::{compile::compile, isolated_modules::EvaluatedScript};
use crate::message::ModuleSources;

type SharedModule = Shared<Module>;

/// The module resolver for `import "a/b"`, which compiles each module once for each environment. Clones are the same
/// resolver.
///
/// `Shared` and the locks let the resolver be `Sync` with Rhai's feature `sync`.
#[derive(Clone)]
pub(crate) struct ModuleLoader(Shared<LoaderState>);

struct LoaderState {
    sources: ModuleSources,
    loaded: Mutex<HashMap<String, SharedModule>>,
    /// The stack of modules that are being loaded, each imported by the one before.
    loading: Mutex<Vec<String>>,
    /// The functions of each compiled module, private ones and closures included, with the module's file.
    functions: Mutex<Vec<(ImmutableString, SharedModule)>>,
    /// Whether calls are isolated from each other.
    isolation: Mutex<ModuleIsolation>,
}

/// Whether the modules pass values from one play to the next.
#[derive(Debug, Default)]
enum ModuleIsolation {
    /// The plays of a session share the modules.
    #[default]
    None,
    /// The modules that function files import at their top level are loaded.
    Preparing,
    /// Calls share only these modules, whose constants do not change.
    Calls { kept: BTreeSet<String> },
}

/// Locks a part of the state. No lock is held while a module is evaluated, which may import others.
fn lock<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change leaves the state consistent, even if the thread panics.
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ModuleLoader {
    pub(crate) fn new(sources: ModuleSources) -> Self {
        let (loaded, loading, functions) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self(Shared::new(LoaderState { sources, loaded, loading, functions, isolation: Mutex::default() }))
    }

    /// Isolates calls from each other: modules that are loaded from now on pass no values from one call to the next.
    pub(crate) fn isolate_calls(&self) {
        lock(&self.0.loaded).clear();
        *lock(&self.0.isolation) = ModuleIsolation::Preparing;
    }

    /// Keeps the modules that are loaded now for all calls.
    pub(crate) fn keep_loaded(&self) {
        let kept = lock(&self.0.loaded).keys().cloned().collect();
        *lock(&self.0.isolation) = ModuleIsolation::Calls { kept };
    }

    /// Drops the modules that a call has loaded. Their top levels may depend on the constants of its caller.
    pub(crate) fn end_call(&self) {
        let ModuleIsolation::Calls { kept } = &*lock(&self.0.isolation) else { return };
        let mut loaded = lock(&self.0.loaded);
        if loaded.len() > kept.len() {
            loaded.retain(|name, _| kept.contains(name));
        }
    }

    /// The path of a module's file below the directory.
    pub(super) fn file(name: &str) -> ImmutableString {
        format!("{name}.rhai").into()
    }

    /// Visits each function of the compiled modules, with the path of the module's file.
    pub(super) fn each_function(&self, mut visit: impl FnMut(&ImmutableString, &Shared<ScriptFuncDef>)) {
        for (file, functions) in &*lock(&self.0.functions) {
            functions.iter_script_fn_info().for_each(|(.., function)| visit(file, function));
        }
    }

    fn load(&self, engine: &Engine, name: &str, script: &str) -> Result<Module, Box<EvalAltResult>> {
        let mut ast = compile(engine, script)?;
        let file = Self::file(name);
        ast.set_source(file.clone());
        if ast.has_functions() {
            // Also if the module fails: the functions can be in the traceback.
            let mut functions = lock(&self.0.functions);
            functions.retain(|(other, _)| *other != file);
            functions.push((file, ast.shared_lib().clone()));
        }
        // No lock is held while the module is evaluated, which may import others.
        let is_isolated = !matches!(*lock(&self.0.isolation), ModuleIsolation::None);
        if is_isolated {
            return EvaluatedScript::new(engine, &ast)?.into_module(engine);
        }
        Module::eval_ast_as_new(Scope::new(), &ast, engine)
    }
}

impl ModuleResolver for ModuleLoader {
    fn resolve(
        &self,
        engine: &Engine,
        _source: Option<&str>,
        name: &str,
        position: Position,
    ) -> Result<SharedModule, Box<EvalAltResult>> {
        let not_found = || EvalAltResult::ErrorModuleNotFound(name.into(), position);
        let Self(state) = self;
        let source = state.sources.get(name).ok_or_else(not_found)?;
        if let Some(module) = lock(&state.loaded).get(name) {
            return Ok(module.clone());
        }
        let in_module =
            |error: Box<EvalAltResult>| Box::new(EvalAltResult::ErrorInModule(name.into(), error, position));
        // Rhai does not limit the depth of imports, so a cycle would exhaust the stack.
        if lock(&state.loading).iter().any(|loading| loading == name) {
            return Err(in_module("the module imports itself, directly or through another module".into()));
        }
        let script = source.map_err(|error| in_module(error.into()))?;
        lock(&state.loading).push(name.to_owned());
        let module = self.load(engine, name, script);
        lock(&state.loading).pop();
        let module = SharedModule::new(module.map_err(in_module)?);
        lock(&state.loaded).insert(name.to_owned(), module.clone());
        Ok(module)
    }
}
