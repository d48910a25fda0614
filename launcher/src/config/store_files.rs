//! The files of stores, each of which belongs to one circle.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The files of stores with the names of their circles.
#[derive(Default)]
pub(super) struct StoreFiles(BTreeMap<PathBuf, String>);

impl StoreFiles {
    /// Adds the file of a circle. Returns the name of another circle that has the same file.
    pub(super) fn insert(&mut self, file: &Path, circle: &str) -> Option<String> {
        self.0.insert(real_path(file), circle.to_owned())
    }
}

/// Returns the path without links, as far as it exists: a circle creates its file when it starts first.
fn real_path(file: &Path) -> PathBuf {
    let directory = || {
        let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(directory.canonicalize().ok()?.join(file.file_name()?))
    };
    file.canonicalize().ok().or_else(directory).unwrap_or_else(|| file.to_owned())
}
