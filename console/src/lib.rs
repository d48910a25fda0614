//! What every place to type Rhai into needs, without a terminal in it: is an input complete, how is it coloured, how are
//! values and errors shown, which `:` commands there are.

pub(crate) mod beside;
pub(crate) mod completion;
pub(crate) mod each;
pub(crate) mod fold;
pub(crate) mod highlight;
pub(crate) mod history;
pub(crate) mod meta;
pub(crate) mod notebook;
pub(crate) mod plot;
pub(crate) mod progress;
pub(crate) mod report;
pub(crate) mod text;
pub(crate) mod validate;
pub(crate) mod value;

/// The variable that holds the last value (`_` is no name in Rhai).
pub(crate) const LAST_VALUE: &str = "ans";

/// Bytes of a message beside the script that is in it.
const ENVELOPE: u64 = 256;

/// Why a circle would not take a script, and would close the connection over it. What it is cannot be undone: it costs the
/// session its variables.
pub(crate) fn too_large(limits: &protocol::Limits, script: &str) -> Option<String> {
    let max = limits.message_kib.saturating_mul(1024);
    // As JSON it is larger.
    let bytes = serde_json::to_string(script).map_or(0, |json| json.len() as u64) + ENVELOPE;
    (bytes > max).then(|| {
        format!("this is {} KiB, and the circle takes messages of {} KiB: split it", bytes / 1024, limits.message_kib)
    })
}
