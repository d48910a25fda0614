//! From a worker's words to the protocol's.

use protocol::{
    RpcError,
    error::{PlayLimit, ScriptError, ScriptErrorKind},
    methods,
};
use serde_json::value::RawValue;
use worker::{ErrorKind, LimitKind, Outcome};

/// The error that an outcome other than a value is answered with.
pub(crate) fn error(outcome: Outcome) -> RpcError {
    match outcome {
        Outcome::Failed(error) => RpcError::Script(Box::new(script_error(error))),
        Outcome::Limit { kind, max } => limit(kind, max),
        // A worker stops a play only when it is told to, and then the player knows why.
        Outcome::Stopped | Outcome::Value(_) => RpcError::Cancelled,
    }
}

fn script_error(error: worker::ScriptError) -> ScriptError {
    ScriptError {
        message: error.message,
        kind: match error.kind {
            ErrorKind::Parse => ScriptErrorKind::Parse,
            ErrorKind::Runtime => ScriptErrorKind::Runtime,
        },
        line: error.position.map(|position| position.line),
        column: error.position.map(|position| position.column),
        function: error.function,
        hint: error.hint,
        // A worker's text is not believed to be JSON; what is not is left out.
        thrown: error.thrown.and_then(|json| RawValue::from_string(json).ok()),
    }
}

/// Limits are told in the unit of their setting.
fn limit(kind: LimitKind, max: u64) -> RpcError {
    let (limit, max) = match kind {
        LimitKind::Operations => (PlayLimit::Operations, max),
        LimitKind::Output => (PlayLimit::Output, max / 1024),
        LimitKind::CallDepth | LimitKind::ExpressionDepth | LimitKind::ValueDepth => (PlayLimit::Depth, max),
        LimitKind::StringSize => (PlayLimit::Size, max / 1024),
        LimitKind::ArraySize | LimitKind::MapSize => (PlayLimit::Size, max),
    };
    RpcError::LimitExceeded { limit, max }
}

/// Where a debug was printed.
pub(crate) fn position(position: worker::Position) -> methods::Position {
    methods::Position { line: position.line, column: position.column }
}

/// What it was printed to.
pub(crate) fn stream(stream: worker::Stream) -> methods::Stream {
    match stream {
        worker::Stream::Print => methods::Stream::Print,
        worker::Stream::Debug => methods::Stream::Debug,
    }
}
