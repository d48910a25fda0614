//! `circles repl [WHERE]`.

use crate::{cli::ReplArgs, error::CliError, repl};

pub(crate) fn run(args: &ReplArgs) -> Result<(), CliError> {
    repl::run(args)
}
