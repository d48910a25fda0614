//! `circles keys import NAME [FILE]`: a key from elsewhere, in either form that `export` writes.

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

/// Bytes of a key file, and far more than one has.
const MAX_BYTES: usize = 64 << 10;

/// Standard input, as an argument.
const STDIN: &str = "-";

pub(super) fn run(store: &Keystore, args: &ImportArgs) -> Result<(), CliError> {
    if holds_secret(&args.name) {
        return Err(secret_as_argument());
    }
    let name: KeyName = args.name.parse().map_err(KeystoreError::BadName)?;
    // Before anything is asked.
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
    let note = if entry.default { ", the default key" } else { "" };
    output::to_stderr(&format!("imported {name}{note}; its public key, for operators to admit:\n"));
    print_public_key(&entry, args.json)?;
    let listing = store.list()?;
    let twin = listing.entries.iter().find(|other| other.name != name && other.public_key == entry.public_key);
    if let Some(twin) = twin {
        output::to_stderr(&format!("it is the same key as {}\n", twin.name));
    }
    Ok(())
}

fn import_encrypted(store: &Keystore, name: &KeyName, text: &str, source: &str) -> Result<KeyEntry, CliError> {
    store.import(name, text, Path::new(source)).map_err(|error| match error {
        KeystoreError::Damaged { path, reason } if path == Path::new(source) => {
            import_error(source, &reason, "is it all of what circles keys export wrote?")
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
        let why = "it holds neither an exported key nor a secret key of 64 hex digits";
        import_error(source, why, "export one elsewhere: circles keys export NAME")
    })?;
    let chosen = passphrase::choose(args.passphrase.passphrase_fd)?;
    Ok(store.create(name, &keypair, &chosen, passphrase::WORK_FACTOR)?)
}

/// All of a file, of standard input, or a line that is typed and not shown.
fn read(file: Option<&Path>) -> Result<Zeroizing<String>, CliError> {
    let source: Box<dyn Read> = match file {
        Some(file) => Box::new(File::open(file).map_err(|error| read_error(file, &error))?),
        None if io::stdin().is_terminal() => {
            let question = "The exported key, or a secret key of 64 hex digits (it is not shown): ";
            return passphrase::prompt_hidden(question).map_err(|_| CliError::Interrupted);
        }
        None => Box::new(io::stdin()),
    };
    let source_name = file.map_or(Path::new("standard input"), |file| file);
    // Room from the start for all that is read: a buffer that grows leaves unwiped pieces behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES + 1));
    let length =
        source.take(MAX_BYTES as u64 + 1).read_to_string(&mut text).map_err(|error| read_error(source_name, &error))?;
    if length > MAX_BYTES {
        let why = format!("it holds more than {MAX_BYTES} bytes, and no key does");
        return Err(import_error(&source_name.display().to_string(), &why, "check its name"));
    }
    Ok(text)
}

fn read_error(file: &Path, error: &io::Error) -> CliError {
    // A file that is called so is one; a file that is not there was none.
    if holds_secret(&file.to_string_lossy()) {
        return secret_as_argument();
    }
    CliError::io(format!("cannot read {}", file.display()), error, "check its name; - is standard input")
}

/// Without what was typed.
fn secret_as_argument() -> CliError {
    CliError::usage(
        "a secret key is not for the command line",
        "other processes see arguments, and the shell keeps them in its history",
        "take it for known to others and make another; a secret is read from a file or from standard input: circles keys import NAME",
    )
}

fn import_error(source: &str, why: &str, fix: &str) -> CliError {
    CliError::usage(format!("cannot import {source}"), why, fix)
}
