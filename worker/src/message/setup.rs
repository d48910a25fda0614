//! The setup of a worker.

use serde::{Deserialize, Serialize};

use super::{call::FunctionFiles, host::HostModule, module_sources::ModuleSources, named_value::NamedValue};

/// The setup with which a worker is started. It is complete: a worker reads no files, so a setup means the same on every
/// machine with the same build.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerSetup {
    /// Constants that scripts see, in functions too. Definitions of a script hide them.
    ///
    /// The function `caller` returns the values of [`CALLER_PUBLIC_KEY`](crate::CALLER_PUBLIC_KEY),
    /// [`CALLER_NAME`](crate::CALLER_NAME) and [`CALLER_ROLE`](crate::CALLER_ROLE). No definition hides them from it.
    pub constants: Vec<NamedValue>,
    /// The limits of plays.
    pub limits: WorkerLimits,
    /// The modules that scripts can import.
    pub modules: ModuleSources,
    /// The init script: defines functions, constants and variables before the first play. Its output is dropped. If it
    /// fails, every play fails with the same error.
    pub init: Option<String>,
    /// The host functions that scripts can call. Each call is a
    /// [`WorkerEvent::HostCall`](crate::WorkerEvent::HostCall).
    pub host: Vec<HostModule>,
    /// The files whose functions can be [called](crate::Worker::call). If the top level of one fails, every call fails
    /// with the same error.
    pub functions: Option<FunctionFiles>,
    /// Whether the process exits if it cannot be sealed ([`Layer::Syscalls`](crate::Layer::Syscalls)).
    pub must_be_sealed: bool,
}

/// The bytes that a print counts to [`WorkerLimits::output_bytes`] besides its text: about the cost of a frame for the
/// server and the connection.
pub const PRINT_COST: u64 = 256;

/// The limits of one play, enforced inside the worker. The server enforces time limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerLimits {
    /// Maximum number of operations, as Rhai counts them, including callbacks.
    pub operations: Option<u64>,
    /// Maximum number of printed bytes (each print counts [`PRINT_COST`] more), and maximum size of the value as text or as JSON.
    pub output_bytes: u64,
    /// Maximum depth of function calls.
    pub call_depth: u64,
    /// Maximum nesting depth of an expression.
    pub expression_depth: u64,
    /// Maximum size of a string, in bytes.
    pub string_bytes: u64,
    /// Maximum number of items of an array or blob.
    pub array_items: u64,
    /// Maximum number of properties of a map.
    pub map_items: u64,
    /// Maximum size of the arguments of a host call, and of its result, as JSON, in bytes.
    pub host_bytes: u64,
    /// Maximum number of live bytes of the process, not counting those before the first play.
    ///
    /// Enforced if the program's global allocator is [`Allocator`](struct@crate::Allocator). A play that exceeds the limit
    /// ends at its next operation; a process that exceeds twice the limit within one operation exits.
    pub memory_bytes: u64,
}

impl Default for WorkerLimits {
    fn default() -> Self {
        Self {
            operations: None,
            output_bytes: 1 << 20,
            call_depth: 256,
            expression_depth: 64,
            string_bytes: 1 << 20,
            array_items: 100_000,
            map_items: 100_000,
            host_bytes: 256 << 10,
            memory_bytes: 64 << 20,
        }
    }
}
