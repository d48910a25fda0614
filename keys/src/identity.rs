//! The identity of a circle: the statement that a circle signs to show that it holds its key.

use std::{fmt, str::FromStr};

use crate::{Authority, RandomError, hex_digits};

const PURPOSE: &str = "circles.identity.v1";

const CHALLENGE_BYTES: usize = 32;

/// A client's challenge: 32 random bytes, so that a circle cannot answer with an earlier signature.
///
/// As text, a challenge is 64 hex digits; parsing accepts either case, and the signed form is lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Challenge([u8; CHALLENGE_BYTES]);

/// The error for a text that is not a challenge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a challenge is 64 hex digits (32 random bytes)")]
pub struct ChallengeParseError;

impl Challenge {
    /// Generates a challenge from the operating system's random source.
    ///
    /// # Errors
    ///
    /// Returns a [`RandomError`] if the operating system provides no random bytes.
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

/// Writes the challenge in lower case.
impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}

/// The statement that a circle signs to identify itself to a client.
///
/// Its form is `circles.identity.v1 aud=127.0.0.1:9001 challenge=<64 hex digits> persistent=true`: the purpose of the
/// signature, the authority that the client connected to, the client's challenge, and whether the circle keeps its key.
/// The purpose differs from that of a [`Nonce`](crate::Nonce), so a signature of one is never valid for the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityStatement(String);

impl IdentityStatement {
    /// Builds the statement of a circle to which a client connected as `authority`.
    pub fn new(authority: &Authority, challenge: Challenge, persistent: bool) -> Self {
        Self(format!("{PURPOSE} aud={authority} challenge={challenge} persistent={persistent}"))
    }

    /// The line of text that is signed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
