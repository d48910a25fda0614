//! `circles down [NAME…]`: drains, and waits for the end.

use std::time::Duration;

use launcher::control::{ControlError, Down, Names};

use crate::cli::DownArgs;
use frontend::{config, error::CliError, supervisor};
use terminal::printing::to_stdout;

/// A circle that does not drain is killed long before that.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) fn run(args: &DownArgs) -> Result<(), CliError> {
    let place = supervisor::place(args.config.path())?;
    let runtime = terminal::connect::client_runtime()?;
    let names = (!args.names.is_empty()).then(|| args.names.clone());
    let is_all = names.is_none();
    let ended = runtime.block_on(async {
        let Some((mut client, _)) = supervisor::answering(&place).await? else { return Ok(None) };
        let statuses = client.call::<Down>(&Names { names }, PATIENCE).await?;
        if is_all {
            client.closed().await;
        }
        Ok(Some(statuses.circles))
    });
    let ended = match ended {
        // It was just ending by itself.
        Err(ControlError::Lost) => None,
        other => other.map_err(supervisor::failed)?,
    };
    if is_all {
        supervisor::wait_for_end(&runtime, &place)?;
    } else if ended.is_none() {
        // Nothing is to be done, but a name that means nothing is a mistake all the same.
        config::circles(args.config.path(), &args.names)?;
    }
    let names = ended.unwrap_or_default();
    if names.is_empty() {
        to_stdout("nothing is up\n")?;
    }
    for circle in names {
        to_stdout(&format!("{}  {}\n", circle.name, circle.state))?;
    }
    Ok(())
}
