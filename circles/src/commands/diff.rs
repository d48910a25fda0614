//! `circles diff`: show what a reload would change.

use launcher::{
    CircleChange, CircleField, ReloadAction,
    control::{ControlClient, ControlError, Diff},
};
use protocol::methods::NoParams;

use crate::cli::DiffArgs;
use frontend::{config, error::CliError, supervisor};
use terminal::output::{to_stderr, to_stdout};

pub(crate) fn run(args: &DiffArgs) -> Result<(), CliError> {
    let files = supervisor::place(args.config.path())?;
    let response = terminal::runtime::client_runtime()?.block_on(async {
        let called = ControlClient::connect_and_call::<Diff>(&files, &NoParams {}, supervisor::CONTROL_TIMEOUT).await;
        Ok(called?.map(|(_, diff)| diff.changes))
    });
    let changes = match response {
        // The supervisor was shutting down.
        Err(ControlError::Disconnected) => None,
        other => other.map_err(supervisor::control_error)?,
    };
    let changes = if let Some(changes) = changes {
        changes
    } else {
        let circles = config::load(args.config.path())?.1;
        to_stderr("no supervisor runs; this is what circles up would do\n");
        circles
            .into_iter()
            .map(|circle| CircleChange { name: circle.name, action: ReloadAction::Start, fields: Vec::new() })
            .collect()
    };
    if args.json {
        return Ok(to_stdout(&changes_json(&changes))?);
    }
    if changes.iter().all(|change| change.action == ReloadAction::Nothing) {
        return Ok(to_stdout("nothing to change\n")?);
    }
    let width = changes.iter().map(|change| change.name.len()).max().unwrap_or_default();
    for change in &changes {
        let what = match change.action {
            ReloadAction::Start => "starts".into(),
            ReloadAction::Drain => "drains, and is removed".into(),
            ReloadAction::Forget => "is removed".into(),
            ReloadAction::Restart => format!("restarts: {}", format_fields(&change.fields)),
            ReloadAction::Change => format!("changes without a restart: {}", format_fields(&change.fields)),
            ReloadAction::Later if change.fields.is_empty() => "is new, and stays down".into(),
            ReloadAction::Later => format!("stays down: {}", format_fields(&change.fields)),
            _ => "no change".into(),
        };
        to_stdout(&format!("{:width$}  {what}\n", change.name))?;
    }
    Ok(())
}

/// Changed fields as text.
pub(crate) fn format_fields(fields: &[CircleField]) -> String {
    fields.iter().map(CircleField::to_string).collect::<Vec<_>>().join(", ")
}

pub(crate) fn changes_json(changes: &[CircleChange]) -> String {
    format!("{}\n", serde_json::json!({ "circles": changes }))
}
