//! The line about what goes on, on a terminal only: a play, a connection that is being made, an answer.

use std::time::{Duration, Instant};

use console::{
    progress,
    session::{CallerIdentity, ConnectionStatus, SessionState},
};
use terminal::{
    output::{self, Paint},
    status_line::{self, STATUS_LINE_DELAY},
};

use super::sessions::AUTHENTICATING_TEXT;

/// Takes away the line that the cursor is in.
const CLEAR_LINE: &str = "\r\x1b[K";

/// How long a cancellation is said to go on: as long as a second one gives up.
const CANCELLING_WINDOW: Duration = console::session::GIVE_UP_WINDOW;

pub(super) struct StatusLine {
    is_terminal: bool,
    is_shown: bool,
    began: Instant,
}

impl StatusLine {
    pub(super) fn new() -> Self {
        Self { is_terminal: status_line::is_supported(), is_shown: false, began: Instant::now() }
    }

    /// What shows it, once there is something to show.
    pub(super) fn show(&mut self, state: &SessionState) -> String {
        let elapsed = self.began.elapsed();
        let is_cancelling = state
            .running
            .as_ref()
            .and_then(|running| running.cancelled)
            .is_some_and(|cancelled| cancelled.elapsed() < CANCELLING_WINDOW);
        if !self.is_terminal || elapsed < STATUS_LINE_DELAY && !is_cancelling {
            return String::new();
        }
        self.is_shown = true;
        let line = match &state.running {
            Some(running) => {
                let elapsed = running.started.elapsed();
                let spinner = progress::spinner(elapsed);
                let progress = running.progress.as_ref();
                progress::PlayStatus { spinner, elapsed, progress, waiting: 0, is_cancelling }.line(columns())
            }
            None => status_line::format(pending_text(state), elapsed).truncated(columns()),
        };
        format!("{CLEAR_LINE}{}", Paint::for_stderr().line(&line))
    }

    /// What takes it away.
    pub(super) fn clear(&mut self) -> String {
        if std::mem::take(&mut self.is_shown) { CLEAR_LINE.into() } else { String::new() }
    }
}

fn columns() -> usize {
    output::stderr_columns().saturating_sub(1)
}

/// What a session waits for that plays nothing.
fn pending_text(state: &SessionState) -> &'static str {
    match (state.connection, &state.identity) {
        (ConnectionStatus::Disconnected | ConnectionStatus::Connecting, _) => "connecting",
        (ConnectionStatus::Connected, CallerIdentity::Authenticating) => AUTHENTICATING_TEXT,
        (ConnectionStatus::Connected, _) => "waiting for the circle",
    }
}
