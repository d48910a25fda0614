//! `circles keygen [NAME]`.

use keys::keystore::Keystore;

use crate::{cli::KeygenArgs, commands::keys::print_public_key};
use frontend::{error::CliError, key_transfer};
use terminal::{output, passphrase};

pub(crate) fn run(args: &KeygenArgs) -> Result<(), CliError> {
    let store = Keystore::open_default()?;
    // Fail before the user has to think of a passphrase.
    key_transfer::check_free(&store, &args.name)?;
    let _restoring = terminal::runtime::client_runtime()?;
    let passphrase = passphrase::choose(args.passphrase.passphrase_fd)?;
    let keypair = key_transfer::generate()?;
    let entry = store.create(&args.name, &keypair, &passphrase, passphrase::WORK_FACTOR)?;
    let note = if entry.default { " (default key)" } else { "" };
    output::to_stderr(&format!("created {}{note}. Give this public key to the operator of a circle:\n", entry.name));
    print_public_key(&entry, args.json)
}
