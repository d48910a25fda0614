//! The limits of a circle: their names, units and defaults, for its configuration and for `describe`.

use serde::{Deserialize, Serialize};

/// What a circle allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Limits {
    /// Milliseconds that a play may take, waiting included.
    pub play_ms: u64,
    /// Operations of a play, as Rhai counts them; without a limit if null.
    pub operations: Option<u64>,
    /// KiB that a play may print, and that its value may have as text or as JSON. A print counts 64 bytes more.
    pub output_kib: u64,
    /// How deep functions of a script may call each other.
    pub call_depth: u64,
    /// How deep an expression may nest.
    pub expression_depth: u64,
    /// KiB of one string.
    pub string_kib: u64,
    /// Items of one array, bytes of one blob.
    pub array_items: u64,
    /// Properties of one map. A property that is made by assigning to an index is not counted yet.
    pub map_items: u64,
    /// Plays and resets of one session that wait.
    pub queued_plays: u64,
    /// KiB of scripts of one session that wait.
    pub queued_kib: u64,
    /// KiB of one message to the circle.
    pub message_kib: u64,
    /// Members of one batch.
    pub batch: u64,
    /// Connections to the circle at a time.
    pub connections: u64,
    /// Sessions that hold a worker process at a time.
    pub workers: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            play_ms: 30_000,
            operations: None,
            output_kib: 1024,
            call_depth: 64,
            expression_depth: 64,
            string_kib: 1024,
            array_items: 100_000,
            map_items: 100_000,
            queued_plays: 64,
            queued_kib: 2048,
            message_kib: 256,
            batch: 64,
            connections: 10_000,
            workers: 1024,
        }
    }
}
