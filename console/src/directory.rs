//! The directory of files and shell commands of a console, which `:cd` changes. The directory of the process stays, so
//! that the paths of everything else keep their meaning.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use frontend::{
    error::{CliError, os_error_text},
    visible::visible,
};

/// The directory in which the user's relative paths begin. All sessions of a console share it.
#[derive(Debug, Default)]
pub struct WorkingDirectory(
    /// `None` for the directory of the process.
    Mutex<Option<PathBuf>>,
);

impl WorkingDirectory {
    fn lock(&self) -> MutexGuard<'_, Option<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a path as the process can use it.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        match &*self.lock() {
            Some(directory) => directory.join(path),
            None => path.to_owned(),
        }
    }

    /// Changes the directory, and returns the new one. Blocks.
    ///
    /// # Errors
    ///
    /// The path is not a directory, or cannot be read.
    pub fn change(&self, to: &Path) -> Result<PathBuf, CliError> {
        let failed = |why: String| {
            let what = format!("cannot change to {}", visible(&to.display().to_string()));
            CliError::usage(what, why, "check its name; :cd shows the directory")
        };
        let directory = self.resolve(to).canonicalize().map_err(|error| failed(os_error_text(&error)))?;
        // Fails for a directory that the user may not enter.
        std::fs::metadata(directory.join(".")).map_err(|error| failed(os_error_text(&error)))?;
        *self.lock() = Some(directory.clone());
        Ok(directory)
    }

    /// Returns the directory. Blocks.
    ///
    /// # Errors
    ///
    /// The directory of the process was removed.
    pub fn current(&self) -> Result<PathBuf, CliError> {
        let changed = self.lock().clone();
        match changed {
            Some(directory) => Ok(directory),
            None => std::env::current_dir()
                .map_err(|error| CliError::io("cannot read the directory", &error, "change to another: :cd DIRECTORY")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_changes_the_meaning_of_relative_paths_alone() {
        let home = tempfile::tempdir().expect("a directory");
        let root = home.path().canonicalize().expect("it exists");
        std::fs::create_dir(root.join("sub")).expect("made");
        std::fs::write(root.join("file"), "").expect("written");
        let directory = WorkingDirectory::default();
        assert_eq!(directory.resolve(Path::new("x")), Path::new("x"));
        assert_eq!(directory.current().expect("it exists"), std::env::current_dir().expect("it exists"));
        assert_eq!(directory.change(&root).expect("it exists"), root);
        assert_eq!(directory.change(Path::new("sub")).expect("it exists"), root.join("sub"));
        for wrong in ["nowhere", "../file"] {
            let error = directory.change(Path::new(wrong)).expect_err(wrong);
            assert!(error.message().contains(&format!("cannot change to {wrong}")), "{}", error.message());
        }
        assert_eq!(directory.resolve(Path::new("x")), root.join("sub/x"));
        assert_eq!(directory.resolve(Path::new("/x")), Path::new("/x"));
        assert_eq!(directory.change(Path::new("..")).expect("it exists"), root);
    }
}
