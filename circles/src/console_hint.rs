//! The hint at the web console of a circle.

use std::io::{IsTerminal, stdout};

use terminal::output::to_stderr;

/// Shows a person at a terminal where a browser finds the console of the circle at this WebSocket URL. Programs that
/// read the output get nothing.
pub(crate) fn show(url: &str) {
    if stdout().is_terminal() {
        to_stderr(&format!("open {}/ in a browser for a console\n", url.replacen("ws", "http", 1)));
    }
}
