//! Init process (process 1), as in a container. The kernel makes process 1 the parent of all orphans, which stay zombies
//! until it reaps them, and drops signals that process 1 has no handler for. So this process only reaps and forwards
//! signals, and runs the program as a child. The program's own children stay the program's to reap.

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

/// Signals that are forwarded, and SIGCHLD.
const SIGNALS: [Signal; 4] = [Signal::TERM, Signal::INT, Signal::HUP, Signal::CHILD];

/// Returns whether this process is process 1.
pub(crate) fn is_process_1() -> bool {
    std::process::id() == 1
}

/// Runs the program with the same arguments, forwards signals to it and reaps orphans until the program has ended.
/// Returns the program's exit code, or 128 plus the number of the signal that killed it. The kernel then kills all
/// remaining processes.
pub(crate) fn run_as_process_1() -> Result<ExitCode, CliError> {
    let cannot = |error: &std::io::Error| CliError::usage("cannot start", os_error_text(error), "is /proc mounted?");
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| cannot(&error))?;
    runtime.block_on(async {
        // Before the program starts, so that no signal is lost.
        let mut signals = Vec::new();
        for signal in SIGNALS {
            let kind = SignalKind::from_raw(signal.as_raw());
            if !is_ignored(kind) {
                signals.push((listen(kind)?, signal));
            }
        }
        let mut command = Command::new("/proc/self/exe");
        // In a process group of its own: a Ctrl-C in the container's terminal is forwarded, and would otherwise arrive twice.
        command.arg0("circles").args(std::env::args_os().skip(1)).process_group(0);
        // The program takes no passphrase from its environment, which other processes can read.
        let child = passphrase::remove_variables(&mut command).spawn().map_err(|error| cannot(&error))?;
        let program = Pid::from_child(&child);
        loop {
            match next(&mut signals).await {
                Signal::CHILD => {
                    if let Some(code) = reap(program) {
                        return Ok(code);
                    }
                }
                // The process id cannot be reused before it is reaped, here.
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

/// Reaps all ended processes; returns the exit code of the program if it is among them.
fn reap(program: Pid) -> Option<ExitCode> {
    while let Ok(Some((ended, status))) = wait(WaitOptions::NOHANG) {
        if ended == program {
            let code = status.exit_status().or_else(|| Some(128 + status.terminating_signal()?));
            return Some(ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)));
        }
    }
    None
}
