//! The messages of placements, in JSON, so that other builds can read them, and the parts of setups.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, de::Error as _};

use crate::{
    connection::printable,
    content::{ContentHash, PartReference},
    ids::{AssociationId, LinkId},
    subjects::SubjectName,
};

/// The version of the messages.
const VERSION: u32 = 1;

/// Maximum size of a message in JSON, in bytes.
const MAX_MESSAGE: usize = 4096;

/// Maximum number of bytes of a setup in one answer.
pub(crate) const MAX_PART: usize = 64 << 10;

/// A request of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlacementRequest {
    pub(crate) server: SubjectName,
    pub(crate) link: LinkId,
    pub(crate) setup: ContentHash,
    /// The size of the manifest in bytes.
    pub(crate) manifest_bytes: u64,
    /// A number for the caller: workers of one group wait for each other.
    pub(crate) group: u64,
}

impl PlacementRequest {
    pub(crate) fn manifest(&self) -> PartReference {
        PartReference { hash: self.setup, bytes: self.manifest_bytes }
    }
}

/// An answer to a [`PlacementRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(crate) enum PlacementAnswer {
    /// The machine prepares the setup: the server waits on.
    Preparing,
    /// The worker runs.
    Placed {
        machine: SubjectName,
        association: AssociationId,
        pid: Option<u32>,
        /// Memory of the fresh worker in bytes.
        memory_bytes: u64,
    },
    /// The machine has no room: ask another one.
    Full,
    /// The machine could not start the worker.
    Failed {
        /// The reason.
        message: String,
    },
}

/// A request of a part of a setup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartRequest {
    pub(crate) setup: ContentHash,
    pub(crate) part: ContentHash,
    pub(crate) offset: u64,
}

/// The state of a machine, which it publishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MachineState {
    pub(crate) machine: SubjectName,
    pub(crate) version: String,
    pub(crate) build: SubjectName,
    pub(crate) places: u32,
    pub(crate) used: u32,
    /// Whether the machine drains.
    pub(crate) is_draining: bool,
    /// Whether the machine accepts more workers.
    #[serde(default)]
    pub(crate) has_room: bool,
    /// The machine ends now.
    #[serde(default)]
    pub(crate) is_ending: bool,
    /// A random number of the process, which tells machines of one name apart.
    #[serde(default)]
    pub(crate) instance: u64,
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    v: u32,
    #[serde(flatten)]
    message: T,
}

/// Encodes a message in JSON.
pub(crate) fn encode<T: Serialize>(message: T) -> Bytes {
    // All messages are structs of numbers and texts.
    serde_json::to_vec(&Versioned { v: VERSION, message }).unwrap_or_default().into()
}

/// Decodes a message in JSON; `None` for other bytes and another version.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    if bytes.len() > MAX_MESSAGE {
        return None;
    }
    let Versioned { v, message } = serde_json::from_slice(bytes).ok()?;
    (v == VERSION).then_some(message)
}

/// A text for a message of limited size.
pub(crate) fn short_text(text: &str) -> String {
    printable(text)
}

/// Encodes the answer to a [`PartRequest`]; `None` if the server does not have the part.
pub(crate) fn encode_part(part: Option<(&Bytes, u64)>) -> Bytes {
    let Some((part, offset)) = part else { return Bytes::new() };
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(part.len());
    let end = start.saturating_add(MAX_PART).min(part.len());
    let mut bytes = BytesMut::with_capacity(8 + end - start);
    bytes.put_u64_le(offset);
    bytes.put_slice(&part[start..end]);
    bytes.freeze()
}

/// Decodes the answer to a [`PartRequest`]: the bytes from the offset. `None` if the server does not have the part.
pub(crate) fn decode_part(mut bytes: Bytes, offset: u64) -> Option<Bytes> {
    (bytes.len() >= 8 && bytes.get_u64_le() == offset && bytes.len() <= MAX_PART).then_some(bytes)
}

/// Implements the serialization of an id as hex digits.
macro_rules! serialize_id {
    ($name:ident) => {
        impl $name {
            /// The id as hex digits.
            pub(crate) fn to_hex(self) -> String {
                hex::encode(self.0)
            }

            pub(crate) fn from_hex(text: &str) -> Option<Self> {
                let mut bytes = [0; 16];
                hex::decode_to_slice(text, &mut bytes).ok()?;
                Some(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.to_hex())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::from_hex(&text).ok_or_else(|| D::Error::custom("no id"))
            }
        }
    };
}

serialize_id!(LinkId);
serialize_id!(AssociationId);

impl Serialize for SubjectName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for SubjectName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(name: &str) -> SubjectName {
        SubjectName::new(name).expect("valid")
    }

    #[test]
    fn messages_decode_to_themselves() {
        let request = PlacementRequest {
            server: name("s1"),
            link: LinkId::from_bytes([7; 16]),
            setup: ContentHash::of(b"setup"),
            manifest_bytes: 5,
            group: u64::MAX,
        };
        assert_eq!(decode(&encode(&request)), Some(request));
        let placed = PlacementAnswer::Placed {
            machine: name("m1"),
            association: AssociationId::from_bytes([8; 16]),
            pid: Some(12),
            memory_bytes: 1 << 40,
        };
        let failed = PlacementAnswer::Failed { message: "no memory".into() };
        for answer in [PlacementAnswer::Preparing, placed, PlacementAnswer::Full, failed] {
            assert_eq!(decode(&encode(&answer)), Some(answer));
        }
        let ids = (LinkId::from_hex(&"é".repeat(16)), LinkId::from_hex("07"));
        assert_eq!(ids, (None, None));
    }

    #[test]
    fn message_of_another_version_is_ignored() {
        let bytes = encode(PlacementAnswer::Full);
        let other = String::from_utf8(bytes.to_vec()).expect("JSON").replace("\"v\":1", "\"v\":2");
        assert_eq!(decode::<PlacementAnswer>(other.as_bytes()), None);
        let name_with_wildcard = r#"{"v":1,"status":"placed","machine":">","association":"","pid":1,"memory_bytes":1}"#;
        assert_eq!(decode::<PlacementAnswer>(name_with_wildcard.as_bytes()), None);
    }

    #[test]
    fn part_has_the_bytes_from_its_offset() {
        let part = Bytes::from(vec![3; MAX_PART + 1]);
        assert_eq!(decode_part(encode_part(Some((&part, 0))), 0).map(|bytes| bytes.len()), Some(MAX_PART));
        let last = MAX_PART as u64;
        assert_eq!(decode_part(encode_part(Some((&part, last))), last).map(|bytes| bytes.len()), Some(1));
        assert_eq!(decode_part(encode_part(Some((&part, u64::MAX))), u64::MAX), Some(Bytes::new()));
        assert_eq!((decode_part(encode_part(None), 0), decode_part(encode_part(Some((&part, 1))), 0)), (None, None));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(decode::<PlacementRequest>(&bytes), None);
            prop_assert_eq!(decode::<MachineState>(&bytes), None);
            let _part = decode_part(bytes.into(), 0);
        }
    }
}
