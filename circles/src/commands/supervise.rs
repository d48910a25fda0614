//! `circles supervise`: what `circles up` starts, away from its terminal.

use std::fs::File;

use launcher::{SupervisorHandle, supervisor_files::SupervisorFiles};
use rustix::stdio::{dup2_stderr, dup2_stdout};

use crate::{
    cli::{LaunchArgs, SuperviseArgs},
    commands::serve::shutdown::{RUNTIME_TIMEOUT, shutdown_at},
};
use frontend::{
    config,
    error::{CliError, os_error_text},
    supervisor,
};
use terminal::{modes::ignore_file_size_signal, output::to_stdout};

pub(crate) fn run(args: &SuperviseArgs) -> Result<(), CliError> {
    // It leads no process group, having just been started in that of `circles up`: nothing but that could be in the way.
    let _leads_already = rustix::process::setsid();
    let LaunchArgs { config, names } = &args.launch;
    let place = SupervisorFiles::create(&config::path(config.path())?, &args.run_directory, &args.state_directory)?;
    config::circles(config.path(), names)?;
    let runtime = terminal::runtime::runtime()?;
    ignore_file_size_signal(&runtime)?;
    // Who started it sees to it that there is no other but one that is ending.
    let lock = place.lock_supervisor()?;
    let done = runtime.block_on(async {
        let begin = supervisor::prepare_start(&place, names, false, supervisor::HangupAction::Reload)?;
        let supervision = launcher::supervisor::start(
            place,
            lock,
            begin,
            shutdown_at(&supervisor::HangupAction::Reload.end_signals())?,
        );
        // What happens is in the logs of the circles; nobody listens here.
        let SupervisorHandle { task: ended, .. } = supervision?;
        match to_stdout(&format!("{}\n", supervisor::LISTENING_LINE)).map_err(CliError::from) {
            // Who started it has gone; the circles are wanted all the same.
            Ok(()) | Err(CliError::OutputClosed) => {}
            Err(error) => return Err(error),
        }
        leave_terminal().map_err(|error| CliError::usage("cannot leave the terminal", os_error_text(&error), ""))?;
        // Those that failed are told by `status`.
        let _failed = ended.await;
        Ok(())
    });
    runtime.shutdown_timeout(RUNTIME_TIMEOUT);
    done
}

/// Whatever it writes from now on goes nowhere.
fn leave_terminal() -> std::io::Result<()> {
    let nowhere = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdout(&nowhere)?;
    dup2_stderr(&nowhere)?;
    Ok(())
}
