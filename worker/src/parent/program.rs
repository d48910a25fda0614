//! Which executable the processes of this crate run.

use std::{io, path::PathBuf};

/// Which executable a worker runs. It must call [`run_if_worker`](crate::run_if_worker) first thing in its `main`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Program {
    /// The one that is running, even if the file was replaced since.
    #[default]
    SameExecutable,
    /// Another one, for test harnesses.
    File(PathBuf),
}

impl Program {
    /// What is executed. The error is that this program cannot find itself.
    pub fn path(self) -> io::Result<PathBuf> {
        match self {
            Self::File(path) => Ok(path),
            Self::SameExecutable if cfg!(target_os = "linux") => Ok("/proc/self/exe".into()),
            Self::SameExecutable => std::env::current_exe(),
        }
    }
}
