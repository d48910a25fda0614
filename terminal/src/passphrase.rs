//! Reads passphrases from a descriptor, a file, the environment or the terminal, but never from an argument.

mod environment;

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    process::Command,
};

use keys::{
    KeyPair,
    keystore::{KeyName, Keystore, KeystoreError, WorkFactor},
};
use zeroize::Zeroizing;

pub use environment::{take_from_environment, was_in_environment, wipe};

use crate::{modes::QuietTerminal, output};
use frontend::error::{CliError, ErrorParts, os_error_text};

/// scrypt's N as a power of two: 256 MiB and about a second for one attempt. The library's default depends on the load
/// of the machine, and can need more memory than a small machine has.
pub const WORK_FACTOR: WorkFactor = WorkFactor::Log2(18);

/// The maximum number of attempts on the terminal, as in ssh and sudo.
const MAX_ATTEMPTS: u32 = 3;

/// The maximum length of a passphrase, in bytes.
const MAX_BYTES: u64 = 4096;

/// The size of the read buffer: more than is ever read, so that the buffer does not grow.
const BUFFER_BYTES: usize = 8192;

/// The environment variables that hold a passphrase or name a file with one.
pub const VARIABLES: [&str; 4] = [CURRENT.file, CURRENT.text, NEW.file, NEW.text];

const CURRENT: PassphraseSources =
    PassphraseSources { flag: "--passphrase-fd", file: "CIRCLES_PASSPHRASE_FILE", text: "CIRCLES_PASSPHRASE" };

/// The sources of a new passphrase. Their names differ, because a command that changes a passphrase needs both.
const NEW: PassphraseSources = PassphraseSources {
    flag: "--new-passphrase-fd",
    file: "CIRCLES_NEW_PASSPHRASE_FILE",
    text: "CIRCLES_NEW_PASSPHRASE",
};

/// The names of the flag and the variables that can give a passphrase.
struct PassphraseSources {
    flag: &'static str,
    file: &'static str,
    text: &'static str,
}

/// Removes the passphrase variables from the environment of a child process.
pub fn remove_variables(command: &mut Command) -> &mut Command {
    VARIABLES.iter().fold(command, |command, name| command.env_remove(name))
}

/// Unlocks an existing key. On the terminal, asks again after a wrong passphrase.
pub fn unlock(store: &Keystore, name: &KeyName, descriptor: Option<u32>) -> Result<KeyPair, CliError> {
    // Report an unusable key before asking for its passphrase.
    store.check_unlockable(name)?;
    if let Some(passphrase) = read_given(descriptor)? {
        return store.unlock(name, &passphrase).map_err(|error| match error {
            KeystoreError::WrongPassphrase { .. } => wrong_given_passphrase(&error, descriptor),
            error => error.into(),
        });
    }
    let mut left = MAX_ATTEMPTS;
    // No echo between attempts either: a user who notices a typo begins to type again at once.
    let _hidden = QuietTerminal::without_echo();
    loop {
        left -= 1;
        match store.unlock(name, &prompt(&format!("Passphrase of {name}: "), &CURRENT)?) {
            Err(KeystoreError::WrongPassphrase { .. }) if left > 0 => ask_again("wrong passphrase"),
            result => return Ok(result?),
        }
    }
}

/// Returns the error for a wrong passphrase that nobody typed: a second attempt would give the same one.
fn wrong_given_passphrase(error: &KeystoreError, descriptor: Option<u32>) -> CliError {
    let source = match descriptor {
        Some(number) => format!("{} {number}", CURRENT.flag),
        None if std::env::var_os(CURRENT.file).is_some() => CURRENT.file.into(),
        None => CURRENT.text.into(),
    };
    let fix = format!("the passphrase comes from {source}: correct it, or leave it out to be asked");
    CliError::Passphrase(ErrorParts { what: "keystore".into(), why: error.to_string(), fix })
}

/// Reads the passphrase of a new key. On the terminal, asks for it twice.
pub fn choose(descriptor: Option<u32>) -> Result<Zeroizing<String>, CliError> {
    choose_with(read_given(descriptor)?, "Passphrase for the new key: ", &CURRENT)
}

/// Reads the new passphrase of an existing key. On the terminal, asks for it twice.
pub fn choose_new(descriptor: Option<u32>, question: &str) -> Result<Zeroizing<String>, CliError> {
    choose_with(read_from(descriptor, &NEW)?, question, &NEW)
}

fn choose_with(
    given: Option<Zeroizing<String>>,
    question: &str,
    names: &PassphraseSources,
) -> Result<Zeroizing<String>, CliError> {
    const EMPTY: &str = "an empty passphrase protects nothing";
    if let Some(passphrase) = given {
        return if passphrase.is_empty() { Err(passphrase_error(EMPTY, "choose another")) } else { Ok(passphrase) };
    }
    let mut left = MAX_ATTEMPTS;
    loop {
        left -= 1;
        let first = prompt(question, names)?;
        let (why, fix) = if first.is_empty() {
            (EMPTY, "choose another")
        } else if prompt("Repeat passphrase: ", names)? == first {
            return Ok(first);
        } else {
            ("the two passphrases differ", "run the command again")
        };
        if left == 0 {
            return Err(passphrase_error(why, fix));
        }
        ask_again(why);
    }
}

fn ask_again(why: &str) {
    output::to_stderr(&format!("{why}; try again\n"));
}

/// Reads the passphrase from the flag or the environment; `None` if the terminal has to ask.
pub fn read_given(descriptor: Option<u32>) -> Result<Option<Zeroizing<String>>, CliError> {
    read_from(descriptor, &CURRENT)
}

fn read_from(descriptor: Option<u32>, names: &PassphraseSources) -> Result<Option<Zeroizing<String>>, CliError> {
    if let Some(number) = descriptor {
        return read(Path::new(&format!("/dev/fd/{number}"))).map(Some);
    }
    if let Some(path) = std::env::var_os(names.file) {
        return read(Path::new(&path)).map(Some);
    }
    Ok(environment::text(names.text))
}

/// Reads a file without one newline at its end.
fn read(path: &Path) -> Result<Zeroizing<String>, CliError> {
    // A buffer that grows would leave unwiped copies behind.
    let mut text = Zeroizing::new(String::with_capacity(BUFFER_BYTES));
    let length =
        File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text)).map_err(|error| {
            passphrase_error(&format!("cannot read {}: {}", path.display(), os_error_text(&error)), "check its name")
        })?;
    if length as u64 > MAX_BYTES {
        return Err(passphrase_error(
            &format!("{} holds more than {MAX_BYTES} bytes", path.display()),
            "check its name",
        ));
    }
    if text.ends_with('\n') {
        text.pop();
    }
    if text.ends_with('\r') {
        text.pop();
    }
    Ok(text)
}

fn prompt(question: &str, names: &PassphraseSources) -> Result<Zeroizing<String>, CliError> {
    prompt_hidden(question).map_err(|error| match error.kind() {
        io::ErrorKind::Interrupted | io::ErrorKind::UnexpectedEof => CliError::Interrupted,
        _ => passphrase_error(
            "there is no terminal to ask for it",
            &format!("set {} or {}, or use {} N", names.file, names.text, names.flag),
        ),
    })
}

/// Reads a line from the terminal without echo.
pub fn prompt_hidden(question: &str) -> io::Result<Zeroizing<String>> {
    // Before the prompt appears, so that even a fast answer is not echoed.
    let _hidden = QuietTerminal::without_echo();
    rpassword::prompt_password(question).map(Zeroizing::new)
}

fn passphrase_error(why: &str, fix: &str) -> CliError {
    CliError::Passphrase(ErrorParts { what: "no passphrase".into(), why: why.into(), fix: fix.into() })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{BUFFER_BYTES, MAX_BYTES, read};

    #[test]
    fn passphrase_is_read_into_one_buffer() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let longest = "x".repeat(usize::try_from(MAX_BYTES).expect("small"));
        for text in ["", "hush", longest.as_str()] {
            fs::write(file.path(), text).expect("written");
            let passphrase = read(file.path()).expect("readable");
            assert_eq!((passphrase.as_str(), passphrase.capacity()), (text, BUFFER_BYTES));
        }
        fs::write(file.path(), longest + "x").expect("written");
        read(file.path()).expect_err("it is too long");
    }
}
