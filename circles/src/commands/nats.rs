//! Settings of a connection to NATS, and errors of NATS with their exit codes.

use frontend::error::CliError;
use worker_nats::{
    config::{NatsConfig, NatsConfigError, NatsSettings},
    connection::{ConnectError, PermissionError},
    server::HubError,
};

/// What servers and machines must have in common besides the sources of `worker`: the native functions of this program.
pub(crate) const PROGRAM: &str = concat!("circles ", env!("CARGO_PKG_VERSION"));

/// Validates settings and reads their files.
pub(crate) fn config(settings: &NatsSettings) -> Result<NatsConfig, CliError> {
    let config = NatsConfig::new(settings).map_err(|error| config_error(&error))?;
    config.check_files().map_err(|error| config_error(&error))?;
    Ok(config)
}

fn config_error(error: &NatsConfigError) -> CliError {
    let option = match error.field() {
        "nats" => "--nats".to_owned(),
        field => format!("--nats-{}", field.replace('_', "-")),
    };
    CliError::usage(format!("invalid {option}"), error.to_string(), "")
}

/// Converts the reason why there is no connection.
pub(crate) fn connect_error(error: &ConnectError) -> CliError {
    match error {
        ConnectError::Config(error) => config_error(error),
        ConnectError::SmallPayload { .. } => CliError::usage(error.to_string(), "", ""),
        ConnectError::Refused { .. } | ConnectError::Tls { .. } => CliError::refused(error.to_string(), "", ""),
        // Those of later versions are most likely such that another attempt may succeed.
        _ => CliError::supervisor(error.to_string(), "", ""),
    }
}

/// Converts the reason why a circle cannot use NATS.
pub(crate) fn hub_error(error: &HubError) -> CliError {
    match error {
        HubError::Connect(error) => connect_error(error),
        HubError::Permission(error) => permission_error(error),
        error => CliError::usage(error.to_string(), "", ""),
    }
}

/// Converts a missing permission.
fn permission_error(error: &PermissionError) -> CliError {
    CliError::refused(error.to_string(), "", "")
}
