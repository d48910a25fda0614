//! The names of keys.

use std::fmt;
use std::str::FromStr;

const MAX: usize = 64;

/// The name of a key, which is also its file's: 1 to 64 of `A–Z a–z 0–9 . _ -`, beginning with neither dot nor dash.
///
/// Names that differ only in case are different names, but one keystore holds only one of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

/// Why a text cannot name a key; each message says what can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyNameError {
    /// No character, or too many.
    #[error("a key's name has 1 to {MAX} characters, not {found}")]
    Length {
        /// How many characters there were.
        found: usize,
    },
    /// A dot or a dash at the front, where it would make a hidden file or look like an option.
    #[error("a key's name begins with a letter, a digit or an underscore")]
    Start,
    /// A character that file systems or shells read in their own way.
    #[error(
        "a key's name is made of the letters A-Z a-z, digits, `.`, `_` and `-`; character {position} is none of them"
    )]
    Character {
        /// Counted from 1.
        position: usize,
    },
}

impl KeyName {
    /// Its text.
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
