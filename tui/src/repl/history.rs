//! What was typed, kept for the next time: a file a circle and key, for its user's eyes only.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::PathBuf,
};

use directories::ProjectDirs;
use rustyline::{Editor, history::FileHistory};

use super::helper::Typing;
use crate::{connect::Connected, printing};

/// Digits of a secret key in hex.
const SECRET_DIGITS: usize = 64;

pub(crate) struct History {
    /// `None` where there is no place for it; the REPL works all the same.
    file: Option<PathBuf>,
}

impl History {
    pub(crate) fn of(connected: &Connected) -> Self {
        let place = if connected.is_throwaway {
            connected.circle.name.clone()
        } else {
            connected.client.url().authority().to_string()
        };
        let who = connected.key.as_ref().map_or("anonymous", |key| key.as_str());
        let safe = |text: &str| text.replace(|character: char| !character.is_ascii_alphanumeric(), "_");
        let file = ProjectDirs::from("", "", "circles").map(|dirs| {
            let state = dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir());
            state.join("history").join(format!("{}-{}.txt", safe(&place), safe(who)))
        });
        Self { file }
    }

    pub(crate) fn load(&self, editor: &mut Editor<Typing, FileHistory>) {
        let Some(file) = self.file.as_deref().filter(|file| file.exists()) else { return };
        if let Err(error) = editor.load_history(file) {
            printing::to_stderr(&format!("the history in {} cannot be read: {error}\n", file.display()));
        }
    }

    /// Keeps an input, unless it starts with a space or holds what could be a secret key.
    pub(crate) fn add(&self, editor: &mut Editor<Typing, FileHistory>, input: &str) {
        let is_kept = !input.starts_with(' ') && !holds_secret(input);
        if !is_kept || !editor.add_history_entry(input).unwrap_or(false) {
            return;
        }
        let Some(file) = &self.file else { return };
        let saved = prepare(file)
            .and_then(|()| editor.append_history(file).map_err(|error| std::io::Error::other(error.to_string())));
        if let Err(error) = saved {
            printing::to_stderr(&format!("the history in {} cannot be written: {error}\n", file.display()));
        }
    }
}

/// The file is there before the library writes to it, so that it never is readable by others.
fn prepare(file: &PathBuf) -> std::io::Result<()> {
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
