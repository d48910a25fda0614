//! The signals of this process: which it inherited as ignored, and streams of the others.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::CliError;

/// Whether the process ignores a signal since its start (proc(5), `SigIgn`). Always false on systems other than Linux.
pub fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask >> (kind.as_raw_value() - 1) & 1 == 1
}

/// Listens to a signal, which loses its default effect for the rest of the process. Needs a tokio runtime.
///
/// # Errors
///
/// Fails if the operating system refuses the handler, for example because the signal cannot be caught.
pub fn listen(kind: SignalKind) -> Result<Signal, CliError> {
    signal(kind).map_err(|error| CliError::io("cannot listen to signals", &error, ""))
}
