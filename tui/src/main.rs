//! `circles`: play Rhai in live circles, keep the keys to them, serve one. The library of the same name is all of it.

use std::process::ExitCode;

fn main() -> ExitCode {
    circles::main()
}
