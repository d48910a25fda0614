//! `circles repl [WHERE]`.

use crate::cli::ReplArgs;
use frontend::error::CliError;

pub(crate) fn run(args: &ReplArgs) -> Result<(), CliError> {
    let asked = args.place.as_deref().or(args.circle.as_deref());
    ::repl::run(asked, &args.connect.options(), args.edit_mode)
}
