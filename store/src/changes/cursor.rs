use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::{Revision, StoreId, meta::Tag};

const VERSION: u8 = 1;
const BYTES: usize = 1 + 16 + 8 + 8;

/// A position in the history of one store. As text it is opaque: hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    store: StoreId,
    revision: Revision,
    /// Differs where a restored backup replaced the history.
    tag: u64,
}

/// The text is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the text is not a cursor: use a cursor as the store gave it, or start without one")]
pub struct ParseCursorError;

impl Cursor {
    pub(crate) fn new(store: StoreId, revision: Revision, tag: Tag) -> Self {
        Self { store, revision, tag: tag.0 }
    }

    /// The store of the cursor.
    pub fn store(&self) -> StoreId {
        self.store
    }

    /// The revision of the cursor. Revisions of two cursors compare only if no backup was restored in between.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    pub(crate) fn tag(&self) -> Tag {
        Tag(self.tag)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [VERSION; BYTES];
        bytes[1..17].copy_from_slice(self.store.as_bytes());
        bytes[17..25].copy_from_slice(&self.revision.get().to_be_bytes());
        bytes[25..].copy_from_slice(&self.tag.to_be_bytes());
        formatter.write_str(&hex::encode(bytes))
    }
}

impl FromStr for Cursor {
    type Err = ParseCursorError;

    fn from_str(text: &str) -> Result<Self, ParseCursorError> {
        let mut bytes = [0; BYTES];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseCursorError)?;
        let number =
            |start: usize| u64::from_be_bytes(bytes[start..start + 8].try_into().expect("a slice of eight bytes"));
        if bytes[0] != VERSION {
            return Err(ParseCursorError);
        }
        let store = StoreId::new(bytes[1..17].try_into().expect("a slice of 16 bytes"));
        Ok(Self { store, revision: Revision::new(number(17)), tag: number(25) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_their_text() {
        let cursor = Cursor::new(StoreId::new([7; 16]), Revision::new(8), Tag(9));
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "00", &"0".repeat(66), &"g".repeat(66), &cursor.to_string()[1..]] {
            assert_eq!(text.parse::<Cursor>(), Err(ParseCursorError), "{text}");
        }
    }
}
