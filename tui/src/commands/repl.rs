//! `circles repl [WHERE]`.

use crate::{cli::ReplArgs, connect, error::CliError, repl::Repl};

pub(crate) fn run(args: &ReplArgs) -> Result<(), CliError> {
    let runtime = connect::client_runtime()?;
    let asked = args.place.as_deref().or(args.circle.as_deref());
    let connected = connect::connect(&runtime, asked, &args.connect)?;
    Repl::new(runtime, connected)?.run()
}
