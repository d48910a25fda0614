/// A value. Integers are apart from bytes, because [`Transaction::add`](crate::Transaction::add) computes with them;
/// whatever else a program stores is bytes in an encoding of its own.
///
/// In the file a value is one version byte ([`Value::VERSION`]), one byte for the kind, and the content: eight bytes in
/// big-endian order for an integer, or the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// An integer.
    Integer(i64),
    /// Bytes, which the store does not interpret.
    Bytes(Vec<u8>),
}

const INTEGER: u8 = 1;
const BYTES: u8 = 2;

impl Value {
    /// Version of the encoding.
    pub const VERSION: u8 = 1;

    /// Size of the encoded value in bytes, which the limits of values and transactions count.
    pub fn size(&self) -> usize {
        2 + match self {
            Self::Integer(_) => size_of::<i64>(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// The encoding, as it is in the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut encoded = Vec::with_capacity(self.size());
        encoded.push(Self::VERSION);
        match self {
            Self::Integer(integer) => {
                encoded.push(INTEGER);
                encoded.extend(integer.to_be_bytes());
            }
            Self::Bytes(bytes) => {
                encoded.push(BYTES);
                encoded.extend(bytes);
            }
        }
        encoded
    }

    /// The value, or nothing if the bytes are no encoding of this version.
    pub fn decode(encoded: &[u8]) -> Option<Self> {
        match encoded {
            [Self::VERSION, INTEGER, content @ ..] => Some(Self::Integer(i64::from_be_bytes(content.try_into().ok()?))),
            [Self::VERSION, BYTES, content @ ..] => Some(Self::Bytes(content.to_vec())),
            _ => None,
        }
    }
}

impl From<i64> for Value {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_the_encoding() {
        for value in [Value::Integer(i64::MIN), Value::Integer(-1), Value::Bytes(vec![]), Value::Bytes(vec![0, 255])] {
            let encoded = value.encode();
            assert_eq!(encoded.len(), value.size());
            assert_eq!(Value::decode(&encoded), Some(value));
        }
    }

    #[test]
    fn other_encodings_are_no_values() {
        for encoded in [&[][..], &[1], &[2, BYTES], &[1, 9], &[1, INTEGER, 0]] {
            assert_eq!(Value::decode(encoded), None, "{encoded:?}");
        }
    }
}
