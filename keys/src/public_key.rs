//! Public keys and their text form.

use std::fmt;
use std::str::FromStr;

use crate::hex_digits::{self, HexError};
use crate::{IdentityStatement, Signature};

const BYTES: usize = 33;

/// A public key: a point of secp256k1, written in compressed form (SEC 1 §2.3.3) as 66 lower-case hex digits.
///
/// Equal keys have equal texts, and keys are ordered like their texts. Parsing accepts hex digits of either case, and
/// only the compressed form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(secp256k1::PublicKey);

/// The reason why a text is not a key. The message does not contain the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyParseError {
    /// The text is too short or too long; it may be another form of a key.
    #[error("{what} is {digits} hex digits, not {found} characters")]
    Length {
        /// The expected kind of key.
        what: &'static str,
        /// Number of hex digits of that kind of key.
        digits: usize,
        /// Number of characters of the text.
        found: usize,
    },
    /// A character is not a hex digit.
    #[error("character {position} is not a hex digit")]
    NotHex {
        /// Position of the character, counted from 1.
        position: usize,
    },
    /// The hex digits are not a compressed point of the curve.
    #[error("these digits are not a compressed point of the curve secp256k1")]
    NotAPoint,
    /// The hex digits are zero, or not below the order of the curve.
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

    /// The key as 66 lower-case hex digits.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0.serialize())
    }

    /// The first and last four digits, `02ab…9f1c`, for prompts and titles where a person recognises a key. Too short
    /// for security decisions.
    pub fn short(&self) -> String {
        let digits = self.to_hex();
        format!("{}…{}", &digits[..4], &digits[digits.len() - 4..])
    }

    /// Whether `signature` is this key's signature of SHA-256 of the UTF-8 bytes of `nonce_text`.
    pub fn verify_nonce(&self, nonce_text: &str, signature: &Signature) -> bool {
        signature.verify(&self.0, nonce_text)
    }

    /// Whether `signature` is this key's signature of SHA-256 of the statement's UTF-8 bytes.
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
