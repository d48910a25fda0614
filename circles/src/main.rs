//! `circles`: play Rhai in live circles, keep the keys to them, serve one. The library of the same name is all of it.

use std::process::ExitCode;

/// In a worker it counts what a script has.
#[global_allocator]
static ALLOCATOR: worker::Allocator = worker::Allocator;

fn main() -> ExitCode {
    circles::main()
}
