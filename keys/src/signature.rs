//! Signatures and their text form.

use std::fmt;
use std::str::FromStr;

use secp256k1::{Message, SecretKey, ecdsa};
use sha2::{Digest, Sha256};

use crate::hex_digits::{self, HexError};

const BYTES: usize = 64;

/// An ECDSA signature over secp256k1, written as 128 hex digits: 64 bytes r‖s, each big-endian.
///
/// Only low-S signatures are accepted (BIP-0062: s at most half the order of the curve), so nobody can derive a second
/// signature of the same text from the first. Parsing rejects high-S, DER and every other form.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature(ecdsa::Signature);

/// The reason why a text is not a signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureParseError {
    /// The text is too short or too long; it may be DER.
    #[error("a signature is 128 hex digits (64 bytes, r and s, not DER), not {found} characters")]
    Length {
        /// Number of characters of the text.
        found: usize,
    },
    /// A character is not a hex digit.
    #[error("character {position} is not a hex digit")]
    NotHex {
        /// Position of the character, counted from 1.
        position: usize,
    },
    /// r or s is zero, or not below the order of the curve.
    #[error("r or s is out of range")]
    OutOfRange,
    /// s is the larger of the two values that would verify.
    #[error("s is in the upper half of its range; only low-S signatures are accepted (BIP-0062)")]
    HighS,
}

impl Signature {
    /// Signs a text. The signature is deterministic (RFC 6979, no extra entropy) and low-S, as in libsecp256k1.
    pub(crate) fn make(secret: &SecretKey, text: &str) -> Self {
        Self(ecdsa::sign(message(text), secret))
    }

    pub(crate) fn verify(&self, key: &secp256k1::PublicKey, text: &str) -> bool {
        self.0.verify(message(text), key).is_ok()
    }
}

fn message(text: &str) -> Message {
    Message::from_digest(Sha256::digest(text.as_bytes()).into())
}

impl FromStr for Signature {
    type Err = SignatureParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; BYTES];
        hex_digits::decode(text, &mut bytes).map_err(|fault| match fault {
            HexError::Length { found } => SignatureParseError::Length { found },
            HexError::Digit { position } => SignatureParseError::NotHex { position },
        })?;
        // No signer can produce a zero, but the library parses it as a signature that never verifies.
        if bytes.chunks_exact(BYTES / 2).any(|half| half.iter().all(|&byte| byte == 0)) {
            return Err(SignatureParseError::OutOfRange);
        }
        let signature = ecdsa::Signature::from_compact(&bytes).map_err(|_| SignatureParseError::OutOfRange)?;
        let mut normalized = signature;
        normalized.normalize_s();
        if normalized != signature {
            return Err(SignatureParseError::HighS);
        }
        Ok(Self(signature))
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0.serialize_compact()))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
