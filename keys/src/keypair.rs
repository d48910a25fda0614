//! A key pair: a secret key and its public key.

use std::fmt;

use secp256k1::SecretKey;
use zeroize::Zeroizing;

use crate::{IdentityStatement, KeyParseError, Nonce, PublicKey, Signature, hex_digits};

const BYTES: usize = 32;

/// A secret key with its public key.
///
/// `Debug` shows only the public key. Dropping the pair overwrites the secret, as far as the secp256k1 library allows:
/// the secret stays in one place on the heap and does not move with the pair, but signing makes short-lived copies on
/// the stack inside the library. The type is not `Clone`, so that there is one place to wipe; share it through an
/// `Arc`.
///
/// # Examples
///
/// ```
/// use keys::KeyPair;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pair = KeyPair::generate()?;
/// let copy = KeyPair::from_secret_hex(&pair.secret_hex())?;
/// assert_eq!(copy.public_key(), pair.public_key());
/// # Ok(())
/// # }
/// ```
pub struct KeyPair {
    secret: Box<SecretKey>,
    public: PublicKey,
}

/// The error for an operating system (in a browser, its crypto interface) that provides no random bytes.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no random bytes from the operating system: {0}")]
pub struct RandomError(#[from] getrandom::Error);

impl KeyPair {
    /// Generates a key from the operating system's random source.
    ///
    /// # Errors
    ///
    /// Returns a [`RandomError`] if the operating system provides no random bytes.
    pub fn generate() -> Result<Self, RandomError> {
        let mut bytes = Zeroizing::new([0; BYTES]);
        loop {
            getrandom::fill(bytes.as_mut_slice()).map_err(RandomError)?;
            // All but one in 2^127 values of 32 bytes are valid secret keys.
            if let Some(pair) = Self::from_bytes(&bytes) {
                return Ok(pair);
            }
        }
    }

    /// Parses a secret key: 32 bytes, big-endian, as exactly 64 hex digits of either case.
    ///
    /// # Errors
    ///
    /// Returns a [`KeyParseError`] if the text is not 64 hex digits, or the number is zero or not below the curve's
    /// order.
    pub fn from_secret_hex(text: &str) -> Result<Self, KeyParseError> {
        let mut bytes = Zeroizing::new([0; BYTES]);
        hex_digits::decode(text, bytes.as_mut_slice())
            .map_err(|fault| KeyParseError::from_hex_error(&fault, "a secret key", BYTES))?;
        Self::from_bytes(&bytes).ok_or(KeyParseError::NotASecret)
    }

    fn from_bytes(bytes: &[u8; BYTES]) -> Option<Self> {
        let secret = Box::new(SecretKey::from_secret_bytes(*bytes).ok()?);
        let public = PublicKey::of(&secret);
        Some(Self { secret, public })
    }

    /// The public key.
    pub fn public_key(&self) -> PublicKey {
        self.public
    }

    /// Signs SHA-256 of the nonce's UTF-8 bytes: ECDSA, deterministic (RFC 6979), low-S (BIP-0062).
    ///
    /// A client must call [`Nonce::check`] first: a circle could pass off a signature over a nonce for another
    /// authority there.
    pub fn sign_nonce(&self, nonce: &Nonce) -> Signature {
        self.sign(nonce.as_str())
    }

    /// Signs SHA-256 of the statement's UTF-8 bytes, like [`sign_nonce`](Self::sign_nonce).
    pub fn sign_identity(&self, statement: &IdentityStatement) -> Signature {
        self.sign(statement.as_str())
    }

    fn sign(&self, text: &str) -> Signature {
        Signature::make(&self.secret, text)
    }

    /// The secret as 64 lower-case hex digits, in a buffer that is wiped on drop.
    pub fn secret_hex(&self) -> Zeroizing<String> {
        let mut digits = vec![0; BYTES * 2];
        hex::encode_to_slice(self.secret.as_secret_bytes(), &mut digits).expect("two digits a byte");
        Zeroizing::new(String::from_utf8(digits).expect("hex digits are ASCII"))
    }
}

impl Drop for KeyPair {
    fn drop(&mut self) {
        self.secret.non_secure_erase();
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::KeyPair;
    use crate::Signature;

    /// The expected value is a widely published vector for secp256k1, SHA-256 and the secret key 1, recomputed with
    /// plain integers in Python.
    #[test]
    fn signatures_match_rfc_6979() {
        let one = KeyPair::from_secret_hex(&format!("{:064x}", 1)).expect("1 is a secret key");
        assert_eq!(
            Signature::make(&one.secret, "Satoshi Nakamoto").to_string(),
            "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8\
             2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5"
        );
    }
}
