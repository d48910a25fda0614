//! `circles keys export NAME --secret`: the one place where a secret key is shown, on purpose only.

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
    // That there is no such key is said before anything is asked.
    store.show(name)?;
    confirmation::confirm(
        is_confirmed,
        &format!("Print the secret key of {name}? Whoever comes to see it can be {name} on every circle."),
        &format!("the secret key of '{name}' is not printed"),
    )?;
    let _restoring = terminal::runtime::client_runtime()?;
    let keypair = passphrase::unlock(store, name, args.passphrase_fd)?;
    // Written as it is: what it were copied into would not be wiped.
    Ok(to_stdout(&keypair.secret_hex()).and_then(|()| to_stdout("\n"))?)
}
