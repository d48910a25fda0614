//! What connecting takes of a person at the terminal, and of the process: a passphrase, a runtime.

use std::sync::Arc;

use console::session::Keyring;
use frontend::error::{CliError, os_error_text};
use keys::{
    KeyPair,
    keystore::{KeyName, Keystore},
};
use tokio::runtime::Runtime;

use crate::{modes, passphrase};

/// The key, with its passphrase from where the arguments say or the terminal, unless it was unlocked before. Blocks for
/// as long as that takes, and a second or so more.
pub fn unlock_into_keyring(
    keyring: &Keyring,
    name: &KeyName,
    passphrase_fd: Option<u32>,
) -> Result<Arc<KeyPair>, CliError> {
    if let Some(keypair) = keyring.get(name) {
        return Ok(keypair);
    }
    let store = Keystore::open_default()?;
    // That there is no such key is said before a passphrase is asked for.
    store.show(name)?;
    let keypair = Arc::new(passphrase::unlock(&store, name, passphrase_fd)?);
    keyring.insert(name.clone(), keypair.clone());
    Ok(keypair)
}

/// The runtime of a command that deals with a terminal.
pub fn client_runtime() -> Result<Runtime, CliError> {
    let runtime = runtime()?;
    modes::restore_on_signals(&runtime)?;
    Ok(runtime)
}

/// The runtime of a command.
pub fn runtime() -> Result<Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| CliError::usage("cannot start", os_error_text(&error), "are there too many processes?"))
}
