//! Where passphrases come from: a descriptor, a file, the environment, the terminal. Never an argument.

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

/// scrypt's N as a power of two: 256 MiB and about a second to try one passphrase. The library's own choice depends on
/// how busy the machine is, and can want more memory than a small one has.
pub const WORK_FACTOR: WorkFactor = WorkFactor::Log2(18);

/// How often a person is asked in all, as by ssh and sudo.
const MAX_ATTEMPTS: u32 = 3;

/// Bytes of a passphrase.
const MAX_BYTES: u64 = 4096;

/// More than is ever read, so that reading to the end needs no room beside the buffer.
const BUFFER_BYTES: usize = 8192;

/// Of the environment, what holds a passphrase or says where one is.
pub const VARIABLES: [&str; 4] = [CURRENT.file, CURRENT.text, NEW.file, NEW.text];

const CURRENT: PassphraseSources =
    PassphraseSources { flag: "--passphrase-fd", file: "CIRCLES_PASSPHRASE_FILE", text: "CIRCLES_PASSPHRASE" };

/// Names of their own: a command that changes a passphrase takes both.
const NEW: PassphraseSources = PassphraseSources {
    flag: "--new-passphrase-fd",
    file: "CIRCLES_NEW_PASSPHRASE_FILE",
    text: "CIRCLES_NEW_PASSPHRASE",
};

/// What a passphrase is given by.
struct PassphraseSources {
    flag: &'static str,
    file: &'static str,
    text: &'static str,
}

/// Keeps passphrases from a process that is to be started with this environment otherwise.
pub fn remove_variables(command: &mut Command) -> &mut Command {
    VARIABLES.iter().fold(command, |command, name| command.env_remove(name))
}

/// The existing key, with its passphrase. Who mistypes it on the terminal is asked again.
pub fn unlock(store: &Keystore, name: &KeyName, descriptor: Option<u32>) -> Result<KeyPair, CliError> {
    // Nobody types a passphrase for a key that is not used anyway.
    store.check_unlockable(name)?;
    if let Some(passphrase) = read_given(descriptor)? {
        return Ok(store.unlock(name, &passphrase)?);
    }
    let mut left = MAX_ATTEMPTS;
    // Also while one is tried: whoever knows that it was wrong types the next one already.
    let _hidden = QuietTerminal::without_echo();
    loop {
        left -= 1;
        match store.unlock(name, &prompt(&format!("Passphrase of {name}: "), &CURRENT)?) {
            Err(KeystoreError::WrongPassphrase { .. }) if left > 0 => ask_again("wrong passphrase"),
            result => return Ok(result?),
        }
    }
}

/// The passphrase of a new key: on the terminal it is asked for twice.
pub fn choose(descriptor: Option<u32>) -> Result<Zeroizing<String>, CliError> {
    choose_with(read_given(descriptor)?, "Passphrase for the new key: ", &CURRENT)
}

/// The passphrase that a key is to have instead of another, in the same way.
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
        return if passphrase.is_empty() { Err(passphrase_error("it is empty", EMPTY)) } else { Ok(passphrase) };
    }
    let mut left = MAX_ATTEMPTS;
    loop {
        left -= 1;
        let first = prompt(question, names)?;
        let (why, fix) = if first.is_empty() {
            (EMPTY, "choose another")
        } else if prompt("The same again: ", names)? == first {
            return Ok(first);
        } else {
            ("the two passphrases differ", "run it again")
        };
        if left == 0 {
            return Err(passphrase_error(why, fix));
        }
        ask_again(why);
    }
}

fn ask_again(why: &str) {
    output::to_stderr(&format!("{why}; once more\n"));
}

/// The passphrase that was given, so that nobody is to be asked.
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

/// All of it, but one newline at its end.
fn read(path: &Path) -> Result<Zeroizing<String>, CliError> {
    // Room from the start for all that is read: a buffer that grows leaves unwiped pieces behind.
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
            "there is no terminal to ask on",
            &format!("set {} or {}, or give {} N", names.file, names.text, names.flag),
        ),
    })
}

/// A line from the terminal, which is not shown while it is typed.
pub fn prompt_hidden(question: &str) -> io::Result<Zeroizing<String>> {
    // Before the question stands there, so that even the fastest answer is not seen.
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
