//! The log lines about calls of functions. Each caller may cause one line a second.

use protocol::RpcError;
use tokio::time::Instant;

use crate::{circle::Circle, quota::Caller};

/// Logs in the span of a session, for code that does not run in it.
fn in_session(session: u64, log: impl FnOnce()) {
    tracing::info_span!("session", number = session).in_scope(log);
}

/// Logs the end of a call, which runs in the span of its session. `playing` is the session whose play made the call, and
/// `None` for a call of a client.
pub(crate) fn log_finish(
    circle: &Circle,
    caller: Caller,
    function: &str,
    started: Instant,
    error: Option<&RpcError>,
    playing: Option<u64>,
) {
    let now = Instant::now();
    let Some(suppressed) = circle.logged_calls.admit(caller, now.into_std()) else { return };
    // A field is present only if it says something.
    let (suppressed, from_play) = ((suppressed > 0).then_some(suppressed), playing.map(|_| true));
    let elapsed_us = u64::try_from(now.saturating_duration_since(started).as_micros()).unwrap_or(u64::MAX);
    let code = error.map(RpcError::code);
    let log = || tracing::info!(function, elapsed_us, code, from_play, suppressed, "call finished");
    match playing {
        Some(session) => in_session(session, log),
        None => log(),
    }
}

/// Logs a fault of a function or of its worker with `log`, which gets the number of suppressed lines.
pub(super) fn log_fault(circle: &Circle, caller: Caller, session: u64, log: impl FnOnce(Option<u64>)) {
    if let Some(suppressed) = circle.logged_call_faults.admit(caller, Instant::now().into_std()) {
        in_session(session, || log((suppressed > 0).then_some(suppressed)));
    }
}
