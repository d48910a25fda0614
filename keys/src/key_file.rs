//! Key files: the content of one, and the encryption of its secret. Reads no disk and no clock, so that a browser can
//! keep key files, too.
//!
//! ```
//! use keys::{KeyPair, key_file::{KeyFile, WorkFactor}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let keypair = KeyPair::generate()?;
//! let text = KeyFile::seal(&keypair, "open sesame", WorkFactor::Log2(2))?.to_text();
//! let opened = KeyFile::from_text(&text)?.open("open sesame")?;
//! assert_eq!(opened.public_key(), keypair.public_key());
//! # Ok(()) }
//! ```

use std::io::Read as _;
use std::iter;

use age::secrecy::SecretString;
use age::{DecryptError, scrypt};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{KeyPair, PublicKey};

const VERSION: u64 = 1;
const SECRET_DIGITS: u64 = 64;

/// Length of the Poly1305 tag that age adds to the last, here the only, chunk of a payload.
const TAG_BYTES: u64 = 16;

/// Maximum scrypt work factor, as the base-2 logarithm of N: 4 GiB of memory, some seconds.
///
/// The calibrated factor of a fast machine is lower, and the bound keeps a file from requiring hours of work.
pub const MAX_WORK_LOG2: u8 = 22;

/// The cost of turning a passphrase into a key with scrypt: the owner pays it once, an attacker for every guess.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WorkFactor {
    /// The factor that age expects to take about a second on this machine, from a short measurement. On the machine on
    /// which we measured, it was N = 2^20: 1 GiB of memory, and 2 to 4 s under load.
    #[default]
    Calibrated,
    /// N = 2 to the power of this number, from 1 to [`MAX_WORK_LOG2`]; it takes 2^this KiB of memory. Small factors are
    /// for tests.
    Log2(u8),
}

/// The reason why a key file cannot be made or opened. No error contains a passphrase or a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The passphrase is empty. To fix it, choose another one.
    #[error("the passphrase of a key cannot be empty")]
    EmptyPassphrase,
    /// The passphrase is wrong. To fix it, try again. (Some kinds of damage to the encrypted part look the same.)
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// The work factor is out of range.
    #[error("a scrypt work factor is a number from 1 to {MAX_WORK_LOG2}, not {log2}")]
    BadWorkFactor {
        /// The requested base-2 logarithm.
        log2: u8,
    },
    /// The text is not a usable key file. To fix it, take another copy of the file.
    #[error("the key file is damaged: {reason}")]
    Damaged {
        /// What is wrong with the file.
        reason: String,
    },
    /// A newer version of `circles` wrote the file. To fix it, update `circles`.
    #[error("a newer version of circles wrote the key file (format {version})")]
    NewerVersion {
        /// The version of the file's format.
        version: u64,
    },
    /// Someone replaced the public key or the secret in the file, so it must not be used.
    #[error("the key file was altered: its secret key does not match its public key")]
    Altered,
}

impl KeyFileError {
    fn damaged(reason: impl Into<String>) -> Self {
        Self::Damaged { reason: reason.into() }
    }
}

/// The parsed content of a key file: a public key, which is an unverified claim until [`KeyFile::open`] succeeds, and the
/// encrypted secret.
pub struct KeyFile {
    public_key: PublicKey,
    /// The encrypted secret: armored age.
    secret: String,
}

#[derive(Serialize, Deserialize)]
struct KeyFileJson {
    version: u64,
    public_key: String,
    secret: String,
}

/// The version of a key file, parsed first because the form of the other fields depends on it.
#[derive(Deserialize)]
struct KeyFileVersion {
    version: u64,
}

impl KeyFile {
    /// Encrypts a key with a passphrase. Blocks for the time that `work` takes.
    ///
    /// # Errors
    ///
    /// Returns [`KeyFileError::EmptyPassphrase`] and [`KeyFileError::BadWorkFactor`].
    ///
    /// # Panics
    ///
    /// Never: the encryption of 64 bytes in memory for one passphrase cannot fail.
    pub fn seal(keypair: &KeyPair, passphrase: &str, work: WorkFactor) -> Result<Self, KeyFileError> {
        if passphrase.is_empty() {
            return Err(KeyFileError::EmptyPassphrase);
        }
        let mut recipient = scrypt::Recipient::new(SecretString::from(passphrase));
        match work {
            WorkFactor::Calibrated => {}
            WorkFactor::Log2(log2 @ 1..=MAX_WORK_LOG2) => recipient.set_work_factor(log2),
            WorkFactor::Log2(log2) => return Err(KeyFileError::BadWorkFactor { log2 }),
        }
        let secret = age::encrypt_and_armor(&recipient, keypair.secret_hex().as_bytes())
            .expect("one passphrase is a set of recipients that agree, and memory takes every write");
        Ok(Self { public_key: keypair.public_key(), secret })
    }

    /// The public key that the file names, unverified.
    pub fn public_key(&self) -> PublicKey {
        self.public_key
    }

    /// The text of the file: one line of JSON.
    ///
    /// # Panics
    ///
    /// Never: a number and two strings are JSON.
    pub fn to_text(&self) -> String {
        let stored =
            KeyFileJson { version: VERSION, public_key: self.public_key.to_hex(), secret: self.secret.clone() };
        let mut text = serde_json::to_string(&stored).expect("a number and two strings are JSON");
        text.push('\n');
        text
    }

    /// Parses the text of a file.
    ///
    /// # Errors
    ///
    /// Returns [`KeyFileError::Damaged`] and [`KeyFileError::NewerVersion`].
    pub fn from_text(text: &str) -> Result<Self, KeyFileError> {
        let KeyFileVersion { version } = from_json(text)?;
        if version > VERSION {
            return Err(KeyFileError::NewerVersion { version });
        }
        if version < VERSION {
            return Err(KeyFileError::damaged(format!("there is no version {version} of the file format")));
        }
        let stored: KeyFileJson = from_json(text)?;
        let public_key =
            stored.public_key.parse().map_err(|error| KeyFileError::damaged(format!("`public_key`: {error}")))?;
        Ok(Self { public_key, secret: stored.secret })
    }

    /// Decrypts the key. Blocks for as long as the file's work factor takes, at most that of [`MAX_WORK_LOG2`].
    ///
    /// # Errors
    ///
    /// Returns [`KeyFileError::WrongPassphrase`], [`KeyFileError::Damaged`], and [`KeyFileError::Altered`] if the public
    /// key does not match.
    pub fn open(&self, passphrase: &str) -> Result<KeyPair, KeyFileError> {
        let digits = self.decrypt(passphrase).map_err(|error| match error {
            DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => KeyFileError::WrongPassphrase,
            other => decrypt_error(&other),
        })?;
        let keypair = KeyPair::from_secret_hex(&digits)
            .map_err(|error| KeyFileError::damaged(format!("the encrypted text is not a secret key: {error}")))?;
        if keypair.public_key() != self.public_key {
            return Err(KeyFileError::Altered);
        }
        Ok(keypair)
    }

    /// Checks, as far as possible without the passphrase, that the passphrase would decrypt the file: the armor is
    /// complete, the work factor is within bounds, and the encrypted text is as long as a secret key.
    ///
    /// # Errors
    ///
    /// Returns [`KeyFileError::Damaged`].
    pub fn check_sealed(&self) -> Result<(), KeyFileError> {
        let mut sealed = Vec::new();
        age::armor::ArmoredReader::new(self.secret.as_bytes())
            .read_to_end(&mut sealed)
            .map_err(|error| decrypt_error(&error.into()))?;
        let mut payload = sealed.as_slice();
        // With a maximum of 0, age refuses to decrypt and reports the work factor in its error.
        let mut nobody = scrypt::Identity::new(SecretString::from(""));
        nobody.set_max_work_factor(0);
        let tried = age::Decryptor::new_buffered(&mut payload)
            .and_then(|sealed| sealed.decrypt(iter::once(&nobody as &dyn age::Identity)).map(drop));
        match tried {
            Err(DecryptError::ExcessiveWork { required: 1..=MAX_WORK_LOG2, .. }) => {}
            Err(error) => return Err(decrypt_error(&error)),
            Ok(()) => return Err(KeyFileError::damaged("`secret` is not encrypted with a passphrase")),
        }
        if payload.len() as u64 != SECRET_DIGITS + TAG_BYTES {
            return Err(KeyFileError::damaged("the encrypted text is not as long as a secret key"));
        }
        Ok(())
    }

    fn decrypt(&self, passphrase: &str) -> Result<Zeroizing<String>, DecryptError> {
        let mut identity = scrypt::Identity::new(SecretString::from(passphrase));
        identity.set_max_work_factor(MAX_WORK_LOG2);
        let armored = age::armor::ArmoredReader::new(self.secret.as_bytes());
        let plaintext = age::Decryptor::new_buffered(armored)?.decrypt(iter::once(&identity as &dyn age::Identity))?;
        // Allocate the final size up front: a buffer that grows leaves copies that are not wiped.
        let mut digits = Zeroizing::new(String::with_capacity(128));
        plaintext.take(SECRET_DIGITS + 1).read_to_string(&mut digits)?;
        Ok(digits)
    }
}

/// Converts an error of age that does not depend on the passphrase.
fn decrypt_error(error: &DecryptError) -> KeyFileError {
    match error {
        DecryptError::ExcessiveWork { required, .. } => KeyFileError::damaged(format!(
            "it requires a scrypt work factor of {required}; the maximum is {MAX_WORK_LOG2}"
        )),
        DecryptError::NoMatchingKeys => KeyFileError::damaged("`secret` is not encrypted with a passphrase"),
        // age translates its messages to the user's locale, so they are not repeated here.
        _ => KeyFileError::damaged("`secret` is not a complete age file"),
    }
}

/// Parses JSON. The error gives the position without the text, which serde would quote.
fn from_json<'text, T: Deserialize<'text>>(text: &'text str) -> Result<T, KeyFileError> {
    serde_json::from_str(text).map_err(|error| {
        let category = if error.is_data() { "a field is missing or has another type" } else { "it is not JSON" };
        KeyFileError::damaged(format!("{category} (line {}, column {})", error.line(), error.column()))
    })
}
