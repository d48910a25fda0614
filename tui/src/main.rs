//! `circles`: play Rhai in live circles, keep the keys to them, serve one.

mod cli;
mod commands;
mod connect;
mod error;
mod passphrase;
mod place;
mod printing;
mod repl;
mod terminal;
mod throwaway;

use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all: this same executable is what evaluates scripts, in processes of their own.
    worker::run_if_worker();
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("error: this is a bug in circles: {panic}\n  please report it, with what you did");
    }));
    // The hook has said it; what is left is the exit code.
    std::panic::catch_unwind(cli::main).unwrap_or(ExitCode::from(error::BUG))
}
