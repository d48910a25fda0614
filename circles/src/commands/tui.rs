//! `circles tui [WHERE]`.

use frontend::{error::CliError, target};

use crate::cli::TuiArgs;

pub(crate) fn run(args: &TuiArgs) -> Result<std::process::ExitCode, CliError> {
    ::tui::run(target::argument_or_env(args.target.as_deref()), args.connect.options())
}
