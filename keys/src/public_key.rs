//! A public key and its one text form.

use std::fmt;
use std::str::FromStr;

use crate::hex_digits::{self, HexError};
use crate::{IdentityStatement, Signature};

const BYTES: usize = 33;

/// A point of secp256k1, written as its compressed form (SEC 1 §2.3.3): 33 bytes, 66 lower-case hex digits.
///
/// Equal keys have equal text, and keys are ordered as their texts are. Parsing takes hex of either case and
/// nothing but the compressed form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(secp256k1::PublicKey);

/// Why a text is no key. The text itself is not in the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyParseError {
    /// Too short or too long; another form of key, perhaps.
    #[error("{what} is {digits} hex digits, not {found} characters")]
    Length {
        /// What was expected.
        what: &'static str,
        /// How many hex digits it has.
        digits: usize,
        /// How many characters there were.
        found: usize,
    },
    /// A character that is no hex digit.
    #[error("character {position} is not a hex digit")]
    NotHex {
        /// Counted from 1.
        position: usize,
    },
    /// Hex of the right length that is no compressed point of the curve.
    #[error("these digits are not a compressed point of the curve secp256k1")]
    NotAPoint,
    /// Hex of the right length that is zero or not below the order of the curve.
    #[error("these digits are not a secret key of secp256k1: zero, or not below the order of the curve")]
    NotASecret,
}

impl KeyParseError {
    pub(crate) fn from_hex_error(error: &HexError, what: &'static str, bytes: usize) -> Self {
        match *error {
            HexError::Length { found } => Self::Length { what, digits: bytes * 2, found },
            HexError::Digit { position } => Self::NotHex { position },
        }
    }
}

impl PublicKey {
    pub(crate) fn of(secret: &secp256k1::SecretKey) -> Self {
        Self(secp256k1::PublicKey::from_secret_key(secret))
    }

    /// All 66 digits, lower case.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0.serialize())
    }

    /// First and last four digits, `02ab…9f1c`: for prompts and titles, where a person recognises a key. Too short
    /// to tell keys apart where it matters.
    pub fn short(&self) -> String {
        let digits = self.to_hex();
        format!("{}…{}", &digits[..4], &digits[digits.len() - 4..])
    }

    /// Whether `signature` was made with this key's secret over SHA-256 of the UTF-8 bytes of `nonce_text`.
    pub fn verify_nonce(&self, nonce_text: &str, signature: &Signature) -> bool {
        signature.verify(&self.0, nonce_text)
    }

    /// Whether `signature` was made with this key's secret over SHA-256 of the statement's UTF-8 bytes.
    pub fn verify_identity(&self, statement: &IdentityStatement, signature: &Signature) -> bool {
        signature.verify(&self.0, statement.as_str())
    }
}

impl FromStr for PublicKey {
    type Err = KeyParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; BYTES];
        hex_digits::decode(text, &mut bytes)
            .map_err(|error| KeyParseError::from_hex_error(&error, "a compressed public key", BYTES))?;
        let point = secp256k1::PublicKey::from_byte_array_compressed(bytes).map_err(|_| KeyParseError::NotAPoint)?;
        Ok(Self(point))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_hex())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}
