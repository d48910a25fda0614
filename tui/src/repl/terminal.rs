//! The terminal while a play runs.

use std::io::stdin;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

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
        if let Some(before) = &self.before {
            // Not `Flush`, which would throw away what was typed ahead.
            let _untidy = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}
