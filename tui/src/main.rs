//! `circles`: play Rhai in live circles, keep the keys to them, serve one.

mod cli;
mod commands;
mod config;
mod connect;
mod console;
mod error;
mod passphrase;
mod place;
mod printer;
mod printing;
mod repl;
mod script;
mod suggest;
mod terminal;
mod throwaway;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Verb};

fn main() -> ExitCode {
    // First of all: this same executable is what evaluates scripts, in processes of their own.
    worker::run_if_worker();
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("error: this is a bug in circles: {panic}\n  please report it, with what you did");
    }));
    // The hook has said it; what is left is the exit code.
    std::panic::catch_unwind(run).unwrap_or(ExitCode::from(error::BUG))
}

const WELCOME: &str = "\
circles: live Rhai, with keys that prove who you are

  circles repl              type Rhai now, on a throw-away circle
  circles serve --port 9001 serve a circle; then, elsewhere: circles repl 9001
  circles keygen alice      make a key to prove who you are

circles --help lists everything.
";

/// Parse, dispatch, exit code.
fn run() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.verb {
        None => printing::to_stdout(WELCOME).map_err(Into::into),
        Some(Verb::Repl(args)) => commands::repl::run(&args),
        Some(Verb::Play(args)) => commands::play::run(&args),
        Some(Verb::Keygen(args)) => commands::keygen::run(&args),
        Some(Verb::Keys(verb)) => commands::keys::run(&verb),
        Some(Verb::Check(args)) => commands::check::run(&args),
        Some(Verb::Launch(args)) => commands::launch::run(&args),
        Some(Verb::Serve(args)) => commands::serve::run(args),
        Some(Verb::Openrpc) => printing::to_stdout(protocol::OPENRPC).map_err(Into::into),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.report();
            ExitCode::from(error.exit_code())
        }
    }
}
