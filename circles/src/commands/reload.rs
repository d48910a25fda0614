//! `circles reload`: until what is different in circles.json is taken over.

use launcher::{
    Action, CircleChange, State, Statuses,
    control::{ControlError, Reload},
    place::Place,
};
use protocol::methods::NoParams;

use crate::{
    cli::ReloadArgs,
    commands::{
        diff::{fields, json},
        up::last_words,
    },
};
use frontend::{error::CliError, supervisor, visible::visible};
use terminal::printing::to_stdout;

pub(crate) fn run(args: &ReloadArgs) -> Result<(), CliError> {
    let place = supervisor::place(args.config.path())?;
    let asked = terminal::connect::client_runtime()?.block_on(async {
        let Some((mut client, _)) = supervisor::answering(&place).await? else { return Ok(None) };
        client.call::<Reload>(&NoParams {}, args.timeout).await.map(Some)
    });
    let reloaded = match asked {
        Err(ControlError::Lost) => None,
        Err(ControlError::TimedOut { patience }) if patience == args.timeout => {
            let why = format!("not all is done after {} s", patience.as_secs_f64());
            let fix = "it goes on by itself: circles status; or wait longer: --timeout";
            return Err(CliError::supervisor("the reload takes long", why, fix));
        }
        other => other.map_err(supervisor::failed)?,
    };
    let Some(reloaded) = reloaded else {
        return Err(CliError::supervisor(
            "there is nothing to reload",
            format!("no supervisor of {} runs", place.config().display()),
            "start it: circles up",
        ));
    };
    if args.json {
        to_stdout(&json(&reloaded.changes))?;
    } else {
        print(&reloaded.changes, &reloaded.statuses)?;
    }
    judge(&place, &reloaded.changes, &reloaded.statuses)
}

fn print(changes: &[CircleChange], statuses: &Statuses) -> Result<(), CliError> {
    let width = changes.iter().map(|change| change.name.len()).max().unwrap_or_default();
    for change in changes {
        let status = statuses.circles.iter().find(|status| status.name == change.name);
        let is_ready = status.is_some_and(|status| status.state == State::Ready);
        let what = match change.action {
            Action::Start if is_ready => "started".into(),
            Action::Restart if is_ready => format!("started again: {}", fields(&change.fields)),
            Action::Start | Action::Restart => "not started".into(),
            Action::Drain => "drained".into(),
            Action::Forget => "forgotten".into(),
            Action::Change if status.is_some_and(|status| status.refused.is_some()) => "as it was".into(),
            Action::Change => format!("changed: {}", fields(&change.fields)),
            Action::Later => "down".into(),
            _ => "as it was".into(),
        };
        to_stdout(&format!("{:width$}  {what}\n", change.name))?;
    }
    Ok(())
}

/// What is not as circles.json has it now.
fn judge(place: &Place, changes: &[CircleChange], statuses: &Statuses) -> Result<(), CliError> {
    let mut failed = Vec::new();
    for change in changes {
        let Some(status) = statuses.circles.iter().find(|status| status.name == change.name) else { continue };
        match change.action {
            Action::Start | Action::Restart if status.state != State::Ready => {
                last_words(place, status);
                failed.push(format!("'{}' ({})", change.name, status.why.as_deref().unwrap_or("it was taken down")));
            }
            Action::Change | Action::Nothing => {
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
