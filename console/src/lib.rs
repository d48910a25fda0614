//! A user's console without a terminal: typing Rhai ([`validate`], [`highlight`], [`completion`], [`history`]), showing what
//! comes of it ([`value`], [`plot`], [`truncate`], [`columns`]), the `:` [`commands`], and the [`session`] with a circle.

pub mod columns;
pub mod commands;
pub mod completer;
pub mod completion;
pub mod highlight;
pub mod history;
pub mod notebook;
pub mod plot;
pub mod progress;
pub mod session;
pub mod truncate;
pub mod validate;
pub mod value;

/// The variable that holds the last value (`_` is no name in Rhai).
pub const LAST_VALUE: &str = "ans";

/// Bytes of a message beside the script that is in it.
const ENVELOPE_BYTES: u64 = 256;

/// Why a circle would not take a script, and would close the connection over it. What it is cannot be undone: it costs the
/// session its variables.
pub fn message_size_error(limits: &protocol::Limits, script: &str) -> Option<String> {
    let max = limits.message_kib.saturating_mul(1024);
    // As JSON it is larger.
    let bytes = serde_json::to_string(script).map_or(0, |json| json.len() as u64) + ENVELOPE_BYTES;
    (bytes > max).then(|| {
        format!("this is {} KiB, and the circle takes messages of {} KiB: split it", bytes / 1024, limits.message_kib)
    })
}
