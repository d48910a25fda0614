//! `circles up --dry-run`, `circles restart --dry-run`: what would be done.

use launcher::{
    CircleState,
    control::{ControlClient, ControlError, Status},
};
use protocol::methods::NoParams;

use super::StartCommand;
use crate::cli::UpArgs;
use frontend::{config, error::CliError, supervisor};
use terminal::output::to_stdout;

pub(super) fn run(args: &UpArgs, wish: StartCommand) -> Result<(), CliError> {
    let circles = config::circles(args.config.path(), &args.names)?;
    let place = supervisor::place(args.config.path())?;
    let asked = terminal::runtime::client_runtime()?.block_on(async {
        let Some(mut client) = ControlClient::connect(&place).await? else { return Ok(None) };
        client.call::<Status>(&NoParams {}, supervisor::CONTROL_TIMEOUT).await.map(Some)
    });
    let statuses = match asked {
        Err(ControlError::Disconnected) => None,
        other => other.map_err(supervisor::control_error)?,
    };
    // Another one would be started once it has ended.
    let known = statuses.filter(|statuses| !statuses.is_ending).map(|statuses| statuses.circles);
    if known.is_none() {
        to_stdout("the supervisor would be started\n")?;
    }
    let width = circles.iter().map(|circle| circle.name.len()).max().unwrap_or_default();
    for circle in &circles {
        let status = known.iter().flatten().find(|status| status.name == circle.name);
        let what = match (status.map_or(CircleState::Down, |status| status.state), wish) {
            (CircleState::Down | CircleState::Failed, _) => "would be started",
            (_, StartCommand::Restart) => "would be drained and started again",
            (CircleState::Ready, StartCommand::Up) => "is up",
            (CircleState::Starting, StartCommand::Up) => "is starting",
            (CircleState::BackingOff, StartCommand::Up) => "would be started again at once",
            (CircleState::Draining, StartCommand::Up) => "would be started again once it has drained",
            (_, StartCommand::Up) => "would be up",
        };
        to_stdout(&format!("{:width$}  {what}\n", circle.name))?;
    }
    Ok(())
}
