//! `circles up --dry-run` and `circles restart --dry-run`: show what would be done.

use launcher::{CircleState, control::ControlError};

use super::StartCommand;
use crate::cli::UpArgs;
use frontend::{config, error::CliError, supervisor};
use terminal::output::to_stdout;

pub(super) fn run(args: &UpArgs, command: StartCommand) -> Result<(), CliError> {
    let circles = config::circles(args.config.path(), &args.names)?;
    let files = supervisor::place(args.config.path())?;
    let response = terminal::runtime::client_runtime()?.block_on(supervisor::connect_with_status(&files));
    let statuses = match response {
        Err(ControlError::Disconnected) => None,
        other => other.map_err(supervisor::control_error)?.map(|(_, statuses)| statuses),
    };
    // A supervisor that is shutting down would be replaced.
    let known = statuses.filter(|statuses| !statuses.is_ending).map(|statuses| statuses.circles);
    if known.is_none() {
        to_stdout("the supervisor would be started\n")?;
    }
    let width = circles.iter().map(|circle| circle.name.len()).max().unwrap_or_default();
    for circle in &circles {
        let status = known.iter().flatten().find(|status| status.name == circle.name);
        let what = match (status.map_or(CircleState::Down, |status| status.state), command) {
            (CircleState::Down | CircleState::Failed, _) => "would be started",
            (_, StartCommand::Restart) => "would be drained and restarted",
            (CircleState::Ready, StartCommand::Up) => "is up",
            (CircleState::Starting, StartCommand::Up) => "is starting",
            (CircleState::BackingOff, StartCommand::Up) => "would be restarted now",
            (CircleState::Draining, StartCommand::Up) => "would be restarted after it has drained",
            (_, StartCommand::Up) => "would be up",
        };
        to_stdout(&format!("{:width$}  {what}\n", circle.name))?;
    }
    Ok(())
}
