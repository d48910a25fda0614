//! Random ids that only the two ends know.

use std::fmt;

/// Size of an id, in bytes.
pub(crate) const ID_BYTES: usize = 16;

/// Declares an id of 128 random bits. Its `Debug` shows 32 bits only, because anyone who knows an id can send messages
/// in its name.
macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub(crate) [u8; ID_BYTES]);

        impl $name {
            /// Generates a random id.
            ///
            /// # Errors
            ///
            /// Returns an error if the operating system provides no random bytes.
            pub fn generate() -> std::io::Result<Self> {
                let mut bytes = [0; ID_BYTES];
                getrandom::fill(&mut bytes)?;
                Ok(Self(bytes))
            }

            /// Makes an id from bytes that [`generate`](Self::generate) made elsewhere.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The bytes, for the other end.
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let [a, b, c, d, ..] = self.0;
                write!(f, concat!(stringify!($name), "({:02x}{:02x}{:02x}{:02x}…)"), a, b, c, d)
            }
        }
    };
}

random_id! {
    /// The id of a [`Link`](crate::link::Link). The server generates it for each placement and never uses it again.
    LinkId
}

random_id! {
    /// The id of an [`Association`](crate::association::Association). The machine generates it for each server that
    /// places a worker, and a new one after it has given up the former.
    AssociationId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_text_hides_most_of_an_id() {
        let id = LinkId::from_bytes([0xab; 16]);
        assert_eq!(format!("{id:?}"), "LinkId(abababab…)");
        assert_ne!(LinkId::generate().expect("random bytes"), LinkId::generate().expect("random bytes"));
    }
}
