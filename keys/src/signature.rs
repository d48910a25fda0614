//! A signature and its one text form.

use std::fmt;
use std::str::FromStr;

use secp256k1::{Message, SecretKey, ecdsa};
use sha2::{Digest, Sha256};

use crate::hex_digits::{self, HexError};

const BYTES: usize = 64;

/// An ECDSA signature over secp256k1, written as 64 bytes r‖s, each big-endian: 128 hex digits.
///
/// Only low-S signatures exist here (BIP-0062: s at most half the order of the curve), so nobody can turn one
/// signature into a second one for the same text. Parsing refuses high-S, DER and everything else.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature(ecdsa::Signature);

/// Why a text is no signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureParseError {
    /// Too short or too long; DER, perhaps.
    #[error("a signature is 128 hex digits (64 bytes, r and s, not DER), not {found} characters")]
    Length {
        /// How many characters there were.
        found: usize,
    },
    /// A character that is no hex digit.
    #[error("character {position} is not a hex digit")]
    NotHex {
        /// Counted from 1.
        position: usize,
    },
    /// r or s is zero or not below the order of the curve.
    #[error("r or s is out of range")]
    OutOfRange,
    /// The other of the two values of s that would verify.
    #[error("s is in the upper half of its range; only low-S signatures are accepted (BIP-0062)")]
    HighS,
}

impl Signature {
    /// Deterministic (RFC 6979, no extra entropy) and low-S, as libsecp256k1 makes them.
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
        // The library reads a zero, which no signer can make, and takes it for a signature that never verifies.
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
