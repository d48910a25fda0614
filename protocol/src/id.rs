//! Request ids, kept exactly as the client wrote them.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::Error as _};
use serde_json::value::RawValue;

/// The id of a request: a string, a number or null, of at most [`Id::MAX_BYTES`] bytes as written.
///
/// The circle echoes an id byte for byte. Two numbers are the same id if they are written the same (`1` and `1.0` are
/// two ids); two strings are the same id if they have the same value (`"a"` and `"\u0061"` are one id).
#[derive(Clone)]
pub struct Id(Arc<str>);

impl Id {
    /// The maximum length of an id in bytes as written, including quotes.
    pub const MAX_BYTES: usize = 128;

    /// Returns the id as it was written, which is valid JSON.
    pub fn as_written(&self) -> &str {
        &self.0
    }

    /// Reads an id from JSON.
    ///
    /// # Errors
    ///
    /// The JSON is longer than [`Id::MAX_BYTES`], or it is not a string, a number or null. The error is a short reason
    /// for a person.
    pub fn from_raw(raw: &RawValue) -> Result<Self, &'static str> {
        let text = raw.get();
        if text.len() > Self::MAX_BYTES {
            return Err("the id is longer than 128 bytes");
        }
        match text.as_bytes().first() {
            Some(b'"' | b'-' | b'0'..=b'9' | b'n') => Ok(Self(text.into())),
            _ => Err("the id is neither a string, a number nor null"),
        }
    }

    /// Makes a numeric id.
    pub fn number(number: u64) -> Self {
        Self(number.to_string().into())
    }

    /// Returns the number, if the id is a number written in plain digits.
    pub fn as_number(&self) -> Option<u64> {
        self.as_written().parse().ok()
    }
}

impl PartialEq for Id {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.as_written(), other.as_written());
        if a == b {
            return true;
        }
        let value = |text: &str| serde_json::from_str::<String>(text).ok();
        // Only escapes can make two spellings of one string differ.
        a.starts_with('"')
            && b.starts_with('"')
            && (a.contains('\\') || b.contains('\\'))
            && value(a).is_some_and(|a| value(b) == Some(a))
    }
}

impl Eq for Id {}

impl std::fmt::Debug for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Id({})", self.as_written())
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = self.as_written();
        // Most ids are written as the serializer writes their values, and need no second look.
        if let Some(text) = written.strip_prefix('"').and_then(|text| text.strip_suffix('"'))
            && !text.contains('\\')
        {
            return serializer.serialize_str(text);
        }
        match self.as_number().filter(|_| written == "0" || !written.starts_with(['0', '+'])) {
            Some(number) => serializer.serialize_u64(number),
            None => serde_json::from_str::<&RawValue>(written).map_err(S::Error::custom)?.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::from_raw(&raw).map_err(<D::Error as de::Error>::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Id {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Id".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "number", "null"],
            "description": "The id of a request, at most 128 bytes as written."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Id {
        serde_json::from_str(text).expect("a valid id")
    }

    #[test]
    fn ids_compare_numbers_as_written_and_strings_by_value() {
        assert_ne!(id("1"), id("1.0"));
        assert_ne!(id("1"), id("\"1\""));
        assert_ne!(id("null"), id("\"null\""));
        assert_eq!(id(r#""a""#), id(r#""\u0061""#));
        assert_ne!(id(r#""\ud800""#), id(r#""\ud801""#));
        assert_eq!(id(r#""\ud800""#), id(r#""\ud800""#));
    }

    #[test]
    fn id_is_echoed_verbatim() {
        let texts = [
            "0",
            "18446744073709551615",
            "1e3",
            "1.50",
            "-7",
            "null",
            "\"\"",
            "\"ä\u{7f}\u{2028}/<\"",
            r#""\u0061\/""#,
            "123456789012345678901234567890",
        ];
        for text in texts {
            assert_eq!(serde_json::to_string(&id(text)).expect("serialises"), text);
        }
    }

    #[test]
    fn invalid_id_is_rejected() {
        let long = format!("\"{}\"", "x".repeat(Id::MAX_BYTES - 1));
        for text in ["true", "{}", "[1]", long.as_str()] {
            assert!(serde_json::from_str::<Id>(text).is_err(), "{text}");
        }
        let longest = format!("\"{}\"", "x".repeat(Id::MAX_BYTES - 2));
        assert!(serde_json::from_str::<Id>(&longest).is_ok());
    }
}
