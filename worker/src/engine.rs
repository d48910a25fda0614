//! The Rhai engine of a worker: its restrictions, limits, and the outcomes of scripts.
//!
//! Runs in the worker, and in the fork server before the first fork. It depends on neither sockets nor sessions.

mod build;
mod caller;
mod clock;
mod collections;
mod compile;
mod failure;
mod function_sources;
mod host_functions;
mod isolated_modules;
mod meter;
mod modules;
mod monitor;
mod natives;
mod position;
mod random;
mod renderer;
mod scanner;
mod script_cache;
mod sizes;
mod sortable;
mod trace;
mod unique_id;

pub(crate) use build::{build, parser};
pub(crate) use caller::Caller;
pub(crate) use compile::{compile, is_doc};
pub(crate) use failure::{exit_value, parse_failure, parse_message, run_failure, runtime_error};
pub(crate) use function_sources::FunctionSources;
pub(crate) use host_functions::{HiddenFunctions, named_value, register_host};
pub(crate) use isolated_modules::{EvaluatedScript, PreparedCall, evaluate};
pub(crate) use meter::{INIT_PLAY, Meter};
pub(crate) use modules::ModuleLoader;
pub(crate) use monitor::PlayMonitor;
pub(crate) use natives::set_natives;
pub(crate) use position::to_position;
pub(crate) use renderer::Renderer;
pub(crate) use scanner::{Scanner, TextEnd, Token};
pub(crate) use script_cache::ScriptCache;
pub(crate) use sizes::{VariableSizes, exceeded_size};
pub(crate) use trace::{FileSource, Sources, TraceRoot};
