//! The console core, independent of a terminal: editing Rhai ([`validate`], [`highlight`], [`completion`],
//! [`history`], [`indent`]), displaying values ([`value`], [`plot`], [`truncate`], [`columns`]), the REPL [`commands`], and the
//! [`session`] with a circle.

pub mod columns;
pub mod commands;
pub mod completer;
pub mod completion;
pub mod directory;
pub mod functions;
pub mod highlight;
pub mod history;
pub mod indent;
pub mod notebook;
pub mod plot;
pub mod progress;
pub mod session;
pub mod truncate;
pub mod validate;
pub mod value;
pub mod watch;

/// The variable that holds the last value (`_` is not a valid name in Rhai).
pub const LAST_VALUE: &str = "ans";

/// The maximum size of a text for the clipboard, in bytes. Terminals drop longer ones.
pub const MAX_COPY_BYTES: usize = 64 << 10;

/// The size of a message without its script, in bytes.
const ENVELOPE_BYTES: u64 = 256;

/// Returns an error text if a script exceeds the circle's message limit. Check it before sending: the circle would
/// close the connection, and the session would lose its variables.
pub fn message_size_error(limits: &protocol::Limits, script: &str) -> Option<String> {
    let max = limits.message_kib.saturating_mul(1024);
    // JSON escapes make the script larger.
    let bytes = serde_json::to_string(script).map_or(0, |json| json.len() as u64) + ENVELOPE_BYTES;
    (bytes > max).then(|| {
        format!(
            "the input has {} KiB, and the circle accepts messages up to {} KiB: split it",
            bytes / 1024,
            limits.message_kib
        )
    })
}
