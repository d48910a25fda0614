//! The functions of a circle: named, typed procedures that run as the circle, for callers whose role may call them.
//!
//! `files` reads them, `catalog` knows their names and types, `workers` has the processes in which they run, and a
//! `Generation` is one version of all of that: a reload makes a new one, and the calls of the old one end on it.

mod catalog;
mod contract;
mod error;
mod files;
mod generation;
mod program_functions;
mod workers;

pub(crate) use catalog::{CircleFunction, FunctionBody};
pub(crate) use contract::Contracts;
pub use error::{FunctionFault, FunctionsError};
pub(crate) use files::read_directory;
pub(crate) use generation::Generation;
pub(crate) use workers::PooledWorker;

/// The module under which plays, and functions in other files, call the functions of the circle.
pub(crate) const NAMESPACE: &str = "circle";
