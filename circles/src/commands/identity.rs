//! `circles identity show|rotate NAME`: identities of the circles in circles.json.

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

/// Time for the circle to drain and to be ready again.
const RESTART_TIMEOUT: std::time::Duration = std::time::Duration::from_mins(1);

pub(crate) fn run(verb: &IdentityVerb) -> Result<(), CliError> {
    match verb {
        IdentityVerb::Show { name, json, config } => show(name, *json, config),
        IdentityVerb::Rotate { name, yes, config } => rotate(name, *yes, config),
    }
}

/// Finds the identity file of a circle and the files of its supervisor. Creates nothing.
fn find_identity_file(name: &str, config: &ConfigArgs) -> Result<(PathBuf, SupervisorFiles), CliError> {
    let circle = config::circle(config.path(), name)?;
    let directories = supervisor::find_directories();
    let files = SupervisorFiles::open(&config::path(config.path())?, &directories.run, &directories.state)?;
    let file = circle.identity.unwrap_or_else(|| files.identity(name));
    // Absolute, so that the user can paste it anywhere.
    Ok((std::path::absolute(&file).unwrap_or(file), files))
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
    let (file, files) = find_identity_file(name, config)?;
    // Reports a missing or exposed identity before asking.
    let old = identity_file::load(&file).map_err(|error| identity_error(name, error))?.public_key();
    confirmation::confirm(
        is_confirmed,
        &format!("Replace the identity {old} of {name}? Clients that know it refuse the circle until they forget it."),
        &format!("cannot rotate the identity of '{name}'"),
    )?;
    let rotated = identity_file::rotate(&file).map_err(|error| identity_error(name, error))?;
    to_stdout(&format!("{}\n", rotated.new))?;
    output::to_stderr(&format!(
        "{name} gets this identity at its next start; the old one was {}\n  clients that know the circle refuse it until \
         they forget the old identity: circles known forget HOST:PORT\n  restart everything else that uses {}, such as \
         replicas\n",
        rotated.old,
        file.display()
    ));
    restart(name, &files)
}

/// Restarts the circle if it is up.
fn restart(name: &str, files: &SupervisorFiles) -> Result<(), CliError> {
    let names = [name.to_owned()];
    let restarted = terminal::runtime::client_runtime()?.block_on(async {
        let Some((client, statuses)) = supervisor::connect_with_status(files).await? else { return Ok(None) };
        drop(client);
        let is_up = |state| !matches!(state, CircleState::Down | CircleState::Failed);
        if !statuses.circles.iter().any(|circle| circle.name == name && is_up(circle.state)) {
            return Ok(None);
        }
        Ok(Some(supervisor::call_running::<Restart>(files, &names, RESTART_TIMEOUT + CONTROL_TIMEOUT).await?))
    });
    let restart_hint = |error: CliError| {
        CliError::supervisor(
            format!("the circle '{name}' was not restarted and still has its old identity"),
            error.message(),
            format!("restart it: circles restart {name}"),
        )
    };
    let restarted = match restarted {
        // A supervisor that is shutting down ends its circles, too.
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
            let why =
                circle.and_then(|circle| circle.why).unwrap_or_else(|| "it does not accept connections yet".into());
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
