//! The content of a key file, and the encryption of its secret.

use std::io::Read as _;
use std::iter;
use std::path::Path;

use age::secrecy::SecretString;
use age::{DecryptError, scrypt};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{KeyName, KeystoreError};
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

/// The parsed content of a key file.
pub(super) struct KeyFile {
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
    pub(super) fn seal(keypair: &KeyPair, passphrase: &str, work: WorkFactor) -> Result<Self, KeystoreError> {
        let mut recipient = scrypt::Recipient::new(SecretString::from(passphrase));
        match work {
            WorkFactor::Calibrated => {}
            WorkFactor::Log2(log2 @ 1..=MAX_WORK_LOG2) => recipient.set_work_factor(log2),
            WorkFactor::Log2(log2) => return Err(KeystoreError::BadWorkFactor { log2 }),
        }
        let secret = age::encrypt_and_armor(&recipient, keypair.secret_hex().as_bytes())
            .expect("one passphrase is a set of recipients that agree, and memory takes every write");
        Ok(Self { public_key: keypair.public_key(), secret })
    }

    pub(super) fn public_key(&self) -> PublicKey {
        self.public_key
    }

    pub(super) fn to_text(&self) -> String {
        let stored =
            KeyFileJson { version: VERSION, public_key: self.public_key.to_hex(), secret: self.secret.clone() };
        let mut text = serde_json::to_string(&stored).expect("a number and two strings are JSON");
        text.push('\n');
        text
    }

    pub(super) fn from_text(text: &str, path: &Path) -> Result<Self, KeystoreError> {
        let KeyFileVersion { version } = from_json(text, path)?;
        if version > VERSION {
            return Err(KeystoreError::NewerVersion { path: path.to_owned(), version });
        }
        if version < VERSION {
            return Err(KeystoreError::damaged(path, format!("there is no version {version} of the file format")));
        }
        let stored: KeyFileJson = from_json(text, path)?;
        let public_key = stored
            .public_key
            .parse()
            .map_err(|error| KeystoreError::damaged(path, format!("`public_key`: {error}")))?;
        Ok(Self { public_key, secret: stored.secret })
    }

    pub(super) fn open(&self, name: &KeyName, passphrase: &str, path: &Path) -> Result<KeyPair, KeystoreError> {
        let digits = self.decrypt(passphrase).map_err(|error| match error {
            DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => {
                KeystoreError::WrongPassphrase { name: name.clone() }
            }
            other => decrypt_error(&other, path),
        })?;
        let keypair = KeyPair::from_secret_hex(&digits).map_err(|error| {
            KeystoreError::damaged(path, format!("the encrypted text is not a secret key: {error}"))
        })?;
        if keypair.public_key() != self.public_key {
            return Err(KeystoreError::Altered { path: path.to_owned() });
        }
        Ok(keypair)
    }

    /// Checks, as far as possible without the passphrase, that the passphrase would decrypt the file: the armor is
    /// complete, the work factor is within bounds, and the encrypted text is as long as a secret key.
    pub(super) fn check_sealed(&self, path: &Path) -> Result<(), KeystoreError> {
        let mut sealed = Vec::new();
        age::armor::ArmoredReader::new(self.secret.as_bytes())
            .read_to_end(&mut sealed)
            .map_err(|error| decrypt_error(&error.into(), path))?;
        let mut payload = sealed.as_slice();
        // With a maximum of 0, age refuses to decrypt and reports the work factor in its error.
        let mut nobody = scrypt::Identity::new(SecretString::from(""));
        nobody.set_max_work_factor(0);
        let tried = age::Decryptor::new_buffered(&mut payload)
            .and_then(|sealed| sealed.decrypt(iter::once(&nobody as &dyn age::Identity)).map(drop));
        match tried {
            Err(DecryptError::ExcessiveWork { required: 1..=MAX_WORK_LOG2, .. }) => {}
            Err(error) => return Err(decrypt_error(&error, path)),
            Ok(()) => return Err(KeystoreError::damaged(path, "`secret` is not encrypted with a passphrase")),
        }
        if payload.len() as u64 != SECRET_DIGITS + TAG_BYTES {
            return Err(KeystoreError::damaged(path, "the encrypted text is not as long as a secret key"));
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
fn decrypt_error(error: &DecryptError, path: &Path) -> KeystoreError {
    match error {
        DecryptError::ExcessiveWork { required, .. } => KeystoreError::damaged(
            path,
            format!("it requires a scrypt work factor of {required}; the maximum is {MAX_WORK_LOG2}"),
        ),
        DecryptError::NoMatchingKeys => KeystoreError::damaged(path, "`secret` is not encrypted with a passphrase"),
        // age translates its messages to the user's locale, so they are not repeated here.
        _ => KeystoreError::damaged(path, "`secret` is not a complete age file"),
    }
}

/// Parses JSON. The error gives the position without the text, which serde would quote.
fn from_json<'text, T: Deserialize<'text>>(text: &'text str, path: &Path) -> Result<T, KeystoreError> {
    serde_json::from_str(text).map_err(|error| {
        let category = if error.is_data() { "a field is missing or has another type" } else { "it is not JSON" };
        KeystoreError::damaged(path, format!("{category} (line {}, column {})", error.line(), error.column()))
    })
}
