//! `circles worker`: run the scripts of circles on other machines.

mod machine;
mod nkey;

use frontend::error::{CliError, os_error_text};
use machine::MachineSettings;
use terminal::runtime::single_threaded_runtime;
use worker_nats::{LinkId, subjects::SubjectName};

use super::nats;
use crate::cli::WorkerArgs;

pub(crate) fn run(args: &WorkerArgs) -> Result<(), CliError> {
    if let Some(file) = &args.new_nkey {
        return nkey::create(file);
    }
    // The parser requires it.
    let servers = args.nats.as_deref().unwrap_or_default();
    let settings = MachineSettings {
        config: nats::config(&args.connection.settings(servers))?,
        circles: args.circle.clone(),
        name: args.name.clone().map_or_else(random_name, Ok)?,
        places: args.places,
        memory_mib: args.memory_mib,
        grace: args.grace,
        waits: args.wait,
    };
    // The machine relays bytes; its tasks would only wake each other's threads.
    single_threaded_runtime()?.block_on(machine::run(settings))
}

/// Returns a name that no other machine has.
fn random_name() -> Result<SubjectName, CliError> {
    let failed = |error: std::io::Error| {
        CliError::usage("cannot choose a name for this machine", os_error_text(&error), "choose one: --name NAME")
    };
    let id = LinkId::generate().map_err(failed)?;
    SubjectName::new(&hex::encode(&id.to_bytes()[..8])).map_err(|error| failed(std::io::Error::other(error)))
}
