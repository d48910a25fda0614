//! `circles up --dry-run`, `circles restart --dry-run`: what would be done.

use launcher::{
    State,
    control::{Client, ControlError, Status},
};
use protocol::methods::NoParams;

use super::Wish;
use crate::cli::UpArgs;
use frontend::{config, error::CliError, supervisor};
use terminal::printing::to_stdout;

pub(super) fn run(args: &UpArgs, wish: Wish) -> Result<(), CliError> {
    let wanted = config::circles(args.config.path(), &args.names)?;
    let place = supervisor::place(args.config.path())?;
    let asked = terminal::connect::client_runtime()?.block_on(async {
        let Some(mut client) = Client::connect(&place).await? else { return Ok(None) };
        client.call::<Status>(&NoParams {}, supervisor::PATIENCE).await.map(Some)
    });
    let statuses = match asked {
        Err(ControlError::Lost) => None,
        other => other.map_err(supervisor::failed)?,
    };
    // Another one would be started once it has ended.
    let known = statuses.filter(|statuses| !statuses.is_ending).map(|statuses| statuses.circles);
    if known.is_none() {
        to_stdout("the supervisor would be started\n")?;
    }
    let width = wanted.iter().map(|circle| circle.name.len()).max().unwrap_or_default();
    for circle in &wanted {
        let status = known.iter().flatten().find(|status| status.name == circle.name);
        let what = match (status.map_or(State::Down, |status| status.state), wish) {
            (State::Down | State::Failed, _) => "would be started",
            (_, Wish::Restart) => "would be drained and started again",
            (State::Ready, Wish::Up) => "is up",
            (State::Starting, Wish::Up) => "is starting",
            (State::BackingOff, Wish::Up) => "would be started again at once",
            (State::Draining, Wish::Up) => "would be started again once it has drained",
            (_, Wish::Up) => "would be up",
        };
        to_stdout(&format!("{:width$}  {what}\n", circle.name))?;
    }
    Ok(())
}
