//! Names of functions.

use std::{fmt, str::FromStr};

/// The name of a function: segments of `[a-z][a-z0-9_]*`, joined by dots, such as `price` or `order.place`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionName(String);

impl FunctionName {
    /// Maximum size of a name, in bytes.
    pub const MAX_BYTES: usize = 48;

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text is no name of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected at most {max} bytes: words of lower-case letters, digits and _ that start with a letter, joined by dots",
    max = FunctionName::MAX_BYTES
)]
pub struct InvalidName;

impl FromStr for FunctionName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let is_segment = |segment: &str| {
            segment.starts_with(|first: char| first.is_ascii_lowercase())
                && segment.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        if text.len() > Self::MAX_BYTES || !text.split('.').all(is_segment) {
            return Err(InvalidName);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_segments_joined_by_dots() {
        for name in ["price", "order.place", "a1_b.c2", &"a".repeat(48)] {
            assert_eq!(name.parse::<FunctionName>().map(|name| name.to_string()), Ok(name.to_owned()));
        }
        for text in ["", ".", "a.", ".a", "A", "a.B", "1a", "a.1", "_a", "a-b", "a..b", "é", &"a".repeat(49)] {
            assert_eq!(text.parse::<FunctionName>(), Err(InvalidName), "{text}");
        }
    }
}
