//! `circles reload`: until what is different in circles.json is taken over.

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
        up::print_last_log_lines,
    },
};
use frontend::{error::CliError, supervisor, visible::visible};
use terminal::output::to_stdout;

pub(crate) fn run(args: &ReloadArgs) -> Result<(), CliError> {
    let place = supervisor::place(args.config.path())?;
    let asked = terminal::runtime::client_runtime()?.block_on(async {
        let Some((mut client, _)) = supervisor::connect_with_status(&place).await? else { return Ok(None) };
        client.call::<Reload>(&NoParams {}, args.timeout).await.map(Some)
    });
    let reloaded = match asked {
        Err(ControlError::Disconnected) => None,
        Err(ControlError::TimedOut { timeout: patience }) if patience == args.timeout => {
            let why = format!("not all is done after {} s", patience.as_secs_f64());
            let fix = "it goes on by itself: circles status; or wait longer: --timeout";
            return Err(CliError::supervisor("the reload takes long", why, fix));
        }
        other => other.map_err(supervisor::control_error)?,
    };
    let Some(reloaded) = reloaded else {
        return Err(CliError::supervisor(
            "there is nothing to reload",
            format!("no supervisor of {} runs", place.config().display()),
            "start it: circles up",
        ));
    };
    if args.json {
        to_stdout(&changes_json(&reloaded.changes))?;
    } else {
        print(&reloaded.changes, &reloaded.statuses)?;
    }
    check_result(&place, &reloaded.changes, &reloaded.statuses)
}

fn print(changes: &[CircleChange], statuses: &Statuses) -> Result<(), CliError> {
    let width = changes.iter().map(|change| change.name.len()).max().unwrap_or_default();
    for change in changes {
        let status = statuses.circles.iter().find(|status| status.name == change.name);
        let is_ready = status.is_some_and(|status| status.state == CircleState::Ready);
        let what = match change.action {
            ReloadAction::Start if is_ready => "started".into(),
            ReloadAction::Restart if is_ready => format!("started again: {}", format_fields(&change.fields)),
            ReloadAction::Start | ReloadAction::Restart => "not started".into(),
            ReloadAction::Drain => "drained".into(),
            ReloadAction::Forget => "forgotten".into(),
            ReloadAction::Change if status.is_some_and(|status| status.refused.is_some()) => "as it was".into(),
            ReloadAction::Change => format!("changed: {}", format_fields(&change.fields)),
            ReloadAction::Later => "down".into(),
            _ => "as it was".into(),
        };
        to_stdout(&format!("{:width$}  {what}\n", change.name))?;
    }
    Ok(())
}

/// What is not as circles.json has it now.
fn check_result(place: &SupervisorFiles, changes: &[CircleChange], statuses: &Statuses) -> Result<(), CliError> {
    let mut failed = Vec::new();
    for change in changes {
        let Some(status) = statuses.circles.iter().find(|status| status.name == change.name) else { continue };
        match change.action {
            ReloadAction::Start | ReloadAction::Restart if status.state != CircleState::Ready => {
                print_last_log_lines(place, status);
                failed.push(format!("'{}' ({})", change.name, status.why.as_deref().unwrap_or("it was taken down")));
            }
            ReloadAction::Change | ReloadAction::Nothing => {
                if let Some(refused) = &status.refused {
                    failed.push(format!("'{}' goes on as it was ({})", change.name, visible(refused)));
                }
            }
            _ => {}
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(CliError::usage("not as circles.json has it", failed.join(", "), "mend that; the others are as it has them"))
}
