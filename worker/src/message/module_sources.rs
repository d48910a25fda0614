//! The sources of modules.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

/// The sources of the modules that scripts can import, by their names in `import`. Clones share the sources.
///
/// [`read`](Self::read) reads them from a directory. The default is no module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleSources(Arc<BTreeMap<String, Result<String, String>>>);

impl ModuleSources {
    /// The names of the modules, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The source of a module, or the reason why the module has none, which a script that imports the module gets.
    pub fn get(&self, name: &str) -> Option<Result<&str, &str>> {
        self.0.get(name).map(|source| source.as_deref().map_err(String::as_str))
    }

    /// The modules with their sources or errors, sorted by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Result<&str, &str>)> {
        self.0.iter().map(|(name, source)| (name.as_str(), source.as_deref().map_err(String::as_str)))
    }
}

impl FromIterator<(String, Result<String, String>)> for ModuleSources {
    fn from_iter<T: IntoIterator<Item = (String, Result<String, String>)>>(modules: T) -> Self {
        Self(Arc::new(modules.into_iter().collect()))
    }
}
