//! What a worker is started with.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::host::HostModule;

/// What a worker is made with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerSetup {
    /// What scripts see as `CIRCLE_NAME`.
    pub circle: String,
    /// What its plays may take.
    pub limits: WorkerLimits,
    /// The one directory that `import` reads; without one, nothing can be imported.
    pub modules: Option<PathBuf>,
    /// A script whose functions, constants and variables are there before the first play. What it prints is dropped; if it
    /// fails, every play fails as it did.
    pub init: Option<String>,
    /// Functions of the program's own that scripts may call; each call is an [`Event::HostCall`](crate::Event::HostCall).
    pub host: Vec<HostModule>,
    /// Whether the process ends instead, where it cannot be kept from the system ([`Layer::Syscalls`](crate::Layer::Syscalls)).
    pub must_be_sealed: bool,
}

/// What one play may take, enforced inside the worker. Time is not among them: it belongs to the other end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerLimits {
    /// Operations, as Rhai counts them, callbacks included.
    pub operations: Option<u64>,
    /// Bytes that may be printed (256 more counted for each print), and that the value may have as text or as JSON.
    pub output_bytes: u64,
    /// How deep functions may call each other.
    pub call_depth: u64,
    /// How deep an expression may nest.
    pub expression_depth: u64,
    /// Bytes of one string.
    pub string_bytes: u64,
    /// Items of one array or blob.
    pub array_items: u64,
    /// Properties of one map.
    pub map_items: u64,
    /// Bytes that the arguments of one call of a host function may have, as JSON, and its result.
    pub host_bytes: u64,
    /// Live bytes of the process, beside what it has before the first play. Held where the program's allocator is
    /// [`Allocator`](crate::Allocator): a play that goes past them is ended at its next operation, and a process that
    /// would have twice as many, within one operation, ends.
    pub memory_bytes: u64,
}

impl Default for WorkerLimits {
    fn default() -> Self {
        Self {
            operations: None,
            output_bytes: 1 << 20,
            call_depth: 64,
            expression_depth: 64,
            string_bytes: 1 << 20,
            array_items: 100_000,
            map_items: 100_000,
            host_bytes: 256 << 10,
            memory_bytes: 64 << 20,
        }
    }
}
