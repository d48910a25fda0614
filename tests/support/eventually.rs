//! Polling for changes without an event: a file, `/proc`, a state that another process reports.

use std::{
    fmt::Display,
    thread,
    time::{Duration, Instant},
};

use super::WAIT_TIMEOUT;

/// Pause between attempts.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Repeats an attempt until it succeeds, and returns its result.
///
/// # Panics
///
/// After [`WAIT_TIMEOUT`], with the error of the last attempt.
#[track_caller]
pub(crate) fn eventually<T, E: Display>(mut attempt: impl FnMut() -> Result<T, E>) -> T {
    let begun = Instant::now();
    loop {
        match attempt() {
            Ok(result) => return result,
            Err(error) => assert!(begun.elapsed() < WAIT_TIMEOUT, "{error}"),
        }
        thread::sleep(POLL_INTERVAL);
    }
}
