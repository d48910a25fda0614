//! Connects to a circle with a person at the terminal: says what it waits for, and asks for the passphrase of a key.

use std::sync::Arc;

use frontend::{
    connect::{Choice, Connected, Keyring, Options, is_for_throwaway, reach, to_throwaway},
    error::{CliError, os_text},
    target::{self, Destination},
};
use keys::{
    KeyPair,
    keystore::{KeyName, Keystore},
};
use tokio::runtime::Runtime;

use crate::{modes, passphrase, waiting};

/// The key, with its passphrase from where the arguments say or the terminal, unless it was unlocked before. Blocks for
/// as long as that takes, and a second or so more.
pub fn unlock(
    keyring: &mut Keyring,
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
        .map_err(|error| CliError::usage("cannot start", os_text(&error), "are there too many processes?"))
}

/// Connects to the circle that was asked for, or to a throw-away one, and authenticates where the circle asks for it or the
/// user does. A passphrase that is needed is asked for on this thread, and the key that it unlocks is kept.
pub fn connect(
    runtime: &Runtime,
    asked: Option<&str>,
    options: &Options,
    keyring: &mut Keyring,
) -> Result<Connected, CliError> {
    let choice = &options.choice;
    runtime.block_on(async {
        let Some(said) = target::asked(asked) else {
            is_for_throwaway(choice)?;
            return to_throwaway().await;
        };
        let destination = target::find(&said, options.config.as_deref()).await?;
        to(destination, choice, async |name| unlock(keyring, name, options.passphrase_fd)).await
    })
}

/// Connects to a circle, and authenticates as [`connect`] does; a key that is needed comes from `unlock`.
pub async fn to(
    destination: Destination,
    choice: &Choice,
    unlock: impl AsyncFnOnce(&KeyName) -> Result<Arc<KeyPair>, CliError>,
) -> Result<Connected, CliError> {
    let what = format!("connecting to {destination}");
    let reached = waiting::shown(&what, reach(destination, choice)).await?;
    let Some(name) = reached.key() else { return Ok(reached.without_proof()) };
    let keypair = unlock(name).await?;
    waiting::shown("proving the key", reached.prove(keypair)).await
}

