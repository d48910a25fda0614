//! The terminal while something else than the prompt has it, and the signals that come from it.

use std::{
    io::{IsTerminal, stdin, stdout},
    sync::atomic::{AtomicUsize, Ordering},
};

use rustix::termios::{InputModes, LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind},
};

use frontend::{
    error::CliError,
    signals::{is_ignored, listen},
};

/// How many [`Interrupts`] there are: while there is one, Ctrl-C is its own affair.
static INTERRUPT_CLAIMS: AtomicUsize = AtomicUsize::new(0);

/// Ends the process on SIGTERM, SIGHUP, and on Ctrl-C where nobody has claimed it, with the terminal as it is now: a
/// passphrase's question and the REPL switch its echo off. A signal that the process was started to ignore (`nohup`) stays
/// ignored.
pub fn restore_on_signals(runtime: &Runtime) -> Result<(), CliError> {
    let _in_runtime = runtime.enter();
    let before = tcgetattr(stdin()).ok();
    for kind in [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()] {
        if is_ignored(kind) {
            continue;
        }
        let (mut signal, before) = (listen(kind)?, before.clone());
        runtime.spawn(async move {
            loop {
                signal.recv().await;
                if kind != SignalKind::interrupt() || INTERRUPT_CLAIMS.load(Ordering::SeqCst) == 0 {
                    break;
                }
            }
            restore(before.as_ref());
            if stdout().is_terminal() {
                // The prompt has asked for pastes in brackets. Not through the lock, which a blocked write may hold.
                let _unrestored = rustix::io::write(stdout(), b"\x1b[?2004l\r\n");
            }
            // As a shell says it of a process that a signal ended.
            std::process::exit(128 + kind.as_raw_value());
        });
    }
    Ok(())
}

/// Whether the terminal can move no cursor and show no colours; those that rustyline takes for such.
pub fn is_dumb() -> bool {
    std::env::var("TERM")
        .is_ok_and(|term| ["dumb", "cons25", "emacs"].iter().any(|dumb| term.eq_ignore_ascii_case(dumb)))
}

/// A file that may not grow (`ulimit -f`) is an error of who writes it, and not the end of the process.
pub fn ignore_file_size_signal(runtime: &Runtime) -> Result<(), CliError> {
    let _in_it = runtime.enter();
    // A signal that was listened to once stays without its first effect.
    listen(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).map(drop)
}

fn restore(before: Option<&Termios>) {
    // A process in the background that changes the terminal is stopped for it.
    let is_in_front = tcgetpgrp(stdin()).is_ok_and(|group| group == rustix::process::getpgrp());
    if let Some(before) = before
        && is_in_front
    {
        // Not `Flush`, which would throw away what was typed ahead. If it fails, nothing can be done about it here.
        let _unrestored = tcsetattr(stdin(), OptionalActions::Now, before);
    }
}

/// Ctrl-C, claimed: it ends nothing by itself. One that comes while nobody waits is kept.
pub struct Interrupts {
    signal: Signal,
}

impl Interrupts {
    /// To be called where there is a runtime.
    pub fn claim() -> Result<Self, CliError> {
        let signal = listen(SignalKind::interrupt())?;
        INTERRUPT_CLAIMS.fetch_add(1, Ordering::SeqCst);
        Ok(Self { signal })
    }

    /// Waits for the next one. Cancel safe.
    pub async fn next(&mut self) {
        self.signal.recv().await;
    }

    /// Forgets one that nobody waited for.
    pub async fn discard_pending(&mut self) {
        tokio::select! {
            biased;
            _ = self.signal.recv() => {}
            () = std::future::ready(()) => {}
        }
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        INTERRUPT_CLAIMS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Keeps what is typed ahead from being echoed into a play's output, and as it was typed: it arrives at the next prompt,
/// and Enter is Enter there. Ctrl-C stays a signal. The terminal is as it was when this is dropped.
pub struct QuietTerminal {
    before: Option<Termios>,
}

/// The terminal as it was before, for a program that has it for a while. Quiet again when this is dropped.
pub struct RestoredTerminal {
    quiet: Option<Termios>,
}

impl QuietTerminal {
    /// A terminal that can do nothing reads its lines itself, and stays as it is.
    pub fn new() -> Self {
        if is_dumb() {
            return Self { before: None };
        }
        Self::change(|modes| {
            modes.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON);
            // What was typed before a Ctrl-C is kept, too.
            modes.local_modes.insert(LocalModes::NOFLSH);
            modes.input_modes.remove(InputModes::ICRNL);
        })
    }

    /// Only without echo, for a line that is not to be seen.
    pub fn without_echo() -> Self {
        Self::change(|modes| modes.local_modes.remove(LocalModes::ECHO))
    }

    /// Gives the terminal away for a while.
    pub fn pause(&self) -> RestoredTerminal {
        let quiet = tcgetattr(stdin()).ok();
        restore(self.before.as_ref());
        RestoredTerminal { quiet }
    }

    fn change(change: impl FnOnce(&mut Termios)) -> Self {
        let before = tcgetattr(stdin()).ok();
        if let Some(before) = &before {
            let mut modes = before.clone();
            change(&mut modes);
            // Without it what is typed is only less tidy: whatever must stay hidden is seen to by its reader, too.
            let _unrestored = tcsetattr(stdin(), OptionalActions::Now, &modes);
        }
        Self { before }
    }
}

impl Drop for RestoredTerminal {
    fn drop(&mut self) {
        restore(self.quiet.as_ref());
    }
}

impl Drop for QuietTerminal {
    fn drop(&mut self) {
        restore(self.before.as_ref());
    }
}
