//! The reasons for which a circle cannot be made.

use std::path::PathBuf;

use keys::RandomError;
use worker::HostNameError;

/// Why a circle cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Nothing would evaluate scripts.
    #[error(
        "call worker::run_if_worker() first thing in main, name a program with Workers::Process, or say Workers::TrustedThreads"
    )]
    NoWorkers,
    /// A sandbox is required, and threads of this program cannot have one.
    #[error("Workers::TrustedThreads has no sandbox, and Sandbox::Required asks for one")]
    NoSandbox,
    /// The name cannot be one.
    #[error("the circle's name {name:?} is not of the form [a-z0-9-]+, with a letter, up to 64 characters")]
    BadName {
        /// As it was given.
        name: String,
    },
    /// Rhai takes zero for "no limit", and a circle without connections or workers is none.
    #[error("the limit {name} cannot be 0")]
    ZeroLimit {
        /// Its name.
        name: String,
    },
    /// Scripts could not call a host function.
    #[error("a host function cannot be offered: {0}")]
    HostName(#[from] HostNameError),
    /// The system has no random bytes for the circle's identity.
    #[error("cannot make the circle's identity: {0}")]
    Random(#[from] RandomError),
    /// `describe` lists what can be imported, and the directory cannot be read.
    #[error("cannot read the modules in {}: {source}", directory.display())]
    Modules {
        /// As it was given.
        directory: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}
