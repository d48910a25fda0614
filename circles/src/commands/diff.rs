//! `circles diff`: what a reload would do.

use launcher::{
    Action, CircleChange, Field,
    control::{Client, ControlError, Diff},
};
use protocol::methods::NoParams;

use crate::cli::DiffArgs;
use frontend::{config, error::CliError, supervisor};
use terminal::printing::{to_stderr, to_stdout};

pub(crate) fn run(args: &DiffArgs) -> Result<(), CliError> {
    let place = supervisor::place(args.config.path())?;
    let asked = terminal::connect::client_runtime()?.block_on(async {
        let Some(mut client) = Client::connect(&place).await? else { return Ok(None) };
        client.call::<Diff>(&NoParams {}, supervisor::PATIENCE).await.map(|diff| Some(diff.changes))
    });
    let changes = match asked {
        // It was just ending.
        Err(ControlError::Lost) => None,
        other => other.map_err(supervisor::failed)?,
    };
    let changes = if let Some(changes) = changes {
        changes
    } else {
        let circles = config::load(args.config.path())?.1;
        to_stderr("nothing runs, so nothing is reloaded; this is what circles up would do\n");
        circles
            .into_iter()
            .map(|circle| CircleChange { name: circle.name, action: Action::Start, fields: Vec::new() })
            .collect()
    };
    if args.json {
        return Ok(to_stdout(&json(&changes))?);
    }
    let width = changes.iter().map(|change| change.name.len()).max().unwrap_or_default();
    for change in &changes {
        let what = match change.action {
            Action::Start => "starts".into(),
            Action::Drain => "drains, and is forgotten".into(),
            Action::Forget => "is forgotten".into(),
            Action::Restart => format!("restarts: {}", fields(&change.fields)),
            Action::Change => format!("changes while it runs: {}", fields(&change.fields)),
            Action::Later if change.fields.is_empty() => "is new, and stays down".into(),
            Action::Later => format!("stays down: {}", fields(&change.fields)),
            _ => "stays as it is".into(),
        };
        to_stdout(&format!("{:width$}  {what}\n", change.name))?;
    }
    Ok(())
}

/// The fields that are different, for a person.
pub(crate) fn fields(fields: &[Field]) -> String {
    fields.iter().map(Field::to_string).collect::<Vec<_>>().join(", ")
}

pub(crate) fn json(changes: &[CircleChange]) -> String {
    format!("{}\n", serde_json::json!({ "circles": changes }))
}
