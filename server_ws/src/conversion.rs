//! Conversions from the worker's types to the protocol's. They are separate from sessions because the startup check
//! reports script errors, too.

use functions::signature::Value;
use protocol::{
    Id, RpcError,
    error::{LimitSetting, PlayLimit, ScriptError, ScriptErrorKind, TraceFrame, TraceSource},
    methods::{
        self, Candidate, CandidateKind, CompleteResult, FunctionDoc, LookupResult, Origin, Output, Progress,
        ScopeFunction, ScopeResult, Variable,
    },
};
use serde_json::value::RawValue;
use tokio::time::Instant;
use worker::{ErrorKind, EvalOutcome, LimitKind};

/// Returns the error of a play whose outcome is not a value.
pub(crate) fn play_error(outcome: EvalOutcome) -> RpcError {
    match outcome {
        EvalOutcome::Failed(error) => RpcError::Script(Box::new(script_error(error))),
        EvalOutcome::Limit { kind, max } => limit_error(kind, max),
        // A worker stops a play only at the request of the player, which then knows the reason.
        EvalOutcome::Stopped | EvalOutcome::Value(_) => RpcError::Cancelled,
        outcome => {
            tracing::error!(?outcome, "unknown outcome from worker");
            RpcError::Internal
        }
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
        // A worker is not trusted to send JSON; anything else is omitted.
        thrown: error.thrown.and_then(|json| RawValue::from_string(json).ok()),
        trace: error.trace.into_iter().map(trace_frame).collect(),
    }
}

fn trace_frame(frame: worker::TraceFrame) -> TraceFrame {
    // The text of a function's line is the operator's, not the caller's.
    let text = frame.text.filter(|_| !matches!(frame.source, worker::TraceSource::File(_)));
    let (source, number, name) = match frame.source {
        worker::TraceSource::Play { number, name } => (TraceSource::Play, Some(number), name),
        worker::TraceSource::Init => (TraceSource::Init, None, None),
        worker::TraceSource::Module(file) | worker::TraceSource::File(file) => (TraceSource::Module, None, Some(file)),
        worker::TraceSource::Unknown => (TraceSource::Unknown, None, None),
    };
    TraceFrame {
        source,
        number,
        name,
        function: frame.function,
        line: frame.position.map(|position| position.line),
        column: frame.position.map(|position| position.column),
        text,
        repeats: frame.repeats,
        omitted: frame.omitted,
    }
}

/// Returns the error of a limit that a setting has.
pub(crate) fn limit_exceeded(limit: PlayLimit, max: u64, setting: LimitSetting) -> RpcError {
    RpcError::LimitExceeded { limit, max, setting: Some(setting) }
}

/// Returns the error of a limit, with its value in the unit of its setting.
fn limit_error(kind: LimitKind, max: u64) -> RpcError {
    let (limit, max, setting) = match kind {
        LimitKind::Operations => (PlayLimit::Operations, max, Some(LimitSetting::Operations)),
        LimitKind::Output => (PlayLimit::Output, max / 1024, Some(LimitSetting::OutputKib)),
        LimitKind::CallDepth => (PlayLimit::Depth, max, Some(LimitSetting::CallDepth)),
        LimitKind::ExpressionDepth => (PlayLimit::Depth, max, Some(LimitSetting::ExpressionDepth)),
        LimitKind::ValueDepth => (PlayLimit::Depth, max, None),
        LimitKind::Memory => (PlayLimit::Memory, max >> 20, Some(LimitSetting::MemoryMib)),
        LimitKind::StringSize => (PlayLimit::Size, max / 1024, Some(LimitSetting::StringKib)),
        LimitKind::HostBytes => (PlayLimit::Size, max / 1024, Some(LimitSetting::HostKib)),
        LimitKind::ArraySize => (PlayLimit::Size, max, Some(LimitSetting::ArrayItems)),
        LimitKind::MapSize => (PlayLimit::Size, max, Some(LimitSetting::MapItems)),
        // The worker crate may get limits that no setting of a circle has.
        _ => (PlayLimit::Size, max, None),
    };
    RpcError::LimitExceeded { limit, max, setting }
}

/// Converts a typed argument.
pub(crate) fn argument(value: Value) -> worker::Value {
    match value {
        Value::Unit => worker::Value::Unit,
        Value::Bool(value) => worker::Value::Bool(value),
        Value::Int(value) => worker::Value::Int(value),
        Value::Float(value) => worker::Value::Float(value),
        Value::String(text) => worker::Value::String(text),
        Value::Blob(bytes) => worker::Value::Blob(bytes),
        Value::Array(items) => worker::Value::Array(items.into_iter().map(argument).collect()),
        Value::Map(members) => {
            worker::Value::Map(members.into_iter().map(|(name, value)| (name, argument(value))).collect())
        }
    }
}

/// Converts a print of a play or a call.
pub(crate) fn output(play: Id, print: worker::Print) -> Output {
    Output { play, stream: stream(print.stream), text: print.text, position: print.position.map(position) }
}

/// Converts the progress of a play or a call that started then.
pub(crate) fn progress(play: Id, started: Instant, report: worker::ProgressReport) -> Progress {
    let (done, total, text) = match report.script {
        Some(script) => (Some(script.done), Some(script.total), script.text),
        None => (None, None, None),
    };
    Progress {
        play,
        elapsed_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        operations: report.operations,
        done,
        total,
        text,
    }
}

pub(crate) fn complete_result(completion: worker::Completion) -> CompleteResult {
    let candidates = completion.candidates.into_iter().map(|candidate| Candidate {
        text: candidate.text,
        kind: candidate_kind(candidate.kind),
        detail: candidate.detail,
    });
    CompleteResult { start: completion.start, candidates: candidates.collect() }
}

fn candidate_kind(kind: worker::CandidateKind) -> CandidateKind {
    match kind {
        worker::CandidateKind::Variable => CandidateKind::Variable,
        worker::CandidateKind::Constant => CandidateKind::Constant,
        worker::CandidateKind::Function => CandidateKind::Function,
        worker::CandidateKind::Method => CandidateKind::Method,
        worker::CandidateKind::Property => CandidateKind::Property,
        worker::CandidateKind::Keyword => CandidateKind::Keyword,
        worker::CandidateKind::Module => CandidateKind::Module,
    }
}

pub(crate) fn scope_result(listing: worker::ScopeListing) -> ScopeResult {
    let variables = listing.variables.into_iter().map(|variable| Variable {
        name: variable.name,
        r#type: variable.type_name,
        output: variable.output,
        length: variable.length,
        constant: variable.is_constant,
    });
    let functions =
        listing.functions.into_iter().map(|function| ScopeFunction { name: function.name, params: function.params });
    ScopeResult { variables: variables.collect(), functions: functions.collect() }
}

pub(crate) fn lookup_result(functions: Vec<worker::FunctionDoc>) -> LookupResult {
    let functions = functions.into_iter().map(|function| FunctionDoc {
        signature: function.signature,
        doc: function.doc,
        origin: origin(function.origin),
    });
    LookupResult { functions: functions.collect() }
}

fn origin(origin: worker::Origin) -> Origin {
    match origin {
        worker::Origin::Session => Origin::Session,
        worker::Origin::Init => Origin::Circle,
        worker::Origin::Module => Origin::Module,
        worker::Origin::Host => Origin::Host,
        worker::Origin::Native => Origin::Native,
        worker::Origin::Standard => Origin::Standard,
    }
}

fn position(position: worker::Position) -> methods::Position {
    methods::Position { line: position.line, column: position.column }
}

fn stream(stream: worker::Stream) -> methods::Stream {
    match stream {
        worker::Stream::Print => methods::Stream::Print,
        worker::Stream::Debug => methods::Stream::Debug,
    }
}
