//! What `import` may read: Rhai files below one directory, and nothing else.

use std::{
    cell::RefCell,
    collections::HashMap,
    io::Read,
    path::{Component, Path, PathBuf},
};

use rhai::{Engine, EvalAltResult, Module, ModuleResolver, Position, Scope, Shared};

use crate::compile::compile;

type SharedModule = Shared<Module>;

/// Bytes of one module.
const MAX_MODULE: u64 = 1 << 20;

/// Resolves `import "a/b"` to `a/b.rhai` below its directory, compiled once for each environment.
pub(crate) struct Modules {
    directory: Option<PathBuf>,
    loaded: RefCell<HashMap<PathBuf, SharedModule>>,
}

impl Modules {
    pub(crate) fn new(directory: Option<PathBuf>) -> Self {
        Self { directory, loaded: RefCell::default() }
    }

    /// The file of a module; `None` if the name leads anywhere but below the directory.
    fn file(&self, name: &str) -> Option<PathBuf> {
        let directory = self.directory.as_ref()?.canonicalize().ok()?;
        let is_plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if name.is_empty() || name.contains('\0') || !is_plain {
            return None;
        }
        // Canonical, so that no symbolic link leads out.
        let file = directory.join(format!("{name}.rhai")).canonicalize().ok()?;
        file.starts_with(&directory).then_some(file)
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
        let file = self.file(name).ok_or_else(not_found)?;
        if let Some(module) = self.loaded.borrow().get(&file) {
            return Ok(module.clone());
        }
        let in_module =
            |error: Box<EvalAltResult>| Box::new(EvalAltResult::ErrorInModule(name.into(), error, position));
        let script = read(&file).map_err(|error| in_module(error.to_string().into()))?;
        let ast = compile(engine, &script).map_err(|error| in_module(error.into()))?;
        let module = Module::eval_ast_as_new(Scope::new(), &ast, engine).map_err(in_module)?;
        let module = SharedModule::new(module);
        self.loaded.borrow_mut().insert(file, module.clone());
        Ok(module)
    }
}

/// The names that `import` takes in a directory, sorted; at most a thousand, four folders deep.
pub fn module_names(directory: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    let mut folders = vec![(directory.to_owned(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if entry.file_type()?.is_dir() && depth < 4 {
                folders.push((entry.path(), format!("{prefix}{name}/"), depth + 1));
            } else if let Some(stem) = name.strip_suffix(".rhai")
                && names.len() < 1000
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
