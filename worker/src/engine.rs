//! Rhai as scripts meet it: what they may do, what they use, and what comes of them.
//!
//! Runs in the worker, and in the fork server before the first fork; of modules' names and digests, in the program, too.
//! It knows no socket and no session.

mod build;
mod cache;
mod compile;
mod failure;
mod host;
mod meter;
mod modules;
mod natives;
mod position;
mod scanner;
mod sizes;
mod value;

pub(crate) use build::build;
pub(crate) use cache::Cache;
pub(crate) use failure::{exit_value, parse_failure, run_failure};
pub(crate) use host::register_host;
pub(crate) use meter::{INIT_PLAY, Meter, Watch};
pub(crate) use modules::Sources;
pub use modules::{module_names, modules_digest};
pub(crate) use natives::set_natives;
pub(crate) use scanner::{Scanner, TextEnd, Token};
pub(crate) use sizes::VariableSizes;
pub(crate) use value::Renderer;
