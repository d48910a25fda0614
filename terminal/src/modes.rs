//! Terminal modes outside of the prompt, and the signals of the terminal.

use std::{
    io::{IsTerminal, stdin, stdout},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
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

/// The number of [`Interrupts`]. While there is one, Ctrl-C does not end the process.
static INTERRUPT_CLAIMS: AtomicUsize = AtomicUsize::new(0);

/// What to do before a signal ends the process.
static EXIT_TASK: OnceLock<Box<dyn Fn() + Send + Sync>> = OnceLock::new();

/// Sets what to do before a signal ends the process, for example to write what a queue holds. The first task counts.
pub fn before_exit_on_signal(task: impl Fn() + Send + Sync + 'static) {
    // A second task is a second REPL in this process, which there is not.
    let _is_first = EXIT_TASK.set(Box::new(task));
}

/// Restores the terminal modes and ends the process on SIGTERM, SIGHUP, and on Ctrl-C unless it is claimed. Passphrase
/// prompts and the REPL switch the echo off. Signals that the process ignores since its start (`nohup`) stay ignored.
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
                // Ends bracketed paste mode. Not through the lock of stdout, which a blocked write may hold.
                let _unrestored = rustix::io::write(stdout(), b"\x1b[?2004l\r\n");
            }
            if let Some(task) = EXIT_TASK.get() {
                task();
            }
            // The exit code that shells use for a process ended by a signal.
            std::process::exit(128 + kind.as_raw_value());
        });
    }
    Ok(())
}

/// Whether the terminal supports neither cursor movement nor colours, by the same names as in rustyline.
pub fn is_dumb() -> bool {
    std::env::var("TERM")
        .is_ok_and(|term| ["dumb", "cons25", "emacs"].iter().any(|dumb| term.eq_ignore_ascii_case(dumb)))
}

/// Makes a write beyond the file size limit (`ulimit -f`) fail, instead of ending the process.
pub fn ignore_file_size_signal(runtime: &Runtime) -> Result<(), CliError> {
    let _in_it = runtime.enter();
    // Listening once removes the default effect for good.
    listen(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).map(drop)
}

fn restore(before: Option<&Termios>) {
    // The system stops a background process that changes the terminal.
    let is_in_front = tcgetpgrp(stdin()).is_ok_and(|group| group == rustix::process::getpgrp());
    if let Some(before) = before
        && is_in_front
    {
        // Not `Flush`, which would discard typed-ahead input. There is no remedy if this fails.
        let _unrestored = tcsetattr(stdin(), OptionalActions::Now, before);
    }
}

/// A claim on Ctrl-C, which then does not end the process. Keeps one Ctrl-C until the next call of [`Self::next`].
pub struct Interrupts {
    signal: Signal,
}

impl Interrupts {
    /// Claims Ctrl-C. Needs a tokio runtime.
    pub fn claim() -> Result<Self, CliError> {
        let signal = listen(SignalKind::interrupt())?;
        INTERRUPT_CLAIMS.fetch_add(1, Ordering::SeqCst);
        Ok(Self { signal })
    }

    /// Waits for the next Ctrl-C. Cancel safe.
    pub async fn next(&mut self) {
        self.signal.recv().await;
    }

    /// Discards a Ctrl-C that nobody waited for.
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

/// Switches off the echo while a play runs, so that typed-ahead input does not mix with output, and leaves the input
/// raw for the next prompt. Ctrl-C stays a signal. Dropping the value restores the terminal.
pub struct QuietTerminal {
    before: Option<Termios>,
}

/// Restores the original terminal modes while another program uses the terminal. Dropping the value makes it quiet
/// again.
pub struct RestoredTerminal {
    quiet: Option<Termios>,
}

impl QuietTerminal {
    /// Makes the terminal quiet. A dumb terminal stays unchanged, because it reads lines itself.
    pub fn start() -> Self {
        if is_dumb() {
            return Self { before: None };
        }
        Self::change(|modes| {
            modes.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON);
            // Keeps the input typed before a Ctrl-C.
            modes.local_modes.insert(LocalModes::NOFLSH);
            modes.input_modes.remove(InputModes::ICRNL);
        })
    }

    /// Switches off only the echo, for a hidden line.
    pub fn without_echo() -> Self {
        Self::change(|modes| modes.local_modes.remove(LocalModes::ECHO))
    }

    /// Restores the original modes until the returned value is dropped.
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
            // A failure only makes the output less tidy: the reader of hidden input switches the echo off as well.
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
