//! What was typed, kept for the next time: a file a circle and key, for its user's eyes only.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use directories::ProjectDirs;
use rustyline::{
    Config,
    error::ReadlineError,
    history::{FileHistory, History as _},
};

/// Digits of a secret key in hex.
const SECRET_DIGITS: usize = 64;

/// Inputs that are kept.
pub(crate) const MAX_INPUTS: usize = 10_000;

/// Where the inputs of one circle and key are kept.
#[derive(Debug, Clone)]
pub(crate) struct HistoryFile(
    /// `None` where there is no place for it; everything else works all the same.
    Option<PathBuf>,
);

/// Where they all are: `history` in the user's state directory.
pub(crate) fn default_directory() -> Option<PathBuf> {
    let dirs = ProjectDirs::from("", "", "circles")?;
    Some(dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).join("history"))
}

impl HistoryFile {
    /// `place` tells circles apart; without a key the inputs are those of nobody in particular.
    pub(crate) fn of(directory: Option<&Path>, place: &str, key: Option<&str>) -> Self {
        let safe = |text: &str| text.replace(|character: char| !character.is_ascii_alphanumeric(), "_");
        let name = format!("{}-{}.txt", safe(place), safe(key.unwrap_or("anonymous")));
        Self(directory.map(|directory| directory.join(name)))
    }

    /// The file, if there is one.
    pub(crate) fn existing(&self) -> Option<&Path> {
        self.0.as_deref().filter(|file| file.exists())
    }

    /// The inputs, oldest first. Blocks.
    pub(crate) fn read(&self) -> Result<Vec<String>, String> {
        let Some(file) = self.existing() else { return Ok(Vec::new()) };
        let mut history = new()?;
        history.load(file).map_err(|error| unreadable(file, &error))?;
        Ok(history.iter().cloned().collect())
    }

    /// Keeps an input behind the others. Blocks.
    pub(crate) fn append(&self, input: &str) -> Result<(), String> {
        self.append_with(|file| {
            let mut history = new()?;
            history.add(input).and_then(|_| history.append(file)).map_err(|error| error.to_string())
        })
    }

    /// Has someone else append to the file, which is there by then, for its user's eyes only.
    pub(crate) fn append_with(&self, append: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), String> {
        let Some(file) = &self.0 else { return Ok(()) };
        let written = prepare(file).map_err(|error| error.to_string()).and_then(|()| append(file));
        written.map_err(|error| format!("the history in {} cannot be written: {error}", file.display()))
    }
}

/// Why a history cannot be read.
pub(crate) fn unreadable(file: &Path, error: &ReadlineError) -> String {
    format!("the history in {} cannot be read: {error}", file.display())
}

fn new() -> Result<FileHistory, String> {
    let config = Config::builder().max_history_size(MAX_INPUTS).map_err(|error| error.to_string())?;
    Ok(FileHistory::with_config(&config.build()))
}

/// Whether an input is kept: not if it starts with a space or holds what could be a secret key.
pub(crate) fn is_kept(input: &str) -> bool {
    !input.starts_with(' ') && !holds_secret(input)
}

/// The file is there before the library writes to it, so that it never is readable by others.
fn prepare(file: &Path) -> io::Result<()> {
    if file.exists() {
        return Ok(());
    }
    if let Some(directory) = file.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    fs::OpenOptions::new().create(true).append(true).mode(0o600).open(file).map(|_| ())
}

/// Whether there are as many hex digits in a row as a secret key has, not more: a public key has 66.
fn holds_secret(input: &str) -> bool {
    input.split(|character: char| !character.is_ascii_hexdigit()).any(|digits| digits.len() == SECRET_DIGITS)
}

#[cfg(test)]
mod tests {
    use super::holds_secret;

    #[test]
    fn what_could_be_a_secret_key_is_recognised() {
        let secret = "0f".repeat(32);
        assert!(
            holds_secret(&format!("let k = 0x{secret}"))
                && holds_secret(&secret)
                && holds_secret(&format!("let k = \"{secret}\";"))
        );
        assert!(!holds_secret(&format!("02{secret}")));
        assert!(!holds_secret("let x = 0x1234;"));
    }
}
