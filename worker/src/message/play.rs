//! One play: the script on its way to the worker, and what comes back of it.

use serde::{Deserialize, Serialize};

/// One script to evaluate.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Play<'a> {
    /// Tells the plays of one worker apart; greater with each, from 1.
    pub number: u64,
    /// The script.
    pub script: &'a str,
    /// A variable that the value is also bound to, if it is other than `()`.
    pub bind: Option<&'a str>,
    /// What the script sees as `CALLER_PUBLIC_KEY`; `()` without one.
    pub caller: Option<&'a str>,
}

/// Something that a play printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Print {
    /// The play's number.
    pub play: u64,
    /// Where to.
    pub stream: Stream,
    /// The text, without a newline at its end.
    pub text: String,
    /// Where in the script, for [`Stream::Debug`].
    pub position: Option<Position>,
}

/// What a script prints to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// `print`.
    Print,
    /// `debug`.
    Debug,
}

/// Where in a script: both count from 1, columns in Unicode scalar values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// How far a play is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressReport {
    /// The play's number; 0 between plays.
    pub play: u64,
    /// Operations so far.
    pub operations: u64,
    /// What the script said of itself.
    pub script: Option<ScriptProgress>,
}

/// What a script said with `progress(done, total)` or `progress(done, total, text)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptProgress {
    /// How much is done.
    pub done: i64,
    /// How much there is to do.
    pub total: i64,
    /// What it is doing.
    pub text: Option<String>,
}

/// How a play ended, as its worker tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EvalOutcome {
    /// It has a value.
    Value(PlayValue),
    /// It does not parse or failed.
    Failed(ScriptError),
    /// A limit ended it.
    Limit {
        /// Which one.
        kind: LimitKind,
        /// Its value, in the unit of [`Limits`](crate::Limits); of a value's depth, 64.
        max: u64,
    },
    /// It was stopped.
    Stopped,
}

/// The value of a play.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlayValue {
    /// As `print` would show it; empty for `()`.
    pub output: String,
    /// Rhai's name of its type.
    pub type_name: String,
    /// As JSON.
    pub json: String,
    /// Operations that the play took.
    pub operations: u64,
}

/// A script's error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptError {
    /// Whether it failed before or while it ran.
    pub kind: ErrorKind,
    /// The error's text, without its position.
    pub message: String,
    /// Where in the script of this play; of an error in a function of an earlier play, where that was called.
    pub position: Option<Position>,
    /// The innermost script function that it happened in.
    pub function: Option<String>,
    /// What may help.
    pub hint: Option<String>,
    /// The thrown value as JSON.
    pub thrown: Option<String>,
}

/// When a script's error happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorKind {
    /// The script does not parse; nothing of it ran.
    Parse,
    /// It failed while it ran.
    Runtime,
}

/// Which limit ended a play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LimitKind {
    /// [`Limits::operations`](crate::Limits::operations).
    Operations,
    /// [`Limits::output_bytes`](crate::Limits::output_bytes).
    Output,
    /// [`Limits::call_depth`](crate::Limits::call_depth).
    CallDepth,
    /// [`Limits::expression_depth`](crate::Limits::expression_depth).
    ExpressionDepth,
    /// How deep a value may nest to be answered: 64.
    ValueDepth,
    /// [`Limits::string_bytes`](crate::Limits::string_bytes).
    StringSize,
    /// [`Limits::array_items`](crate::Limits::array_items).
    ArraySize,
    /// [`Limits::map_items`](crate::Limits::map_items).
    MapSize,
    /// [`Limits::memory_bytes`](crate::Limits::memory_bytes).
    Memory,
    /// [`Limits::host_bytes`](crate::Limits::host_bytes).
    HostBytes,
}
