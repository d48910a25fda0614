//! `circles keys import NAME [FILE]`: import a key in either format of `export`.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::Path,
};

use keys::{
    KeyPair,
    keystore::{KeyEntry, KeyName, Keystore, KeystoreError},
};
use zeroize::Zeroizing;

use super::print_public_key;
use crate::cli::ImportArgs;
use console::history::holds_secret;
use frontend::error::CliError;
use terminal::{output, passphrase};

/// Largest key file, in bytes; real ones are far smaller.
const MAX_BYTES: usize = 64 << 10;

/// Argument that stands for standard input.
const STDIN: &str = "-";

pub(super) fn run(store: &Keystore, args: &ImportArgs) -> Result<(), CliError> {
    if holds_secret(&args.name) {
        return Err(secret_as_argument());
    }
    let name: KeyName = args.name.parse().map_err(KeystoreError::BadName)?;
    // Fail before prompting.
    if store.exists(&name)? {
        return Err(KeystoreError::Exists { name }.into());
    }
    let file = args.file.as_deref().filter(|file| *file != Path::new(STDIN));
    let source = file.map_or("standard input".to_owned(), |file| file.display().to_string());
    let _restoring = terminal::runtime::client_runtime()?;
    let text = read(file)?;
    let text = text.trim();
    let entry = if text.starts_with('{') {
        import_encrypted(store, &name, text, &source)?
    } else {
        import_secret(store, &name, text, &source, args)?
    };
    let note = if entry.default { " (default key)" } else { "" };
    output::to_stderr(&format!("imported {name}{note}. Give this public key to the operator of a circle:\n"));
    print_public_key(&entry, args.json)?;
    let listing = store.list()?;
    let twin = listing.entries.iter().find(|other| other.name != name && other.public_key == entry.public_key);
    if let Some(twin) = twin {
        output::to_stderr(&format!("this is the same key as {}\n", twin.name));
    }
    Ok(())
}

fn import_encrypted(store: &Keystore, name: &KeyName, text: &str, source: &str) -> Result<KeyEntry, CliError> {
    store.import(name, text, Path::new(source)).map_err(|error| match error {
        KeystoreError::Damaged { path, reason } if path == Path::new(source) => {
            import_error(source, &reason, "check that it is the complete output of circles keys export")
        }
        other => other.into(),
    })
}

fn import_secret(
    store: &Keystore,
    name: &KeyName,
    text: &str,
    source: &str,
    args: &ImportArgs,
) -> Result<KeyEntry, CliError> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let is_secret = holds_secret(digits) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let keypair = if is_secret { KeyPair::from_secret_hex(digits).ok() } else { None };
    let keypair = keypair.ok_or_else(|| {
        let why = "it contains neither an exported key nor a secret key of 64 hex digits";
        import_error(source, why, "export the key first: circles keys export NAME")
    })?;
    let chosen = passphrase::choose(args.passphrase.passphrase_fd)?;
    Ok(store.create(name, &keypair, &chosen, passphrase::WORK_FACTOR)?)
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
    // Full capacity from the start: a buffer that grows leaves unwiped copies behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES + 1));
    let length =
        source.take(MAX_BYTES as u64 + 1).read_to_string(&mut text).map_err(|error| read_error(source_name, &error))?;
    if length > MAX_BYTES {
        let why = format!("it is larger than {MAX_BYTES} bytes, too large for a key");
        return Err(import_error(&source_name.display().to_string(), &why, "check the file name"));
    }
    Ok(text)
}

fn read_error(file: &Path, error: &io::Error) -> CliError {
    // An existing file may have such a name; if there is no such file, the user typed a secret.
    if holds_secret(&file.to_string_lossy()) {
        return secret_as_argument();
    }
    CliError::io(format!("cannot read {}", file.display()), error, "check the file name; - is standard input")
}

/// The error for a secret key as an argument. It does not repeat the secret.
fn secret_as_argument() -> CliError {
    CliError::usage(
        "a secret key cannot be an argument",
        "other processes can see arguments, and the shell keeps them in its history",
        "treat this key as exposed and make another; import reads secrets from a file or standard input: circles keys import NAME",
    )
}

fn import_error(source: &str, why: &str, fix: &str) -> CliError {
    CliError::usage(format!("cannot import {source}"), why, fix)
}
