//! The terminal while something else than the prompt has it, and the signals that come from it.

use std::{
    io::stdin,
    sync::atomic::{AtomicUsize, Ordering},
};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};

use crate::{error::CliError, printing};

/// How many [`Interrupts`] there are: while there is one, Ctrl-C is its own affair.
static CLAIMS: AtomicUsize = AtomicUsize::new(0);

/// Ends the process on SIGTERM, SIGHUP, and on Ctrl-C where nobody has claimed it, with the terminal as it is now: a
/// passphrase's question and a play have switched its echo off.
pub(crate) fn restore_on_signals(runtime: &Runtime) -> Result<(), CliError> {
    let _in_runtime = runtime.enter();
    let (mut terminate, mut hangup) = (listen(SignalKind::terminate())?, listen(SignalKind::hangup())?);
    let mut interrupt = listen(SignalKind::interrupt())?;
    let before = tcgetattr(stdin()).ok();
    runtime.spawn(async move {
        let number = loop {
            tokio::select! {
                _ = terminate.recv() => break SignalKind::terminate(),
                _ = hangup.recv() => break SignalKind::hangup(),
                _ = interrupt.recv() => if CLAIMS.load(Ordering::SeqCst) == 0 {
                    break SignalKind::interrupt();
                },
            }
        };
        restore(before.as_ref());
        printing::to_stderr("\n");
        // As a shell says it of a process that a signal ended.
        std::process::exit(128 + number.as_raw_value());
    });
    Ok(())
}

fn listen(kind: SignalKind) -> Result<Signal, CliError> {
    signal(kind).map_err(|error| CliError::io("cannot listen to signals", &error, ""))
}

fn restore(before: Option<&Termios>) {
    if let Some(before) = before {
        // Not `Flush`, which would throw away what was typed ahead. If it fails, nothing can be done about it here.
        let _untidy = tcsetattr(stdin(), OptionalActions::Now, before);
    }
}

/// Ctrl-C, claimed: it ends nothing by itself. One that comes while nobody waits is kept.
pub(crate) struct Interrupts {
    signal: Signal,
}

impl Interrupts {
    /// To be called where there is a runtime.
    pub(crate) fn claim() -> Result<Self, CliError> {
        let signal = listen(SignalKind::interrupt())?;
        CLAIMS.fetch_add(1, Ordering::SeqCst);
        Ok(Self { signal })
    }

    /// Waits for the next one. Cancel safe.
    pub(crate) async fn next(&mut self) {
        self.signal.recv().await;
    }

    /// Forgets one that nobody waited for.
    pub(crate) async fn forget(&mut self) {
        tokio::select! {
            biased;
            _ = self.signal.recv() => {}
            () = std::future::ready(()) => {}
        }
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        CLAIMS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Keeps what is typed ahead from being echoed into a play's output; it arrives at the next prompt. Ctrl-C stays a
/// signal. The terminal is as it was when this is dropped.
pub(crate) struct Quiet {
    before: Option<Termios>,
}

impl Quiet {
    pub(crate) fn begin() -> Self {
        let before = tcgetattr(stdin()).ok();
        if let Some(before) = &before {
            let mut quiet = before.clone();
            quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON);
            // Without it the play is only less tidy.
            let _untidy = tcsetattr(stdin(), OptionalActions::Now, &quiet);
        }
        Self { before }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        restore(self.before.as_ref());
    }
}
