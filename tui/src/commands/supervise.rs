//! `circles supervise`: what `circles up` starts, away from its terminal.

use std::fs::File;

use launcher::Supervision;
use rustix::stdio::{dup2_stderr, dup2_stdout};

use crate::{
    cli::LaunchArgs,
    commands::serve::shutdown_at,
    config, connect,
    error::{CliError, os_text},
    printing::to_stdout,
    supervisor,
    terminal::outlive_full_files,
};

pub(crate) fn run(args: &LaunchArgs) -> Result<(), CliError> {
    // It leads no process group, having just been started in that of `circles up`: nothing but that could be in the way.
    let _leads_already = rustix::process::setsid();
    let place = supervisor::place(&args.config)?;
    config::circles(&args.config, &args.names)?;
    let runtime = connect::runtime()?;
    outlive_full_files(&runtime)?;
    // Who started it sees to it that there is no other but one that is ending.
    let held = place.lock_supervisor()?;
    runtime.block_on(async {
        let begin = supervisor::begin(&place, &args.names, false, supervisor::Hangup::Reloads)?;
        let supervision =
            launcher::supervisor::start(place, held, begin, shutdown_at(&supervisor::Hangup::Reloads.ends())?);
        // What happens is in the logs of the circles; nobody listens here.
        let Supervision { ended, .. } = supervision?;
        match to_stdout(&format!("{}\n", supervisor::LISTENING)).map_err(CliError::from) {
            // Who started it has gone; the circles are wanted all the same.
            Ok(()) | Err(CliError::OutputGone) => {}
            Err(error) => return Err(error),
        }
        leave_terminal().map_err(|error| CliError::usage("cannot leave the terminal", os_text(&error), ""))?;
        // Those that failed are told by `status`.
        let _failed = ended.await;
        Ok(())
    })
}

/// Whatever it writes from now on goes nowhere.
fn leave_terminal() -> std::io::Result<()> {
    let nowhere = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdout(&nowhere)?;
    dup2_stderr(&nowhere)?;
    Ok(())
}
