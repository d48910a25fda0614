//! `circles repl [WHERE]`. Without a terminal it plays all of standard input as one script.

use std::io::{IsTerminal, stdin};

use frontend::error::CliError;

use super::play;
use crate::cli::ReplArgs;

pub(crate) fn run(args: &ReplArgs) -> Result<(), CliError> {
    let circle = args.target.as_deref().or(args.circle.as_deref());
    let options = args.connect.options();
    if stdin().is_terminal() {
        ::repl::run(circle, &options, &args.console.settings())
    } else {
        play::run_piped(circle, &options)
    }
}
