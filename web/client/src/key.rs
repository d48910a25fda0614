//! Keys, and the encrypted files that hold them.

use std::sync::Arc;

use keys::{
    KeyPair,
    key_file::{KeyFile, WorkFactor},
};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use zeroize::Zeroizing;

use crate::errors::error;

/// The work factor of new key files: 128 MiB of memory for a second or so, half of what the terminal uses, because
/// phones open these files, too.
const WORK_FACTOR: WorkFactor = WorkFactor::Log2(17);

/// A keypair. It lives in the memory of the page.
#[wasm_bindgen]
pub struct Key(pub(crate) Arc<KeyPair>);

#[wasm_bindgen]
impl Key {
    /// Makes a new key from the browser's random source.
    pub fn generate() -> Result<Key, JsValue> {
        let keypair = KeyPair::generate().map_err(|failure| error("usage", &failure.to_string()))?;
        Ok(Self(keypair.into()))
    }

    /// Reads a key from its 64 hex digits.
    #[wasm_bindgen(js_name = fromSecret)]
    pub fn from_secret(digits: String) -> Result<Key, JsValue> {
        let keypair = KeyPair::from_secret_hex(Zeroizing::new(digits).trim())
            .map_err(|failure| error("usage", &failure.to_string()))?;
        Ok(Self(keypair.into()))
    }

    /// The public key: 33 bytes compressed, as hex.
    #[wasm_bindgen(getter, js_name = publicKey)]
    pub fn public_key(&self) -> String {
        self.0.public_key().to_hex()
    }

    /// The secret key as 64 hex digits. Anyone who has them is this key.
    #[wasm_bindgen(js_name = exportSecret)]
    pub fn export_secret(&self) -> String {
        self.0.secret_hex().to_string()
    }

    /// Encrypts the key with a passphrase, in the format of the keystore: the text of a key file. Blocks for a second or
    /// so: call it in a worker.
    pub fn seal(&self, passphrase: &str) -> Result<String, JsValue> {
        let file = KeyFile::seal(&self.0, passphrase, WORK_FACTOR);
        Ok(file.map_err(|failure| error("usage", &failure.to_string()))?.to_text())
    }

    /// Decrypts the text of a key file. Blocks for as long as the file's work factor takes: call it in a worker.
    pub fn open(text: &str, passphrase: &str) -> Result<Key, JsValue> {
        let file = KeyFile::from_text(text).map_err(|failure| error("usage", &failure.to_string()))?;
        let keypair = file.open(passphrase).map_err(|failure| error("credentials", &failure.to_string()))?;
        Ok(Self(keypair.into()))
    }
}

/// Returns the public key that the text of a key file names, unverified, if some passphrase can open the file.
#[wasm_bindgen(js_name = keyFilePublicKey)]
pub fn key_file_public_key(text: &str) -> Result<String, JsValue> {
    let checked = KeyFile::from_text(text).and_then(|file| file.check_sealed().map(|()| file.public_key().to_hex()));
    checked.map_err(|failure| error("usage", &failure.to_string()))
}
