//! `circles keys export NAME --secret`: the only command that shows a secret key, after confirmation.

use keys::keystore::{KeyName, Keystore};

use crate::{cli::PassphraseArgs, confirmation};
use frontend::error::CliError;
use terminal::{output::to_stdout, passphrase};

pub(super) fn export_secret(
    store: &Keystore,
    name: &KeyName,
    is_confirmed: bool,
    args: &PassphraseArgs,
) -> Result<(), CliError> {
    // Reports a missing key before asking.
    store.show(name)?;
    confirmation::confirm(
        is_confirmed,
        &format!("Print the secret key of {name}? Anyone who sees it can sign in as {name} on every circle."),
        &format!("cannot print the secret key of '{name}'"),
    )?;
    let _restoring = terminal::runtime::client_runtime()?;
    let keypair = passphrase::unlock(store, name, args.passphrase_fd)?;
    // Without a copy: a copy would not be wiped.
    Ok(to_stdout(&keypair.secret_hex()).and_then(|()| to_stdout("\n"))?)
}
