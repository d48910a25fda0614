//! The keys of circles and their callers, and the texts that they sign to authenticate.
//!
//! To a circle, a person or program is a secp256k1 key. To authenticate, a client signs a [`Nonce`]: one line of text
//! that the circle generates for this connection, bound to the [`Authority`] that the client connected to, to the
//! identity of the circle and to a short time. The circle shows its identity first, by signing an
//! [`IdentityStatement`]. This crate implements both sides, the encrypted keystore on disk and the files that hold a
//! circle's own key (feature `keystore`, on by default).
//!
//! Without that feature and `private-files`, a part of it, the crate reads neither files nor a clock (the caller passes the time), and builds for
//! `wasm32-unknown-unknown`; so does the feature `key-file`, the encryption of keys for a store of the caller's own.
//!
//! ```
//! use keys::{Authority, Challenge, IdentityStatement, KeyPair, NONCE_LIFETIME_S, Nonce};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (now, random) = (1_795_500_000, [7; 32]);
//! // The client sends a challenge, and the circle identifies itself:
//! let authority: Authority = "127.0.0.1:9001".parse()?;
//! let circle = KeyPair::generate()?;
//! let statement = IdentityStatement::new(&authority, Challenge::generate()?, true);
//! let identity = circle.public_key();
//! assert!(identity.verify_identity(&statement, &circle.sign_identity(&statement)));
//!
//! // The circle generates a nonce:
//! let nonce = Nonce::new(&authority, identity, now + NONCE_LIFETIME_S, random);
//!
//! // The client signs the nonce only if it is for this authority, this circle and this time:
//! let received = Nonce::parse(nonce.as_str())?;
//! received.check(&authority, identity, now)?;
//! let key = KeyPair::generate()?;
//! let signature = key.sign_nonce(&received);
//!
//! // The circle verifies the signature:
//! assert!(key.public_key().verify_nonce(nonce.as_str(), &signature));
//! # Ok(())
//! # }
//! ```

#![warn(clippy::missing_errors_doc)]

mod authority;
mod hex_digits;
mod identity;
mod keypair;
mod nonce;
mod public_key;
mod signature;

#[cfg(feature = "keystore")]
pub mod identity_file;
#[cfg(feature = "key-file")]
pub mod key_file;
#[cfg(feature = "keystore")]
pub mod keystore;
#[cfg(feature = "private-files")]
pub mod private_files;

pub use authority::{AUTHORITY_MAX_BYTES, Authority, AuthorityError};
pub use identity::{Challenge, ChallengeParseError, IdentityStatement};
pub use keypair::{KeyPair, RandomError};
pub use nonce::{
    NONCE_LAPSED_TOLERANCE_S, NONCE_LIFETIME_S, NONCE_MAX_AHEAD_S, NONCE_MAX_BYTES, Nonce, NonceError, NonceRejection,
};
pub use public_key::{KeyParseError, PublicKey};
pub use signature::{Signature, SignatureParseError};
