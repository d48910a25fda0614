//! Modules for `import`: the Rhai files below one directory.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    io::Read,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rhai::{Engine, EvalAltResult, ImmutableString, Module, ModuleResolver, Position, Scope, ScriptFuncDef, Shared};

use super::{compile::compile, isolated_modules::EvaluatedScript};

type SharedModule = Shared<Module>;

/// Maximum size of a module, in bytes.
const MAX_MODULE_BYTES: u64 = 1 << 20;

/// Maximum size of all modules together, in bytes.
const MAX_TOTAL_BYTES: usize = 16 << 20;

/// The sources of the modules below a directory, by their names in `import`. They are read once, before the worker is
/// sealed and can no longer open files.
#[derive(Debug, Clone, Default)]
pub(crate) struct ModuleSources(Arc<BTreeMap<String, Result<String, String>>>);

impl ModuleSources {
    /// Reads the modules. The error of an unreadable module is reported when a script imports it.
    pub(crate) fn read(directory: Option<&Path>) -> Self {
        let Some(directory) = directory.and_then(|directory| directory.canonicalize().ok()) else {
            return Self::default();
        };
        let mut room = MAX_TOTAL_BYTES;
        let read = |name: String| {
            // The canonical path ensures that no symbolic link leads out of the directory.
            let file = directory.join(format!("{name}.rhai")).canonicalize().ok()?;
            let source = file.starts_with(&directory).then(|| read(&file).map_err(|error| error.to_string()))?;
            let source = source.and_then(|source| {
                room = room.checked_sub(source.len()).ok_or("all modules together are larger than 16 MiB")?;
                Ok(source)
            });
            Some((name, source))
        };
        Self(Arc::new(module_names(&directory).unwrap_or_default().into_iter().filter_map(read).collect()))
    }

    /// The names of the modules, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// A digest of the modules below a directory, which differs if their content differs. Reads all modules, at most 16
/// MiB.
pub fn modules_digest(directory: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    ModuleSources::read(Some(directory)).0.hash(&mut hasher);
    hasher.finish()
}

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
        let source = state.sources.0.get(name).ok_or_else(not_found)?;
        if let Some(module) = lock(&state.loaded).get(name) {
            return Ok(module.clone());
        }
        let in_module =
            |error: Box<EvalAltResult>| Box::new(EvalAltResult::ErrorInModule(name.into(), error, position));
        // Rhai does not limit the depth of imports, so a cycle would exhaust the stack.
        if lock(&state.loading).iter().any(|loading| loading == name) {
            return Err(in_module("the module imports itself, directly or through another module".into()));
        }
        let script = source.as_ref().map_err(|error| in_module(error.as_str().into()))?;
        lock(&state.loading).push(name.to_owned());
        let module = self.load(engine, name, script);
        lock(&state.loading).pop();
        let module = SharedModule::new(module.map_err(in_module)?);
        lock(&state.loaded).insert(name.to_owned(), module.clone());
        Ok(module)
    }
}

/// Maximum depth of folders below the directory.
const MAX_DEPTH: usize = 8;

/// Maximum number of modules of a directory.
const MAX_NAMES: usize = 1000;

/// Maximum number of files and folders. A larger directory is probably the wrong one.
const MAX_ENTRIES: usize = 10_000;

/// Lists the names of the modules below a directory for `import`, sorted; at most 1,000, in at most eight levels of
/// folders.
///
/// Each folder is visited once, even if several links lead to it. Links out of the directory are not followed, and
/// unreadable entries are skipped.
///
/// # Errors
///
/// Returns an error if the directory cannot be read, or has more than 10,000 files and folders below it.
pub fn module_names(directory: &Path) -> std::io::Result<Vec<String>> {
    let root = directory.canonicalize()?;
    let (mut names, mut entries, mut seen) = (Vec::new(), 0_usize, BTreeSet::new());
    // Visit links last, so that a folder gets its name without links.
    let (mut folders, mut links) = (vec![(root.clone(), String::new(), 0)], VecDeque::new());
    while let Some((path, prefix, depth)) = folders.pop().or_else(|| links.pop_front()) {
        let folder = match std::fs::metadata(&path).and_then(|found| Ok((found, std::fs::read_dir(&path)?))) {
            Ok((found, folder)) if seen.insert((found.dev(), found.ino())) => folder,
            Err(error) if depth == 0 => return Err(error),
            _ => continue,
        };
        for entry in folder.flatten() {
            entries += 1;
            if entries > MAX_ENTRIES {
                let why = format!("there are more than {MAX_ENTRIES} files and folders below it");
                return Err(std::io::Error::other(why));
            }
            let Ok(name) = entry.file_name().into_string() else { continue };
            // The metadata of the link's target. Whether that is below the directory is checked on reading.
            let (path, is_link) = (entry.path(), entry.file_type().is_ok_and(|kind| kind.is_symlink()));
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            if metadata.is_dir() && depth < MAX_DEPTH {
                let folder = (path, format!("{prefix}{name}/"), depth + 1);
                if !is_link {
                    folders.push(folder);
                } else if folder.0.canonicalize().is_ok_and(|target| target.starts_with(&root)) {
                    links.push_back(folder);
                }
            } else if metadata.is_file()
                && let Some(stem) = name.strip_suffix(".rhai")
                && names.len() < MAX_NAMES
            {
                names.push(format!("{prefix}{stem}"));
            }
        }
    }
    names.sort();
    Ok(names)
}

fn read(file: &Path) -> std::io::Result<String> {
    let mut script = String::new();
    let length = std::fs::File::open(file)?.take(MAX_MODULE_BYTES + 1).read_to_string(&mut script)?;
    if length as u64 > MAX_MODULE_BYTES {
        return Err(std::io::Error::other("the module is larger than 1 MiB"));
    }
    Ok(script)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn module_names_lists_linked_folder_once() {
        let home = tempfile::tempdir().expect("a directory");
        let at = |name: &str| home.path().join(name);
        std::fs::create_dir_all(at("modules/deep/er")).expect("made");
        std::fs::create_dir(at("outside")).expect("made");
        for file in ["modules/a.rhai", "modules/deep/er/b.rhai", "outside/c.rhai"] {
            std::fs::write(at(file), "").expect("written");
        }
        // Without the check, these links would lead to a billion names: nine folders in each of nine folders, and so
        // on.
        for number in 0..9 {
            symlink(".", at(&format!("modules/l{number}"))).expect("linked");
            symlink("../..", at(&format!("modules/deep/er/l{number}"))).expect("linked");
        }
        symlink(at("outside"), at("modules/out")).expect("linked");
        symlink("/", at("modules/all")).expect("linked");
        assert_eq!(module_names(&at("modules")).expect("it can be read"), ["a", "deep/er/b"]);
    }

    #[test]
    fn module_names_rejects_too_large_directory() {
        let home = tempfile::tempdir().expect("a directory");
        for number in 0..=MAX_ENTRIES {
            std::fs::write(home.path().join(number.to_string()), "").expect("written");
        }
        let error = module_names(home.path()).expect_err("there are too many");
        assert_eq!(error.to_string(), "there are more than 10000 files and folders below it");
    }
}
