//! Status lines for operations that take long.

use std::{
    io::{IsTerminal, stderr},
    time::{Duration, Instant},
};

use crate::{
    modes,
    output::{self, Paint},
};
use console::progress;
use frontend::text::{Style, StyledLine};

/// The delay before the status line appears.
pub const STATUS_LINE_DELAY: Duration = Duration::from_millis(300);

/// The interval of updates.
pub const STATUS_LINE_INTERVAL: Duration = Duration::from_millis(100);

/// Awaits a future, and shows a status line meanwhile.
pub async fn with_status_line<T>(what: &str, future: impl Future<Output = T>) -> T {
    if !is_supported() {
        return future.await;
    }
    let (begun, mut line) = (Instant::now(), StatusLineGuard(false));
    let mut tick = tokio::time::interval(STATUS_LINE_INTERVAL);
    let mut future = std::pin::pin!(future);
    loop {
        tokio::select! {
            biased;
            done = &mut future => return done,
            _ = tick.tick() => line.update(what, begun.elapsed()),
        }
    }
}

/// Formats the status line.
pub fn format(what: &str, elapsed: Duration) -> StyledLine {
    StyledLine::of(Style::Plain, &format!("{} {what}", progress::spinner(elapsed)))
        .with(Style::Plain, &format!("  {:.1}s", elapsed.as_secs_f64()))
        .with(Style::Dim, "  Ctrl-C")
}

/// Whether stderr is a terminal that can erase a line.
pub fn is_supported() -> bool {
    stderr().is_terminal() && !modes::is_dumb()
}

/// The status line on the terminal. Dropping it erases the line.
struct StatusLineGuard(bool);

impl StatusLineGuard {
    fn update(&mut self, what: &str, elapsed: Duration) {
        if elapsed < STATUS_LINE_DELAY {
            return;
        }
        self.0 = true;
        let line = format(what, elapsed).truncated(output::stderr_columns().saturating_sub(1));
        output::to_stderr(&format!("\r\x1b[K{}", Paint::for_stderr().line(&line)));
    }
}

impl Drop for StatusLineGuard {
    fn drop(&mut self) {
        if self.0 {
            output::to_stderr("\r\x1b[K");
        }
    }
}
