//! Keys for connections, and tokio runtimes for commands.

use std::sync::Arc;

use console::session::Keyring;
use frontend::error::{CliError, os_error_text};
use keys::{
    KeyPair,
    keystore::{KeyName, Keystore},
};
use tokio::runtime::{Builder, Runtime};

use crate::{modes, passphrase};

/// Unlocks a key and adds it to the keyring, unless the keyring has it. The passphrase comes from `passphrase_fd`, the
/// environment or the terminal. Blocks while the user types, and for about a second more.
pub fn unlock_into_keyring(
    keyring: &Keyring,
    name: &KeyName,
    passphrase_fd: Option<u32>,
) -> Result<Arc<KeyPair>, CliError> {
    if let Some(keypair) = keyring.get(name) {
        return Ok(keypair);
    }
    let store = Keystore::open_default()?;
    // Report an unknown key before asking for its passphrase.
    store.show(name)?;
    let keypair = Arc::new(passphrase::unlock(&store, name, passphrase_fd)?);
    keyring.insert(name.clone(), keypair.clone());
    Ok(keypair)
}

/// Starts the runtime of a command that changes terminal modes; signals restore them.
pub fn client_runtime() -> Result<Runtime, CliError> {
    let runtime = runtime()?;
    modes::restore_on_signals(&runtime)?;
    Ok(runtime)
}

/// Starts the runtime of a command.
pub fn runtime() -> Result<Runtime, CliError> {
    build(Builder::new_multi_thread().worker_threads(2))
}

/// Starts the runtime of a command whose tasks all run on the current thread.
pub fn single_threaded_runtime() -> Result<Runtime, CliError> {
    build(&mut Builder::new_current_thread())
}

fn build(builder: &mut Builder) -> Result<Runtime, CliError> {
    builder.enable_all().build().map_err(|error| {
        CliError::usage("cannot start threads", os_error_text(&error), "are there too many processes?")
    })
}
