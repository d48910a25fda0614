//! Content by its hash: the setups that servers have and machines fetch.

use std::{collections::HashMap, fmt};

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest, Sha256};

/// The SHA-256 hash of a part of a setup.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// The hash of these bytes.
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }

    /// The 32 bytes of the hash.
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl From<[u8; 32]> for ContentHash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

impl Serialize for ContentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(&text, &mut bytes).map_err(D::Error::custom)?;
        Ok(Self(bytes))
    }
}

/// The hash and the size of a part of a setup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PartReference {
    /// The hash of the bytes.
    pub hash: ContentHash,
    /// The number of bytes.
    pub bytes: u64,
}

/// A setup of workers: a manifest, and the texts that the manifest names by their hashes. The hash of the manifest
/// identifies the setup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    manifest: PartReference,
    parts: HashMap<ContentHash, Bytes>,
}

impl Setup {
    /// Makes a setup. It hashes the manifest and the texts.
    pub fn new(manifest: Bytes, texts: impl IntoIterator<Item = Bytes>) -> Self {
        let hash = ContentHash::of(&manifest);
        let reference = PartReference { hash, bytes: manifest.len() as u64 };
        let mut parts: HashMap<_, _> = texts.into_iter().map(|text| (ContentHash::of(&text), text)).collect();
        parts.insert(hash, manifest);
        Self { manifest: reference, parts }
    }

    /// The hash that identifies the setup.
    pub fn hash(&self) -> ContentHash {
        self.manifest.hash
    }

    /// The hash and the size of the manifest.
    pub fn manifest(&self) -> PartReference {
        self.manifest
    }

    /// The manifest or a text.
    pub fn part(&self, hash: ContentHash) -> Option<&Bytes> {
        self.parts.get(&hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_64_hex_digits() {
        let hash = ContentHash::of(b"");
        assert_eq!(hash.to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        let json = serde_json::to_string(&hash).expect("JSON");
        assert_eq!(serde_json::from_str::<ContentHash>(&json).expect("a hash"), hash);
        for invalid in ["\"\"", "\"e3\"", "1", "\"ää\"", "\"zz\""] {
            serde_json::from_str::<ContentHash>(invalid).expect_err(invalid);
        }
    }

    #[test]
    fn setup_finds_its_parts() {
        let setup = Setup::new("manifest".into(), ["a", "b", "a"].map(Bytes::from));
        assert_eq!(setup.hash(), ContentHash::of(b"manifest"));
        assert_eq!(setup.part(setup.hash()).map(|part| &part[..]), Some(&b"manifest"[..]));
        assert_eq!(setup.part(ContentHash::of(b"b")).map(|part| &part[..]), Some(&b"b"[..]));
        assert_eq!(setup.part(ContentHash::of(b"c")), None);
    }
}
