//! Where passphrases come from: a descriptor, a file, the environment, the terminal. Never an argument.

use std::{fs::File, io::Read, path::Path};

use zeroize::Zeroizing;

use crate::{
    cli::PassphraseArgs,
    error::{CliError, Parts, os_text},
    terminal::Quiet,
};

/// Bytes of a passphrase.
const MAX_BYTES: u64 = 4096;

/// The passphrase of an existing key.
pub(crate) fn ask(args: &PassphraseArgs, question: &str) -> Result<Zeroizing<String>, CliError> {
    match given(args)? {
        Some(passphrase) => Ok(passphrase),
        None => prompt(question),
    }
}

/// The passphrase of a new key: on the terminal it is asked for twice.
pub(crate) fn choose(args: &PassphraseArgs) -> Result<Zeroizing<String>, CliError> {
    let passphrase = if let Some(passphrase) = given(args)? {
        passphrase
    } else {
        let first = prompt("Passphrase for the new key: ")?;
        if !first.is_empty() && prompt("The same again: ")? != first {
            return Err(failed("the two passphrases differ", "run it again"));
        }
        first
    };
    if passphrase.is_empty() {
        return Err(failed("it is empty", "an empty passphrase protects nothing; choose another"));
    }
    Ok(passphrase)
}

/// The passphrase that was given, so that nobody is to be asked.
pub(crate) fn given(args: &PassphraseArgs) -> Result<Option<Zeroizing<String>>, CliError> {
    if let Some(number) = args.passphrase_fd {
        return read(Path::new(&format!("/dev/fd/{number}"))).map(Some);
    }
    if let Some(path) = std::env::var_os("CIRCLES_PASSPHRASE_FILE") {
        return read(Path::new(&path)).map(Some);
    }
    Ok(std::env::var("CIRCLES_PASSPHRASE").ok().map(Zeroizing::new))
}

/// All of it, but one newline at its end.
fn read(path: &Path) -> Result<Zeroizing<String>, CliError> {
    let mut text = Zeroizing::new(String::new());
    let length = File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| failed(&format!("cannot read {}: {}", path.display(), os_text(&error)), "check its name"))?;
    if length as u64 > MAX_BYTES {
        return Err(failed(&format!("{} holds more than {MAX_BYTES} bytes", path.display()), "check its name"));
    }
    if text.ends_with('\n') {
        text.pop();
    }
    if text.ends_with('\r') {
        text.pop();
    }
    Ok(text)
}

fn prompt(question: &str) -> Result<Zeroizing<String>, CliError> {
    // Before the question stands there, so that even the fastest answer is not seen.
    let _hidden = Quiet::hide();
    rpassword::prompt_password(question).map(Zeroizing::new).map_err(|error| match error.kind() {
        std::io::ErrorKind::Interrupted | std::io::ErrorKind::UnexpectedEof => CliError::Interrupted,
        _ => failed(
            "there is no terminal to ask on",
            "set CIRCLES_PASSPHRASE_FILE or CIRCLES_PASSPHRASE, or give --passphrase-fd N",
        ),
    })
}

fn failed(why: &str, fix: &str) -> CliError {
    CliError::Passphrase(Parts { what: "no passphrase".into(), why: why.into(), fix: fix.into() })
}
