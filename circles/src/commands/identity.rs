//! `circles identity show|rotate NAME`: what the circles of circles.json identify themselves with.

use std::path::PathBuf;

use frontend::{
    config,
    error::CliError,
    supervisor::{self, CONTROL_TIMEOUT},
};
use keys::identity_file::{self, IdentityFileError};
use launcher::{
    CircleState,
    control::{ControlError, Restart},
    supervisor_files::SupervisorFiles,
};
use serde_json::json;

use crate::{
    cli::{ConfigArgs, IdentityVerb},
    confirmation,
};
use terminal::output::{self, to_stdout};

/// How long the circle may take to drain and to be ready again.
const RESTART_TIMEOUT: std::time::Duration = std::time::Duration::from_mins(1);

pub(crate) fn run(verb: &IdentityVerb) -> Result<(), CliError> {
    match verb {
        IdentityVerb::Show { name, json, config } => show(name, *json, config),
        IdentityVerb::Rotate { name, yes, config } => rotate(name, *yes, config),
    }
}

/// The file of a circle's identity, and the place of its supervisor. Nothing is made.
fn find_identity_file(name: &str, config: &ConfigArgs) -> Result<(PathBuf, SupervisorFiles), CliError> {
    let circle = config::circle(config.path(), name)?;
    let directories = supervisor::find_directories();
    let place = SupervisorFiles::open(&config::path(config.path())?, &directories.run, &directories.state)?;
    let file = circle.identity.unwrap_or_else(|| place.identity(name));
    // What is shown can be used from anywhere.
    Ok((std::path::absolute(&file).unwrap_or(file), place))
}

fn identity_error(name: &str, error: IdentityFileError) -> CliError {
    match error {
        IdentityFileError::Missing { path } => CliError::usage(
            format!("the circle '{name}' has no identity yet"),
            format!("there is no {}", path.display()),
            format!("its first start makes one: circles up {name}"),
        ),
        other => other.into(),
    }
}

fn show(name: &str, is_json: bool, config: &ConfigArgs) -> Result<(), CliError> {
    let (file, _) = find_identity_file(name, config)?;
    let public_key = identity_file::load(&file).map_err(|error| identity_error(name, error))?.public_key().to_hex();
    let text = if is_json {
        json!({ "name": name, "public_key": public_key, "file": file.display().to_string() }).to_string()
    } else {
        format!("{public_key}  {}", file.display())
    };
    Ok(to_stdout(&format!("{text}\n"))?)
}

fn rotate(name: &str, is_confirmed: bool, config: &ConfigArgs) -> Result<(), CliError> {
    let (file, place) = find_identity_file(name, config)?;
    // That there is none, or that it is open to others, is said before anything is asked.
    let old = identity_file::load(&file).map_err(|error| identity_error(name, error))?.public_key();
    confirmation::confirm(
        is_confirmed,
        &format!(
            "Give {name} a new identity instead of {old}? Clients that know the circle refuse it until they forget it."
        ),
        &format!("the identity of '{name}' is not rotated"),
    )?;
    let rotated = identity_file::rotate(&file).map_err(|error| identity_error(name, error))?;
    to_stdout(&format!("{}\n", rotated.new))?;
    output::to_stderr(&format!(
        "{name} has this identity from its next start on, instead of {}\n  clients that know the circle refuse it until \
         they forget the old one: circles known forget HOST:PORT\n  restart what else uses {}, as replicas\n",
        rotated.old,
        file.display()
    ));
    restart(name, &place)
}

/// Restarts the circle, if it is up.
fn restart(name: &str, place: &SupervisorFiles) -> Result<(), CliError> {
    let names = [name.to_owned()];
    let restarted = terminal::runtime::client_runtime()?.block_on(async {
        let Some((client, statuses)) = supervisor::connect_with_status(place).await? else { return Ok(None) };
        drop(client);
        let is_up = |state| !matches!(state, CircleState::Down | CircleState::Failed);
        if !statuses.circles.iter().any(|circle| circle.name == name && is_up(circle.state)) {
            return Ok(None);
        }
        Ok(Some(supervisor::call_running::<Restart>(place, &names, RESTART_TIMEOUT + CONTROL_TIMEOUT).await?))
    });
    let restart_hint = |error: CliError| {
        CliError::supervisor(
            format!("the circle '{name}' is not restarted, and has its old identity still"),
            error.message(),
            format!("restart it: circles restart {name}"),
        )
    };
    let restarted = match restarted {
        // A supervisor that is just ending has its circles end, too.
        Err(RestartError::Supervisor(ControlError::Disconnected)) | Ok(None | Some(None)) => {
            output::to_stderr(&format!("{name} is down\n  start it: circles up {name}\n"));
            return Ok(());
        }
        Err(RestartError::Supervisor(error)) => return Err(restart_hint(supervisor::control_error(error))),
        Err(RestartError::Restart(error)) => return Err(restart_hint(error)),
        Ok(Some(Some(statuses))) => statuses,
    };
    match restarted.circles.into_iter().find(|circle| circle.name == name) {
        Some(circle) if circle.state == CircleState::Ready => {
            output::to_stderr(&format!("restarted {name}\n"));
            Ok(())
        }
        circle => {
            let why = circle.and_then(|circle| circle.why).unwrap_or_else(|| "it does not take connections yet".into());
            Err(CliError::supervisor(
                format!("the circle '{name}' is not up"),
                frontend::visible::visible(&why).into_owned(),
                format!("see circles logs {name}; then circles restart {name}"),
            ))
        }
    }
}

/// Why a circle was not restarted.
enum RestartError {
    Supervisor(ControlError),
    Restart(CliError),
}

impl From<ControlError> for RestartError {
    fn from(error: ControlError) -> Self {
        Self::Supervisor(error)
    }
}

impl From<CliError> for RestartError {
    fn from(error: CliError) -> Self {
        Self::Restart(error)
    }
}
