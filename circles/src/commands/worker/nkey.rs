//! `circles worker --new-nkey`: make the nkey of a NATS user.

use std::path::Path;

use frontend::error::CliError;
use terminal::output;
use worker_nats::config::create_nkey;

/// Writes the seed of a new nkey into a file that only its owner can access, and prints the public key.
pub(super) fn create(file: &Path) -> Result<(), CliError> {
    let public_key = create_nkey(file).map_err(|error| CliError::usage(error.to_string(), "", ""))?;
    output::to_stderr("Put this public key into the configuration of nats-server:\n");
    Ok(output::to_stdout(&format!("{public_key}\n"))?)
}
