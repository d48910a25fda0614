//! The traceback of an error.

use serde::{Deserialize, Serialize};

use super::play::Position;

/// A level of a traceback: a place in a source that a play had reached when the error occurred.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceFrame {
    /// The source.
    pub source: TraceSource,
    /// The function, or [`CLOSURE`]; `None` outside of functions.
    pub function: Option<String>,
    /// The position in the source: of the error, or of the call that leads to the frame before.
    pub position: Option<Position>,
    /// The line of the source. `None` for the init script and modules, for a source that the worker has dropped, and for
    /// a line that is too long. The texts of function files are present, although the caller did not send them.
    pub text: Option<String>,
    /// The number of equal frames that follow this one.
    pub repeats: u64,
    /// The number of other frames that the worker left out after this one.
    pub omitted: u64,
}

/// The function name of a closure in a [`TraceFrame`].
pub const CLOSURE: &str = "|…|";

/// A source of code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TraceSource {
    /// A play of the session.
    Play {
        /// The play's number.
        number: u64,
        /// The name that the caller gave to the play's source.
        name: Option<String>,
    },
    /// The init script.
    Init,
    /// A module: the path of its file below the directory of the modules.
    Module(String),
    /// A function file: its [`path`](crate::FunctionFile::path).
    File(String),
    /// A source that the worker cannot tell.
    Unknown,
}
