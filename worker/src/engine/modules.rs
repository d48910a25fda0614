//! What `import` may read: Rhai files below one directory, and nothing else.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    io::Read,
    path::Path,
    rc::Rc,
};

use rhai::{Engine, EvalAltResult, Module, ModuleResolver, Position, Scope, Shared};

use super::compile::compile;

type SharedModule = Shared<Module>;

/// Bytes of one module.
const MAX_MODULE: u64 = 1 << 20;

/// Bytes of all of them.
const MAX_MODULES: usize = 16 << 20;

/// The sources of the modules below a directory, by the names that `import` takes. They are read once, before a worker is
/// sealed: from then on it can open nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources(Rc<BTreeMap<String, Result<String, String>>>);

impl Sources {
    /// What cannot be read is told to whoever imports it.
    pub(crate) fn read(directory: Option<&Path>) -> Self {
        let Some(directory) = directory.and_then(|directory| directory.canonicalize().ok()) else {
            return Self::default();
        };
        let mut room = MAX_MODULES;
        let read = |name: String| {
            // Canonical, so that no symbolic link leads out.
            let file = directory.join(format!("{name}.rhai")).canonicalize().ok()?;
            let source = file.starts_with(&directory).then(|| read(&file).map_err(|error| error.to_string()))?;
            let source = source.and_then(|source| {
                room = room.checked_sub(source.len()).ok_or("the modules are larger than 16 MiB together")?;
                Ok(source)
            });
            Some((name, source))
        };
        Self(Rc::new(module_names(&directory).unwrap_or_default().into_iter().filter_map(read).collect()))
    }

    /// The names, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// Tells apart what `import` may read in a directory: another number, another content. Reads all of it, 16 MiB at the most.
pub fn modules_digest(directory: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    Sources::read(Some(directory)).0.hash(&mut hasher);
    hasher.finish()
}

/// Resolves `import "a/b"`, compiled once for each environment.
pub(crate) struct Modules {
    sources: Sources,
    loaded: RefCell<HashMap<String, SharedModule>>,
    /// What is being loaded, each by an `import` in the one before.
    loading: RefCell<Vec<String>>,
}

impl Modules {
    pub(crate) fn new(sources: Sources) -> Self {
        Self { sources, loaded: RefCell::default(), loading: RefCell::default() }
    }
}

impl ModuleResolver for Modules {
    fn resolve(
        &self,
        engine: &Engine,
        _source: Option<&str>,
        name: &str,
        position: Position,
    ) -> Result<SharedModule, Box<EvalAltResult>> {
        let not_found = || EvalAltResult::ErrorModuleNotFound(name.into(), position);
        let source = self.sources.0.get(name).ok_or_else(not_found)?;
        if let Some(module) = self.loaded.borrow().get(name) {
            return Ok(module.clone());
        }
        let in_module =
            |error: Box<EvalAltResult>| Box::new(EvalAltResult::ErrorInModule(name.into(), error, position));
        // Rhai counts no depth there, and the stack would end.
        if self.loading.borrow().iter().any(|loading| loading == name) {
            return Err(in_module("the module imports itself, or another that imports it".into()));
        }
        let script = source.as_ref().map_err(|error| in_module(error.as_str().into()))?;
        self.loading.borrow_mut().push(name.to_owned());
        let module = compile(engine, script)
            .map_err(Into::into)
            .and_then(|ast| Module::eval_ast_as_new(Scope::new(), &ast, engine));
        self.loading.borrow_mut().pop();
        let module = SharedModule::new(module.map_err(in_module)?);
        self.loaded.borrow_mut().insert(name.to_owned(), module.clone());
        Ok(module)
    }
}

/// Folders below the directory that are looked into.
const MAX_DEPTH: usize = 8;

/// Modules that are known of a directory.
const MAX_NAMES: usize = 1000;

/// The names that `import` takes in a directory, sorted; at most a thousand, eight folders deep. What cannot be read in
/// it is passed over; the error is that it cannot be read itself.
pub fn module_names(directory: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    let mut folders = vec![(std::fs::read_dir(directory)?, String::new(), 0)];
    while let Some((folder, prefix, depth)) = folders.pop() {
        for entry in folder.flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            // Of what a link leads to; whether that is still below the directory is looked at when it is read.
            let Ok(metadata) = std::fs::metadata(entry.path()) else { continue };
            if metadata.is_dir() && depth < MAX_DEPTH {
                if let Ok(folder) = std::fs::read_dir(entry.path()) {
                    folders.push((folder, format!("{prefix}{name}/"), depth + 1));
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
    let length = std::fs::File::open(file)?.take(MAX_MODULE + 1).read_to_string(&mut script)?;
    if length as u64 > MAX_MODULE {
        return Err(std::io::Error::other("the module is larger than 1 MiB"));
    }
    Ok(script)
}
