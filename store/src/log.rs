//! Records of the change log: one for each revision, with the changed keys and the events, and without values.

use crate::{Event, Key, meta::Tag};

const VERSION: u8 = 1;

/// The log record of a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogRecord {
    pub(crate) tag: Tag,
    /// Time of the commit in milliseconds since the Unix epoch.
    pub(crate) time: u64,
    pub(crate) keys: Vec<Key>,
    pub(crate) events: Vec<Event>,
}

impl LogRecord {
    /// The record, or nothing if the bytes are no encoding of this version.
    pub(crate) fn decode(encoded: &[u8]) -> Option<Self> {
        let mut rest = encoded;
        let (tag, time) = take_head(&mut rest)?;
        let mut keys = Vec::new();
        for _ in 0..take_length(&mut rest)? {
            keys.push(Key::from_bytes(take_bytes(&mut rest)?).ok()?);
        }
        let mut events = Vec::new();
        for _ in 0..take_length(&mut rest)? {
            let topic = String::from_utf8(take_bytes(&mut rest)?.to_vec()).ok()?;
            events.push(Event { topic, data: take_bytes(&mut rest)?.to_vec() });
        }
        rest.is_empty().then_some(Self { tag, time, keys, events })
    }

    /// Tag and time of an encoded record.
    pub(crate) fn decode_head(mut encoded: &[u8]) -> Option<(Tag, u64)> {
        take_head(&mut encoded)
    }
}

/// The encoding of a record.
pub(crate) fn encode_record<'keys>(
    tag: Tag,
    time: u64,
    keys: impl ExactSizeIterator<Item = &'keys Key>,
    events: &[Event],
) -> Vec<u8> {
    let mut encoded = vec![VERSION];
    encoded.extend(tag.0.to_be_bytes());
    encoded.extend(time.to_be_bytes());
    put_length(&mut encoded, keys.len());
    for key in keys {
        put_bytes(&mut encoded, key.as_bytes());
    }
    put_length(&mut encoded, events.len());
    for event in events {
        put_bytes(&mut encoded, event.topic.as_bytes());
        put_bytes(&mut encoded, &event.data);
    }
    encoded
}

fn put_length(encoded: &mut Vec<u8>, length: usize) {
    let length = u32::try_from(length).expect("transactions write at most 1 GiB");
    encoded.extend(length.to_be_bytes());
}

fn put_bytes(encoded: &mut Vec<u8>, bytes: &[u8]) {
    put_length(encoded, bytes.len());
    encoded.extend(bytes);
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (array, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*array)
}

fn take_head(rest: &mut &[u8]) -> Option<(Tag, u64)> {
    let [VERSION] = take_array(rest)? else { return None };
    Some((Tag(u64::from_be_bytes(take_array(rest)?)), u64::from_be_bytes(take_array(rest)?)))
}

fn take_length(rest: &mut &[u8]) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(take_array(rest)?)).ok()
}

fn take_bytes<'encoded>(rest: &mut &'encoded [u8]) -> Option<&'encoded [u8]> {
    let length = take_length(rest)?;
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_the_encoding() {
        let record = LogRecord {
            tag: Tag(7),
            time: 8,
            keys: ["a", "b/ä"].map(|key| Key::new(key).expect("a key")).to_vec(),
            events: vec![Event { topic: "t".to_owned(), data: vec![0, 1] }],
        };
        let encoded = encode_record(record.tag, record.time, record.keys.iter(), &record.events);
        assert_eq!(LogRecord::decode(&encoded), Some(record));
        assert_eq!(LogRecord::decode_head(&encoded), Some((Tag(7), 8)));
        for length in 0..encoded.len() {
            assert_eq!(LogRecord::decode(&encoded[..length]), None);
        }
    }
}
