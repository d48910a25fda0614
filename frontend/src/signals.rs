//! The signals of this process: which of them it was started to ignore, and a stream of each of the others.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::CliError;

/// Whether the process was started to ignore a signal (proc(5), `SigIgn`); elsewhere than on Linux it is taken not to be.
pub fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask >> (kind.as_raw_value() - 1) & 1 == 1
}

/// Listens to a signal, which loses its default effect for the rest of the process. To be called in a tokio runtime.
///
/// # Errors
///
/// The operating system refuses the handler, or the signal cannot be caught.
pub fn listen(kind: SignalKind) -> Result<Signal, CliError> {
    signal(kind).map_err(|error| CliError::io("cannot listen to signals", &error, ""))
}
