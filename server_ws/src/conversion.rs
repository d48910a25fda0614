//! From a worker's words to the protocol's.

use protocol::{
    RpcError,
    error::{PlayLimit, ScriptError, ScriptErrorKind},
    methods,
};
use serde_json::{json, value::RawValue};
use worker::{Answer, ErrorKind, LimitKind, Outcome};

use super::{batches::Weight, player::host_calls::Objection};
use crate::host::PlayEnd;

/// The error that an outcome other than a value is answered with.
pub(crate) fn error(outcome: Outcome) -> RpcError {
    match outcome {
        Outcome::Failed(error) => RpcError::Script(Box::new(script_error(error))),
        Outcome::Limit { kind, max } => limit(kind, max),
        // A worker stops a play only when it is told to, and then the player knows why.
        Outcome::Stopped | Outcome::Value(_) => RpcError::Cancelled,
    }
}

pub(crate) fn script_error(error: worker::ScriptError) -> ScriptError {
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

/// What a module of host functions is told of a play that ended with that error.
pub(crate) fn play_end(error: &RpcError) -> PlayEnd {
    match error {
        RpcError::Cancelled => PlayEnd::Cancelled,
        RpcError::LimitExceeded { .. } | RpcError::Busy { .. } => PlayEnd::Limited,
        RpcError::ShuttingDown => PlayEnd::ShutDown,
        _ => PlayEnd::Failed,
    }
}

/// The error of a play that a module of host functions did not let succeed: as if its script had not caught it.
pub(crate) fn objection(Objection { module, error }: Objection) -> RpcError {
    let mut thrown = json!({ "error": worker::HOST_ERROR, "function": module, "message": error.message });
    if let Some(data) = error.data {
        thrown["data"] = data;
    }
    RpcError::Script(Box::new(ScriptError {
        message: format!("{module}: {}", error.message),
        kind: ScriptErrorKind::Runtime,
        line: None,
        column: None,
        function: None,
        hint: None,
        thrown: serde_json::value::to_raw_value(&thrown).ok(),
    }))
}

/// Limits are told in the unit of their setting.
fn limit(kind: LimitKind, max: u64) -> RpcError {
    let (limit, max) = match kind {
        LimitKind::Operations => (PlayLimit::Operations, max),
        LimitKind::Output => (PlayLimit::Output, max / 1024),
        LimitKind::CallDepth | LimitKind::ExpressionDepth | LimitKind::ValueDepth => (PlayLimit::Depth, max),
        LimitKind::Memory => (PlayLimit::Memory, max >> 20),
        LimitKind::StringSize | LimitKind::HostBytes => (PlayLimit::Size, max / 1024),
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
