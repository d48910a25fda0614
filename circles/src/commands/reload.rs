//! `circles reload`: apply changes in circles.json, and wait until that is done.

use launcher::{
    CircleChange, CircleState, ReloadAction, Statuses,
    control::{ControlError, Reload},
    supervisor_files::SupervisorFiles,
};
use protocol::methods::NoParams;

use crate::{
    cli::ReloadArgs,
    commands::{
        diff::{changes_json, format_fields},
        up::failure,
    },
};
use frontend::{error::CliError, supervisor, visible::visible};
use terminal::output::to_stdout;

pub(crate) fn run(args: &ReloadArgs) -> Result<(), CliError> {
    let files = supervisor::place(args.config.path())?;
    let response = terminal::runtime::client_runtime()?.block_on(async {
        let Some((mut client, _)) = supervisor::connect_with_status(&files).await? else { return Ok(None) };
        client.call::<Reload>(&NoParams {}, args.timeout).await.map(Some)
    });
    let reloaded = match response {
        Err(ControlError::Disconnected) => None,
        Err(ControlError::TimedOut { timeout }) if timeout == args.timeout => {
            let why = format!("it has not finished after {} s", timeout.as_secs_f64());
            let fix = "it continues in the background: circles status; or wait longer: --timeout";
            return Err(CliError::supervisor("the reload is not complete", why, fix));
        }
        other => other.map_err(supervisor::control_error)?,
    };
    let Some(reloaded) = reloaded else {
        return Err(CliError::supervisor(
            "there is nothing to reload",
            format!("no supervisor runs for {}", files.config().display()),
            "start one: circles up",
        ));
    };
    if args.json {
        to_stdout(&changes_json(&reloaded.changes))?;
    } else {
        print(&reloaded.changes, &reloaded.statuses)?;
    }
    check_result(&files, &reloaded.changes, &reloaded.statuses)
}

fn print(changes: &[CircleChange], statuses: &Statuses) -> Result<(), CliError> {
    if changes.iter().all(|change| change.action == ReloadAction::Nothing) {
        return Ok(to_stdout("nothing to change\n")?);
    }
    let width = changes.iter().map(|change| change.name.len()).max().unwrap_or_default();
    for change in changes {
        let status = statuses.circles.iter().find(|status| status.name == change.name);
        let is_ready = status.is_some_and(|status| status.state == CircleState::Ready);
        let what = match change.action {
            ReloadAction::Start if is_ready => "started".into(),
            ReloadAction::Restart if is_ready => format!("restarted: {}", format_fields(&change.fields)),
            ReloadAction::Start | ReloadAction::Restart => "not started".into(),
            ReloadAction::Drain => "drained".into(),
            ReloadAction::Forget => "removed".into(),
            ReloadAction::Change if status.is_some_and(|status| status.refused.is_some()) => "change rejected".into(),
            ReloadAction::Change => format!("changed: {}", format_fields(&change.fields)),
            ReloadAction::Later => "down".into(),
            _ => "no change".into(),
        };
        to_stdout(&format!("{:width$}  {what}\n", change.name))?;
    }
    Ok(())
}

/// Fails if a change could not be applied.
fn check_result(files: &SupervisorFiles, changes: &[CircleChange], statuses: &Statuses) -> Result<(), CliError> {
    let mut failed = Vec::new();
    for change in changes {
        let Some(status) = statuses.circles.iter().find(|status| status.name == change.name) else { continue };
        match change.action {
            ReloadAction::Start | ReloadAction::Restart if status.state != CircleState::Ready => {
                failed.push(failure(files, status));
            }
            ReloadAction::Change | ReloadAction::Nothing => {
                if let Some(refused) = &status.refused {
                    failed.push(format!("'{}' keeps its previous configuration: {}", change.name, visible(refused)));
                }
            }
            _ => {}
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    // Mistakes in files have several lines.
    let separator = if failed.iter().any(|one| one.contains('\n')) { "\n" } else { "; " };
    let has_others = changes.iter().filter(|change| change.action != ReloadAction::Nothing).count() > failed.len();
    let fix = if has_others { "fix this and reload; the other changes are in effect" } else { "fix this and reload" };
    Err(CliError::usage("not all changes were applied", failed.join(separator), fix))
}
