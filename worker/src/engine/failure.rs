//! Conversion of Rhai's errors to outcomes.

use rhai::{AST, Dynamic, Engine, EvalAltResult, LexError, ParseError, ParseErrorType};

use super::{host_functions, position::to_position as position, renderer::Renderer};
use crate::message::{ErrorKind, EvalOutcome, HostModule, LimitKind, ScriptError, WorkerLimits};

/// Maximum size of an error's text, in bytes; the rest is cut off.
const MAX_MESSAGE: usize = 16 << 10;

/// Maximum size of a function's name, in bytes; the rest is cut off.
const MAX_NAME: usize = 256;

/// The outcome of a script that does not parse.
pub(crate) fn parse_failure(error: &ParseError, limits: &WorkerLimits) -> EvalOutcome {
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
            Some("`eval` is disabled in circles".into())
        }
        _ => None,
    };
    EvalOutcome::Failed(ScriptError {
        kind: ErrorKind::Parse,
        message: shorten(error.err_type().to_string(), MAX_MESSAGE),
        position: position(error.position()),
        function: None,
        hint,
        thrown: None,
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

/// The outcome of a script that failed while it ran. `ast` contains the functions of this play.
pub(crate) fn run_failure(
    mut error: EvalAltResult,
    ast: &AST,
    engine: &Engine,
    limits: &WorkerLimits,
    host: &[HostModule],
) -> EvalOutcome {
    let mut at = None;
    let mut function = None;
    let mut is_own_function = true;
    loop {
        match error {
            EvalAltResult::ErrorInFunctionCall(name, _, inner, call) => {
                // A position inside a function of an earlier play refers to another script.
                if is_own_function && !ast.iter_functions().any(|own| own.name == name) {
                    is_own_function = false;
                    at = position(call);
                }
                function = Some(name);
                error = *inner;
            }
            EvalAltResult::ErrorInModule(_, inner, call) => {
                if is_own_function {
                    is_own_function = false;
                    at = position(call);
                }
                error = *inner;
            }
            _ => break,
        }
    }
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
    let own_position = error.take_position();
    let renderer = Renderer { engine, max_bytes: MAX_MESSAGE as u64 };
    let usage = match &error {
        EvalAltResult::ErrorFunctionNotFound(signature, _) => host_functions::usage(host, signature),
        _ => None,
    };
    let (message, thrown) = match error {
        EvalAltResult::ErrorRuntime(value, _) => describe_thrown(&value, renderer),
        other => (other.to_string(), None),
    };
    EvalOutcome::Failed(ScriptError {
        kind: ErrorKind::Runtime,
        message: shorten(message, MAX_MESSAGE),
        position: if is_own_function { position(own_position) } else { at },
        hint: usage.or_else(|| {
            (!is_own_function).then(|| "the error is in a function that an earlier play or a module defined".into())
        }),
        function: function.filter(|name| !name.starts_with("anon$")).map(|name| shorten(name, MAX_NAME)),
        thrown,
    })
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

fn shorten(mut text: String, max: usize) -> String {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max));
        text.push('…');
    }
    text
}
