//! From a worker's words to the protocol's.

use protocol::{
    RpcError,
    error::{PlayLimit, ScriptError, ScriptErrorKind},
    methods,
};
use serde_json::value::RawValue;
use worker::{Answer, ErrorKind, LimitKind, Outcome};

use super::answers::Weight;

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
        LimitKind::Memory => (PlayLimit::Memory, max >> 20),
        LimitKind::StringSize => (PlayLimit::Size, max / 1024),
        LimitKind::ArraySize | LimitKind::MapSize => (PlayLimit::Size, max),
    };
    RpcError::LimitExceeded { limit, max }
}

/// What the answer to a query counts in its batch: the bytes of its texts.
pub(crate) fn weight(answer: &Answer) -> Weight {
    let bytes = match answer {
        Answer::Complete(completion) => {
            completion.candidates.iter().map(|candidate| candidate.text.len() + candidate.detail.len()).sum()
        }
        Answer::Scope(listing) => {
            let variables = listing.variables.iter().map(|variable| {
                variable.name.len() + variable.type_name.len() + variable.output.as_ref().map_or(0, String::len)
            });
            let functions = listing.functions.iter();
            let functions =
                functions.map(|function| function.name.len() + function.params.iter().map(String::len).sum::<usize>());
            variables.chain(functions).sum()
        }
        Answer::Lookup(functions) => {
            functions.iter().map(|function| function.signature.len() + function.doc.len()).sum()
        }
        Answer::TooLarge => 0,
    };
    bytes as Weight
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
