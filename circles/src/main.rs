//! The `circles` program. Its code is the library of the same name.

use std::process::ExitCode;

/// Counts the memory of scripts in a worker process.
#[global_allocator]
static ALLOCATOR: worker::Allocator = worker::Allocator;

fn main() -> ExitCode {
    circles::main()
}
