//! Being process 1, as in a container. The kernel gives it the orphans of all processes, which stay as zombies unless it
//! reaps them, and keeps signals from it that it has not asked for. So this process does that and nothing else, and a child
//! of it is the program: whose own children nobody else reaps.

use std::{
    future::poll_fn,
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
    task::Poll,
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use tokio::{
    runtime::Builder,
    signal::unix::{self, SignalKind},
};

use frontend::error::{CliError, os_error_text};
use frontend::signals::{is_ignored, listen};
use terminal::passphrase;

/// What is handed on, and what says that a child has ended.
const SIGNALS: [Signal; 4] = [Signal::TERM, Signal::INT, Signal::HUP, Signal::CHILD];

/// Whether this is process 1.
pub(crate) fn is_process_1() -> bool {
    std::process::id() == 1
}

/// Starts the program with the same arguments, hands signals on to it and reaps what ends, until it has ended: with its
/// exit code, or 128 and the number of the signal that ended it. The kernel then ends whatever is left.
pub(crate) fn run_as_process_1() -> Result<ExitCode, CliError> {
    let cannot = |error: &std::io::Error| CliError::usage("cannot start", os_error_text(error), "is /proc mounted?");
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| cannot(&error))?;
    runtime.block_on(async {
        // Before there is anyone to be told of them: none is lost.
        let mut signals = Vec::new();
        for signal in SIGNALS {
            let kind = SignalKind::from_raw(signal.as_raw());
            if !is_ignored(kind) {
                signals.push((listen(kind)?, signal));
            }
        }
        let mut command = Command::new("/proc/self/exe");
        // A Ctrl-C in a container's terminal is handed on, and would otherwise come twice.
        command.arg0("circles").args(std::env::args_os().skip(1)).process_group(0);
        // It needs none, and whoever sees its environment is to see none.
        let child = passphrase::remove_variables(&mut command).spawn().map_err(|error| cannot(&error))?;
        let program = Pid::from_child(&child);
        loop {
            match next(&mut signals).await {
                Signal::CHILD => {
                    if let Some(code) = reap(program) {
                        return Ok(code);
                    }
                }
                // Its id is its own until it is reaped, here.
                signal => drop(kill_process(program, signal)),
            }
        }
    })
}

async fn next(signals: &mut [(unix::Signal, Signal)]) -> Signal {
    poll_fn(|context| {
        let signal =
            signals.iter_mut().find_map(|(stream, signal)| stream.poll_recv(context).is_ready().then_some(*signal));
        signal.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

/// Reaps all that have ended; the exit code of the program, once it is one of them.
fn reap(program: Pid) -> Option<ExitCode> {
    while let Ok(Some((ended, status))) = wait(WaitOptions::NOHANG) {
        if ended == program {
            let code = status.exit_status().or_else(|| Some(128 + status.terminating_signal()?));
            return Some(ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)));
        }
    }
    None
}
