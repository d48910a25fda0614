//! `circles tui [WHERE]`.

use frontend::{error::CliError, target};
use terminal::modes;

use crate::cli::TuiArgs;

pub(crate) fn run(args: &TuiArgs) -> Result<std::process::ExitCode, CliError> {
    if modes::is_dumb() {
        return Err(CliError::usage(
            "cannot open the screen of circles tui",
            "the terminal can neither move its cursor nor show colours (TERM)",
            "use circles repl, or set TERM to what your terminal is",
        ));
    }
    ::tui::run(target::argument_or_env(args.target.as_deref()), args.connect.options(), args.console.settings())
}
