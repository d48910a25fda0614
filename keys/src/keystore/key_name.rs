//! The names of keys.

use std::fmt;
use std::str::FromStr;

const MAX: usize = 64;

/// The name of a key, also used as its file name: 1 to 64 of `A–Z a–z 0–9 . _ -`, not beginning with a dot or dash.
///
/// Names that differ only in case are different names, but one keystore can contain only one of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

/// The reason why a text cannot name a key. Each message states the rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyNameError {
    /// The text is empty or too long.
    #[error("a key's name has 1 to {MAX} characters, not {found}")]
    Length {
        /// Number of characters.
        found: usize,
    },
    /// The text begins with a dot or a dash, as hidden files and options do.
    #[error("a key's name must begin with a letter, a digit or an underscore")]
    Start,
    /// The text has a character that is not allowed, because file systems or shells may interpret it.
    #[error(
        "a key's name may contain only the letters A-Z a-z, digits, `.`, `_` and `-`; character {position} is not allowed"
    )]
    Character {
        /// Position of the character, counted from 1.
        position: usize,
    },
}

impl KeyName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = KeyNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if let Some(at) = text.chars().position(|c| !allowed(c)) {
            return Err(KeyNameError::Character { position: at + 1 });
        }
        if text.is_empty() || text.len() > MAX {
            return Err(KeyNameError::Length { found: text.len() });
        }
        if text.starts_with(['.', '-']) {
            return Err(KeyNameError::Start);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
