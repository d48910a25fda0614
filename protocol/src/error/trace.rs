//! The traceback of a script error.

use serde::{Deserialize, Serialize};

/// A level of a traceback: a place that the play had reached in a source when the error occurred.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TraceFrame {
    /// The kind of source.
    pub source: TraceSource,
    /// The number of the play among those that the circle has started on this connection, from 1; only for `play`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The `name` that the client gave to the play; or the file of the module, relative to the directory of the
    /// modules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The function, or `|…|` for a closure; absent outside of functions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The line in the source: of the error, or of the call that leads to the frame before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The text of the line; only for `play`, and only while the circle keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The number of equal frames that follow this one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeats: u64,
    /// The number of other frames that the circle left out after this one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub omitted: u64,
}

/// The kind of source of a [`TraceFrame`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TraceSource {
    /// A play of this session.
    Play,
    /// The init script of the circle.
    Init,
    /// A module of the circle.
    Module,
    /// A source that the circle cannot tell, or of a kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// The function of a closure in a [`TraceFrame`].
pub const CLOSURE: &str = "|…|";

#[cfg_attr(
    target_pointer_width = "64",
    expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
