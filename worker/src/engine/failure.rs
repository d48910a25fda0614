//! Conversion of Rhai's errors to outcomes.

use rhai::{Dynamic, Engine, EvalAltResult, LexError, ParseError, ParseErrorType};

use super::{
    host_functions,
    position::to_position,
    renderer::Renderer,
    trace::{self, Sources, Unwound},
};
use crate::message::{ErrorKind, EvalOutcome, LimitKind, Play, ScriptError, TraceFrame, WorkerLimits};

/// Maximum size of an error's text, in bytes; the rest is cut off.
const MAX_MESSAGE: usize = 16 << 10;

/// Maximum size of a hint, in bytes; the rest is cut off.
const MAX_HINT: usize = 1 << 10;

/// Maximum size of a function's name, in bytes; the rest is cut off.
pub(super) const MAX_NAME: usize = 256;

/// The outcome of a script that does not parse.
pub(crate) fn parse_failure(error: &ParseError, play: &Play<'_>, limits: &WorkerLimits) -> EvalOutcome {
    let limit = match error.err_type() {
        ParseErrorType::ExprTooDeep => Some((LimitKind::ExpressionDepth, limits.expression_depth)),
        ParseErrorType::LiteralTooLarge(what, _) => Some(size_limit(what, limits)),
        _ => None,
    };
    if let Some((kind, max)) = limit {
        return EvalOutcome::Limit { kind, max };
    }
    let hint = match error.err_type() {
        ParseErrorType::BadInput(LexError::ImproperSymbol(word, _)) if word == "eval" => {
            Some("`eval` is disabled".into())
        }
        _ => None,
    };
    EvalOutcome::Failed(ScriptError {
        kind: ErrorKind::Parse,
        message: parse_message(error),
        position: to_position(error.position()),
        function: None,
        hint,
        thrown: None,
        trace: trace::top_level(play, error.position()),
    })
}

/// The text of a parse error, without its position.
pub(crate) fn parse_message(error: &ParseError) -> String {
    shorten(error.err_type().to_string(), MAX_MESSAGE)
}

/// The outcome of a call that fails before its function runs.
pub(crate) fn runtime_error(message: String) -> EvalOutcome {
    EvalOutcome::Failed(ScriptError {
        kind: ErrorKind::Runtime,
        message,
        position: None,
        function: None,
        hint: None,
        thrown: None,
        trace: Vec::new(),
    })
}

/// Extracts the value of an `exit`, which Rhai itself does not find below a callback of a native function.
pub(crate) fn exit_value(mut error: Box<EvalAltResult>) -> Result<Dynamic, Box<EvalAltResult>> {
    if !matches!(error.unwrap_inner(), EvalAltResult::Exit(..)) {
        return Err(error);
    }
    loop {
        match *error {
            EvalAltResult::ErrorInFunctionCall(_, _, inner, _) | EvalAltResult::ErrorInModule(_, inner, _) => {
                error = inner;
            }
            EvalAltResult::Exit(value, _) => return Ok(value),
            _ => return Err(error),
        }
    }
}

/// The outcome of a script that failed while it ran. `hint` finds a hint on an error and the place of it.
pub(crate) fn run_failure(
    error: EvalAltResult,
    sources: &Sources<'_>,
    engine: &Engine,
    limits: &WorkerLimits,
    hint: impl FnOnce(&EvalAltResult, &TraceFrame) -> Option<String>,
) -> EvalOutcome {
    let limit = match error.unwrap_inner() {
        EvalAltResult::ErrorStackOverflow(_) => Some((LimitKind::CallDepth, limits.call_depth)),
        EvalAltResult::ErrorDataTooLarge(what, _) => Some(size_limit(what, limits)),
        EvalAltResult::ErrorTooManyOperations(_) => {
            Some((LimitKind::Operations, limits.operations.unwrap_or(u64::MAX)))
        }
        _ => None,
    };
    if let Some((kind, max)) = limit {
        return EvalOutcome::Limit { kind, max };
    }
    let Unwound { error, position, function, at, trace } = trace::unwind(error, sources);
    let renderer = Renderer { engine, max_bytes: MAX_MESSAGE as u64 };
    let hint = hint(&error, &at).map(|hint| shorten(hint, MAX_HINT));
    let (message, thrown) = match error {
        EvalAltResult::ErrorRuntime(value, _) => describe_thrown(&value, renderer),
        other => (in_rhai_types(&other.to_string()), None),
    };
    EvalOutcome::Failed(ScriptError {
        kind: ErrorKind::Runtime,
        message: shorten(message, MAX_MESSAGE),
        position,
        function,
        hint,
        thrown,
        trace,
    })
}

/// Replaces Rhai's description of the Rust types of a string with the name of the type in scripts.
fn in_rhai_types(message: &str) -> String {
    message.replace("&str | ImmutableString | String", "string")
}

fn describe_thrown(value: &Dynamic, renderer: Renderer<'_>) -> (String, Option<String>) {
    if let Some(message) = host_functions::host_error_message(value) {
        return (message, renderer.json(value).ok());
    }
    let message = match renderer.text(value) {
        Ok(text) if text.is_empty() => "Runtime error".into(),
        Ok(text) => format!("Runtime error: {text}"),
        Err(_) => "Runtime error: the thrown value is too large to show".into(),
    };
    (message, renderer.json(value).ok())
}

/// Derives the exceeded limit from Rhai's description of the value.
fn size_limit(what: &str, limits: &WorkerLimits) -> (LimitKind, u64) {
    if what.contains("string") {
        (LimitKind::StringSize, limits.string_bytes)
    } else if what.contains("map") {
        (LimitKind::MapSize, limits.map_items)
    } else {
        (LimitKind::ArraySize, limits.array_items)
    }
}

pub(super) fn shorten(mut text: String, max: usize) -> String {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max));
        text.push('…');
    }
    text
}
