//! The identity of a circle: the statement by which a circle shows that it holds the key that it is known by.

use std::{fmt, str::FromStr};

use crate::{Authority, RandomError, hex_digits};

const PURPOSE: &str = "circles.identity.v1";

const CHALLENGE_BYTES: usize = 32;

/// 32 random bytes that a client sends, so that no circle can answer with an earlier signature: 64 hex digits of either
/// case as text, lower case where they are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Challenge([u8; CHALLENGE_BYTES]);

/// Why a text is no challenge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a challenge is 64 hex digits (32 random bytes)")]
pub struct ChallengeParseError;

impl Challenge {
    /// A challenge from the operating system's random source.
    ///
    /// # Errors
    ///
    /// The operating system gives no random bytes.
    pub fn generate() -> Result<Self, RandomError> {
        let mut bytes = [0; CHALLENGE_BYTES];
        getrandom::fill(&mut bytes).map_err(RandomError::from)?;
        Ok(Self(bytes))
    }
}

impl FromStr for Challenge {
    type Err = ChallengeParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; CHALLENGE_BYTES];
        hex_digits::decode(text, &mut bytes).map_err(|_| ChallengeParseError)?;
        Ok(Self(bytes))
    }
}

/// The text in lower case.
impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}

/// `circles.identity.v1 aud=127.0.0.1:9001 challenge=<64 hex digits> persistent=true`: what the signature is for, the
/// authority that the client dialled, the client's challenge, and whether the circle keeps its key.
///
/// It begins with another purpose than a [`Nonce`](crate::Nonce), so neither signature can stand for the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityStatement(String);

impl IdentityStatement {
    /// The statement of the circle that a client dialled as `authority`.
    pub fn new(authority: &Authority, challenge: Challenge, persistent: bool) -> Self {
        Self(format!("{PURPOSE} aud={authority} challenge={challenge} persistent={persistent}"))
    }

    /// The line of text, which is what is signed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
