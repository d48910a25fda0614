//! The errors of [`CircleBuilder::build`](super::builder::CircleBuilder::build).

use std::path::PathBuf;

use functions::roles::RoleFault;
use keys::RandomError;
use store::OpenError;
use worker::HostNameError;

use crate::{
    circle_functions::{FunctionsError, NAMESPACE},
    circle_store::StoreLocation,
    rights,
};

/// The error of [`CircleBuilder::build`](crate::CircleBuilder::build).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The circle has no workers to evaluate scripts.
    #[error(
        "the circle has no workers: call worker::run_if_worker() first in main, or set Workers::Process or Workers::TrustedThreads"
    )]
    NoWorkers,
    /// The program called [`worker::run_if_worker`] after it had started a thread, so no worker can be forked.
    #[error(
        "worker::run_if_worker() was called after another thread had been started: call it first in main, and start the \
         runtime after it (not #[tokio::main], which starts one before)"
    )]
    WorkersTooLate,
    /// [`Sandbox::Required`](crate::Sandbox::Required) is set, and threads of this program have no sandbox.
    #[error(
        "Workers::TrustedThreads have no sandbox, which Sandbox::Required demands: set Workers::SameExecutable or Sandbox::BestEffort"
    )]
    NoSandbox,
    /// The name is not a valid name of a circle.
    #[error(
        "invalid circle name {name:?}: use up to 64 lower-case letters, digits and dashes, with at least one letter"
    )]
    BadName {
        /// The invalid name.
        name: String,
    },
    /// A limit is 0. Rhai takes 0 for "no limit", and a circle with no connections or no workers is useless.
    #[error("the limit {name} cannot be 0: set it to 1 or more")]
    ZeroLimit {
        /// The name of the limit.
        name: String,
    },
    /// The name of a host module, of a host function or of a parameter is invalid.
    #[error("invalid host module: {0}")]
    HostName(#[from] HostNameError),
    /// The roles or the members are invalid.
    #[error("invalid roles: {}", rights::list(.0))]
    Roles(Vec<RoleFault>),
    /// The functions have mistakes.
    #[error("the functions have mistakes:\n{0}")]
    Functions(#[from] FunctionsError),
    /// The directory of functions cannot be read.
    #[error("cannot read the functions in {}: {source}", directory.display())]
    FunctionFiles {
        /// The directory.
        directory: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// There are functions and no roles, so nobody could call a function.
    #[error("the circle has functions and no roles, so nobody could call them: set CircleBuilder::roles")]
    FunctionsWithoutRoles,
    /// A host module has the name of the module of the circle's functions.
    #[error(
        "the host module '{NAMESPACE}' has the name under which scripts call the functions of the circle: rename it"
    )]
    NamespaceTaken,
    /// A host module has the name of a module of the store.
    #[error("the host module '{name}' has the name of a module that a circle with a store has: rename it")]
    StoreModuleTaken {
        /// The name.
        name: String,
    },
    /// The store does not open.
    #[error("cannot open the store {}: {source}", location)]
    Store {
        /// Where the store is.
        location: StoreLocation,
        /// The cause.
        source: OpenError,
    },
    /// The operating system returned no random bytes for the circle's identity.
    #[error("cannot generate the circle's identity: {0}")]
    Random(#[from] RandomError),
    /// The directory of modules, which `describe` lists, cannot be read.
    #[error("cannot read the module directory {}: {source}", directory.display())]
    Modules {
        /// The directory.
        directory: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}
