//! A play: the script sent to the worker, and the messages about it.

use serde::{Deserialize, Serialize};

use super::trace::TraceFrame;

/// One script to evaluate.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Play<'a> {
    /// Number of the play within its worker: increasing, from 1.
    pub number: u64,
    /// The script.
    pub script: &'a str,
    /// A name of the script for tracebacks, such as its file name.
    pub name: Option<&'a str>,
    /// A variable to which the worker binds the value, unless the value is `()`.
    pub bind: Option<&'a str>,
}

/// A text that a play printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Print {
    /// The play's number.
    pub play: u64,
    /// The stream to which the script printed.
    pub stream: Stream,
    /// The text, without a newline at the end.
    pub text: String,
    /// The position in the script, for [`Stream::Debug`].
    pub position: Option<Position>,
}

/// An output stream of scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// The output of `print`.
    Print,
    /// The output of `debug`.
    Debug,
}

/// A position in a script. Lines and columns count from 1, columns in Unicode scalar values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// The progress of a play.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressReport {
    /// The play's number; 0 between plays.
    pub play: u64,
    /// Number of operations so far.
    pub operations: u64,
    /// The progress that the script itself has reported.
    pub script: Option<ScriptProgress>,
}

/// The progress that a script reports with `progress(done, total)` or `progress(done, total, text)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptProgress {
    /// Amount of work done.
    pub done: i64,
    /// Total amount of work.
    pub total: i64,
    /// A description of the current step.
    pub text: Option<String>,
}

impl ScriptProgress {
    /// Maximum size of the text in bytes.
    pub const MAX_TEXT: usize = 256;

    /// Makes a report, whose text is cut off at [`MAX_TEXT`](Self::MAX_TEXT).
    pub fn new(done: i64, total: i64, text: Option<&str>) -> Self {
        let text = text.map(|text| text[..text.floor_char_boundary(Self::MAX_TEXT)].to_owned());
        Self { done, total, text }
    }
}

/// The outcome of a play, as its worker reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum EvalOutcome {
    /// The play has a value.
    Value(PlayValue),
    /// The script does not parse, or failed while it ran.
    Failed(ScriptError),
    /// A limit ended the play.
    Limit {
        /// The limit.
        kind: LimitKind,
        /// The limit's value, in the unit of [`WorkerLimits`](crate::WorkerLimits); for the depth of a value, 64.
        max: u64,
    },
    /// The server stopped the play.
    Stopped,
}

/// The value of a play.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlayValue {
    /// The value as `print` shows it; empty for `()`.
    pub output: String,
    /// The name of the value's type in Rhai.
    pub type_name: String,
    /// The value as JSON.
    pub json: String,
    /// Number of operations of the play.
    pub operations: u64,
}

/// The error of a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptError {
    /// Whether the script failed to parse or failed while it ran.
    pub kind: ErrorKind,
    /// The error's text, without its position.
    pub message: String,
    /// The position in the script of this play. For an error in a function of another source, the position of the
    /// call.
    pub position: Option<Position>,
    /// The innermost script function in which the error occurred.
    pub function: Option<String>,
    /// A hint how to fix the error.
    pub hint: Option<String>,
    /// The thrown value as JSON.
    pub thrown: Option<String>,
    /// The traceback, innermost frame first. Empty if the error is outside of functions in the script of this play, and
    /// the script has no name: `position` then says everything.
    pub trace: Vec<TraceFrame>,
}

impl std::fmt::Display for ScriptError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        match self.position {
            Some(Position { line, column }) => write!(f, " (line {line}, column {column})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ScriptError {}

/// The phase in which a script failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorKind {
    /// Parsing: no part of the script ran.
    Parse,
    /// Evaluation: the script failed while it ran.
    Runtime,
}

/// A limit that can end a play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum LimitKind {
    /// [`WorkerLimits::operations`](crate::WorkerLimits::operations).
    Operations,
    /// [`WorkerLimits::output_bytes`](crate::WorkerLimits::output_bytes).
    Output,
    /// [`WorkerLimits::call_depth`](crate::WorkerLimits::call_depth).
    CallDepth,
    /// [`WorkerLimits::expression_depth`](crate::WorkerLimits::expression_depth).
    ExpressionDepth,
    /// The maximum depth of a value, 64.
    ValueDepth,
    /// [`WorkerLimits::string_bytes`](crate::WorkerLimits::string_bytes).
    StringSize,
    /// [`WorkerLimits::array_items`](crate::WorkerLimits::array_items).
    ArraySize,
    /// [`WorkerLimits::map_items`](crate::WorkerLimits::map_items).
    MapSize,
    /// [`WorkerLimits::memory_bytes`](crate::WorkerLimits::memory_bytes).
    Memory,
    /// [`WorkerLimits::host_bytes`](crate::WorkerLimits::host_bytes).
    HostBytes,
}

impl std::fmt::Display for LimitKind {
    /// Writes the unit of the limit's value.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Operations => "operations",
            Self::Output => "bytes of output",
            Self::CallDepth => "levels of function calls",
            Self::ExpressionDepth => "levels of an expression",
            Self::ValueDepth => "levels of a value",
            Self::StringSize => "bytes of a string",
            Self::ArraySize => "items of an array",
            Self::MapSize => "properties of a map",
            Self::Memory => "bytes of memory",
            Self::HostBytes => "bytes of a host call",
        })
    }
}
