//! The executable of workers.

use std::{io, path::PathBuf};

/// The executable that a worker runs. It must call [`run_if_worker`](crate::run_if_worker) first in its `main`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Program {
    /// The running executable, even if its file has been replaced.
    #[default]
    SameExecutable,
    /// Another executable, for test harnesses.
    File(PathBuf),
}

impl Program {
    /// The path of the executable.
    ///
    /// # Errors
    ///
    /// Returns an error if the running program cannot determine its own path.
    pub fn path(self) -> io::Result<PathBuf> {
        match self {
            Self::File(path) => Ok(path),
            Self::SameExecutable if cfg!(target_os = "linux") => Ok("/proc/self/exe".into()),
            Self::SameExecutable => std::env::current_exe(),
        }
    }
}
