use std::{borrow::Borrow, fmt, ops::Bound, sync::Arc};

use thiserror::Error;

/// Longest key and prefix, in bytes.
pub const KEY_BYTES: usize = 512;

/// A key: UTF-8 of 1 to [`KEY_BYTES`] bytes, ordered by its bytes. Clones share the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

/// The reason why a text or bytes are no key or no prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key has no bytes.
    #[error("the key is empty: use a key of 1 to 512 bytes")]
    Empty,
    /// The key or prefix has more than [`KEY_BYTES`] bytes.
    #[error("the key has {0} bytes: use at most 512")]
    TooLong(usize),
    /// The bytes are no UTF-8.
    #[error("the key is not UTF-8: encode binary keys as text, such as hexadecimal digits")]
    NotUtf8,
    /// The prefix has a last character other than `/`.
    #[error("the prefix does not end in '/': add the '/'")]
    OpenPrefix,
}

impl Key {
    /// Validates a text as a key.
    ///
    /// # Errors
    ///
    /// [`KeyError::Empty`] or [`KeyError::TooLong`].
    pub fn new(text: &str) -> Result<Self, KeyError> {
        match text.len() {
            0 => Err(KeyError::Empty),
            length if length > KEY_BYTES => Err(KeyError::TooLong(length)),
            _ => Ok(Self(text.into())),
        }
    }

    /// Validates bytes as a key.
    ///
    /// # Errors
    ///
    /// Those of [`Key::new`], and [`KeyError::NotUtf8`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        Self::new(std::str::from_utf8(bytes).map_err(|_| KeyError::NotUtf8)?)
    }

    /// The text of the key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub(crate) fn text(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

/// A prefix of keys: text of at most [`KEY_BYTES`] bytes that ends in `/`, or the empty prefix, which all keys have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Prefix(Arc<str>);

impl Prefix {
    /// Validates a text as a prefix.
    ///
    /// # Errors
    ///
    /// [`KeyError::OpenPrefix`] (for the empty text, too) or [`KeyError::TooLong`].
    pub fn new(text: &str) -> Result<Self, KeyError> {
        if text.len() > KEY_BYTES {
            Err(KeyError::TooLong(text.len()))
        } else if text.ends_with('/') {
            Ok(Self(text.into()))
        } else {
            Err(KeyError::OpenPrefix)
        }
    }

    /// The prefix of all keys.
    pub fn all() -> Self {
        Self("".into())
    }

    /// The text of the prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a key starts with the prefix.
    pub fn contains(&self, key: &Key) -> bool {
        key.as_str().starts_with(&*self.0)
    }

    pub(crate) fn interval(&self) -> Interval {
        // `/` is ASCII and `0` the next character, so the bytes after the prefix stay UTF-8.
        let upper = match self.0.strip_suffix('/') {
            Some(text) => Bound::Excluded(format!("{text}0").into()),
            None => Bound::Unbounded,
        };
        Interval { lower: Bound::Included(Arc::clone(&self.0)), upper }
    }
}

/// An interval of keys. Its bounds are texts and not keys, because a prefix may be longer or shorter than a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Interval {
    pub(crate) lower: Bound<Arc<str>>,
    pub(crate) upper: Bound<Arc<str>>,
}

impl Interval {
    #[cfg(test)]
    pub(crate) fn contains(&self, key: &str) -> bool {
        let above = match &self.lower {
            Bound::Included(lower) => key >= &**lower,
            Bound::Excluded(lower) => key > &**lower,
            Bound::Unbounded => true,
        };
        above
            && match &self.upper {
                Bound::Included(upper) => key <= &**upper,
                Bound::Excluded(upper) => key < &**upper,
                Bound::Unbounded => true,
            }
    }

    /// Whether no key can be inside. The ranges of ordered maps panic on such bounds.
    pub(crate) fn is_empty(&self) -> bool {
        match (&self.lower, &self.upper) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(lower), Bound::Included(upper)) => lower > upper,
            (Bound::Included(lower) | Bound::Excluded(lower), Bound::Included(upper) | Bound::Excluded(upper)) => {
                lower >= upper
            }
        }
    }

    pub(crate) fn as_str_bounds(&self) -> (Bound<&str>, Bound<&str>) {
        (self.lower.as_ref().map(|text| &**text), self.upper.as_ref().map(|text| &**text))
    }

    pub(crate) fn as_byte_bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (self.lower.as_ref().map(|text| text.as_bytes()), self.upper.as_ref().map(|text| text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_1_to_512_bytes() {
        assert_eq!(Key::new("").expect_err("an error"), KeyError::Empty);
        assert!(Key::new(&"ä".repeat(256)).is_ok());
        assert_eq!(Key::new(&"x".repeat(513)).expect_err("an error"), KeyError::TooLong(513));
        assert_eq!(Key::from_bytes(&[0xff]).expect_err("an error"), KeyError::NotUtf8);
    }

    #[test]
    fn prefixes_end_in_a_slash() {
        assert_eq!(Prefix::new("a").expect_err("an error"), KeyError::OpenPrefix);
        assert_eq!(Prefix::new("").expect_err("an error"), KeyError::OpenPrefix);
        let interval = Prefix::new("a/").expect("a prefix").interval();
        for (key, inside) in [("a", false), ("a/", true), ("a/\u{10ffff}", true), ("a0", false), ("a.", false)] {
            assert_eq!(interval.contains(key), inside, "{key}");
        }
        assert!(Prefix::all().interval().contains("x"));
    }

    #[test]
    fn intervals_without_a_key_are_empty() {
        let interval = |lower: Bound<&str>, upper: Bound<&str>| Interval {
            lower: lower.map(Into::into),
            upper: upper.map(Into::into),
        };
        assert!(interval(Bound::Excluded("a"), Bound::Excluded("a")).is_empty());
        assert!(interval(Bound::Excluded("a"), Bound::Included("a")).is_empty());
        assert!(interval(Bound::Included("b"), Bound::Included("a")).is_empty());
        assert!(!interval(Bound::Included("a"), Bound::Included("a")).is_empty());
        assert!(!interval(Bound::Excluded("b"), Bound::Unbounded).is_empty());
    }
}
