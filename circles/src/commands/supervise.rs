//! `circles supervise`: the supervisor in the background, started by `circles up`.

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
    // Fails only for the leader of a process group. This process was just started in the group of `circles up`.
    let _already_leader = rustix::process::setsid();
    let LaunchArgs { config, names, no_watch } = &args.launch;
    let files = SupervisorFiles::create(&config::path(config.path())?, &args.run_directory, &args.state_directory)?;
    config::circles(config.path(), names)?;
    let runtime = terminal::runtime::runtime()?;
    ignore_file_size_signal(&runtime)?;
    // The parent process has checked that any other supervisor is shutting down.
    let lock = files.lock_supervisor()?;
    let done = runtime.block_on(async {
        let options = supervisor::prepare_start(&files, names, false, supervisor::HangupAction::Reload, !no_watch)?;
        let supervision = launcher::supervisor::start(
            files,
            lock,
            options,
            shutdown_at(&supervisor::HangupAction::Reload.end_signals())?,
        );
        // Nobody reads events here: they are in the logs of the circles.
        let SupervisorHandle { task: ended, .. } = supervision?;
        match to_stdout(&format!("{}\n", supervisor::LISTENING_LINE)).map_err(CliError::from) {
            // The parent process is gone, but the circles should run nevertheless.
            Ok(()) | Err(CliError::OutputClosed) => {}
            Err(error) => return Err(error),
        }
        leave_terminal().map_err(|error| CliError::usage("cannot leave the terminal", os_error_text(&error), ""))?;
        // `circles status` shows failed circles.
        let _failed = ended.await;
        Ok(())
    });
    runtime.shutdown_timeout(RUNTIME_TIMEOUT);
    done
}

/// Redirects stdout and stderr to /dev/null.
fn leave_terminal() -> std::io::Result<()> {
    let nowhere = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdout(&nowhere)?;
    dup2_stderr(&nowhere)?;
    Ok(())
}
