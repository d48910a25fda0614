//! Outcomes of plays: values, `--json`, the exit code.

use std::sync::Arc;

use client_ws::{ClientError, PlayResult, RpcError};
use protocol::methods::Output;
use serde_json::{Value, json};

use console::value;
use frontend::{error::CliError, text::StyledLine};
use terminal::{
    modes,
    output::{Paint, line_to_stdout, stdout_size, to_stdout},
};

pub(super) type ScriptOutcome = Result<FinishedPlay, CliError>;

/// A successful play, with the prints that are kept for `--json`.
#[derive(Debug)]
pub(super) struct FinishedPlay {
    pub result: Arc<PlayResult>,
    pub prints: Vec<Output>,
}

/// Prints the value of a single play; the reporter has printed those of several. The error is that of the first failed play,
/// in the order in which the user named the circles.
pub(super) fn report_outcomes(
    names: &[String],
    mut outcomes: Vec<ScriptOutcome>,
    is_json: bool,
) -> Result<(), CliError> {
    if outcomes.len() > 1 {
        let written = if is_json { line_to_stdout(&objects(names, &outcomes)) } else { Ok(()) };
        let failed = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
        return match failed {
            // Even if nobody reads stdout.
            Some(error) => Err(CliError::AlreadyReported { exit_code: error.exit_code() }),
            None => Ok(written?),
        };
    }
    let Some(outcome) = outcomes.pop() else { return Ok(()) };
    let played = outcome?;
    if is_json {
        return Ok(line_to_stdout(&object(&played).to_string())?);
    }
    print_value(&played.result)
}

/// Prints a value: an array of maps as a table on a terminal, and nothing for `()`.
pub(in crate::commands) fn print_value(result: &PlayResult) -> Result<(), CliError> {
    if let Some(table) = table(result, 0) {
        let paint = Paint::for_stdout();
        to_stdout(&table.iter().map(|line| paint.line(line) + "\n").collect::<String>())?;
    } else if !result.output.is_empty() {
        line_to_stdout(&result.output)?;
    }
    Ok(())
}

/// Lays out an array of maps for a terminal, beside a label of `label` columns. `None` for any other value and for a
/// pipe, which gets the value as it is.
pub(super) fn table(result: &PlayResult, label: usize) -> Option<Vec<StyledLine>> {
    let (columns, _) = stdout_size().filter(|_| !modes::is_dumb())?;
    value::table(result, columns.checked_sub(label)?)
}

/// Reports that the user interrupted the plays.
pub(super) fn report_interrupted(names: &[String], outcomes: &[ScriptOutcome], is_json: bool) -> Result<(), CliError> {
    if outcomes.len() > 1 && is_json {
        terminal::output::report(&CliError::Interrupted);
        // Even if nobody reads stdout.
        let _unread = line_to_stdout(&objects(names, outcomes));
        return Err(CliError::AlreadyReported { exit_code: CliError::Interrupted.exit_code() });
    }
    Err(CliError::Interrupted)
}

fn objects(names: &[String], outcomes: &[ScriptOutcome]) -> String {
    let all = names.iter().zip(outcomes).map(|(name, outcome)| {
        let mut object = outcome.as_ref().map_or_else(error_object, object);
        object["circle"] = name.as_str().into();
        object
    });
    json!({ "circles": all.collect::<Vec<_>>() }).to_string()
}

fn object(played: &FinishedPlay) -> Value {
    let mut object = serde_json::to_value(&*played.result).unwrap_or_default();
    let prints = played.prints.iter().map(|output| json!({ "stream": output.stream, "text": output.text }));
    object["prints"] = prints.collect();
    object
}

/// The error as JSON. Only an error from the circle has a code.
pub(in crate::commands) fn error_object(error: &CliError) -> Value {
    let error = match error {
        CliError::Play { error, .. } | CliError::Client { error: ClientError::Rpc(error), .. } => rpc_as_json(error),
        CliError::Call { error, .. } => rpc_as_json(error),
        CliError::KeyRefused { reason, .. } => rpc_as_json(&RpcError::forbidden(reason.clone())),
        other => json!({ "code": null, "message": other.message(), "data": null }),
    };
    json!({ "error": error })
}

fn rpc_as_json(error: &RpcError) -> Value {
    let object = error.to_object().ok();
    object.map_or(Value::Null, |object| json!({ "code": object.code, "message": object.message, "data": object.data }))
}
