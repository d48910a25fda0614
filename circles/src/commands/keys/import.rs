//! `circles keys import NAME [FILE]`: import a key in either format of `export`.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::Path,
};

use keys::keystore::{KeyName, Keystore, KeystoreError};
use zeroize::Zeroizing;

use super::print_public_key;
use crate::cli::ImportArgs;
use console::history::holds_secret;
use frontend::{
    error::CliError,
    key_transfer::{self, ImportedKey},
};
use terminal::{output, passphrase};

/// Argument that stands for standard input.
const STDIN: &str = "-";

pub(super) fn run(store: &Keystore, args: &ImportArgs) -> Result<(), CliError> {
    if holds_secret(&args.name) {
        return Err(secret_as_argument());
    }
    let name: KeyName = args.name.parse().map_err(KeystoreError::BadName)?;
    // Fail before prompting.
    key_transfer::check_free(store, &name)?;
    let file = args.file.as_deref().filter(|file| *file != Path::new(STDIN));
    let source = file.map_or("standard input".to_owned(), |file| file.display().to_string());
    let _restoring = terminal::runtime::client_runtime()?;
    let entry = match key_transfer::parse(&read(file)?, &source)? {
        ImportedKey::Encrypted(text) => key_transfer::store_encrypted(store, &name, &text, &source)?,
        ImportedKey::Secret(keypair) => {
            let chosen = passphrase::choose(args.passphrase.passphrase_fd)?;
            store.create(&name, &keypair, &chosen, passphrase::WORK_FACTOR)?
        }
    };
    let note = if entry.default { " (default key)" } else { "" };
    output::to_stderr(&format!("imported {name}{note}. Give this public key to the operator of a circle:\n"));
    print_public_key(&entry, args.json)?;
    let listing = store.list()?;
    if let Some(same) = key_transfer::find_same_key(&entry, listing.entries.iter()) {
        output::to_stderr(&format!("this is the same key as {}\n", same.name));
    }
    Ok(())
}

/// Reads a file, standard input, or a hidden line from the terminal.
fn read(file: Option<&Path>) -> Result<Zeroizing<String>, CliError> {
    let source: Box<dyn Read> = match file {
        Some(file) => Box::new(File::open(file).map_err(|error| read_error(file, &error))?),
        None if io::stdin().is_terminal() => {
            let question = "Exported key, or secret key of 64 hex digits (not shown): ";
            return passphrase::prompt_hidden(question).map_err(|_| CliError::Interrupted);
        }
        None => Box::new(io::stdin()),
    };
    let source_name = file.map_or(Path::new("standard input"), |file| file);
    key_transfer::read(source).map_err(|error| read_error(source_name, &error))
}

fn read_error(file: &Path, error: &io::Error) -> CliError {
    // An existing file may have such a name; if there is no such file, the user typed a secret.
    if holds_secret(&file.to_string_lossy()) {
        return secret_as_argument();
    }
    key_transfer::read_error(file, error)
}

/// The error for a secret key as an argument. It does not repeat the secret.
fn secret_as_argument() -> CliError {
    CliError::usage(
        "a secret key cannot be an argument",
        "other processes can see arguments, and the shell keeps them in its history",
        "treat this key as exposed and make another; import reads secrets from a file or standard input: circles keys import NAME",
    )
}
