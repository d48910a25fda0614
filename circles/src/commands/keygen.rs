//! `circles keygen [NAME]`.

use keys::{
    KeyPair,
    keystore::{Keystore, KeystoreError},
};

use crate::{cli::KeygenArgs, commands::keys::print_public_key};
use frontend::error::CliError;
use terminal::{output, passphrase};

pub(crate) fn run(args: &KeygenArgs) -> Result<(), CliError> {
    let store = Keystore::open_default()?;
    // Fail before the user has to think of a passphrase.
    if store.exists(&args.name)? {
        return Err(KeystoreError::Exists { name: args.name.clone() }.into());
    }
    let _restoring = terminal::runtime::client_runtime()?;
    let passphrase = passphrase::choose(args.passphrase.passphrase_fd)?;
    let keypair = KeyPair::generate().map_err(|error| {
        CliError::usage("cannot make a key", error.to_string(), "check that the operating system provides random bytes")
    })?;
    let entry = store.create(&args.name, &keypair, &passphrase, passphrase::WORK_FACTOR)?;
    let note = if entry.default { " (default key)" } else { "" };
    output::to_stderr(&format!("created {}{note}. Give this public key to the operator of a circle:\n", entry.name));
    print_public_key(&entry, args.json)
}
