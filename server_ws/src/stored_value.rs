//! Values of scripts as a store has them: an integer is an integer of the store, so that scripts can add to it; everything
//! else is JSON, in the form that host calls have, behind a byte for the encoding.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use store::Value;
use worker::BLOB_MEMBER;

/// The first byte of values that are no integers: the JSON after it is as host functions get and return it.
const JSON_VERSION: u8 = 1;

/// Levels of a value.
pub(crate) const MAX_DEPTH: usize = 32;

/// Returns the JSON of a stored value in one line; `None` if this version does not know its encoding.
pub fn to_json(value: &Value) -> Option<Box<RawValue>> {
    let json = match value {
        Value::Integer(integer) => integer.to_string(),
        Value::Bytes(bytes) => {
            let [JSON_VERSION, json @ ..] = bytes.as_slice() else { return None };
            // Line ends are only between tokens: in strings they are escaped.
            String::from_utf8(json.to_vec()).ok()?.replace(['\n', '\r'], " ")
        }
    };
    RawValue::from_string(json).ok()
}

/// Returns the value to store for JSON.
///
/// # Errors
///
/// A script could not have stored the value. The text says what is wrong.
pub fn from_json(json: &RawValue) -> Result<Value, String> {
    let text = json.get();
    if text != NEGATIVE_ZERO
        && let Ok(integer) = text.parse::<i64>()
    {
        return Ok(Value::Integer(integer));
    }
    let PlainJson(value) = serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        // The text is one value: a line of it tells nothing.
        message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what).to_owned()
    })?;
    if value.is_null() {
        return Err(
            "the value is (), null in JSON, which means that a key is absent: delete the key instead".to_owned()
        );
    }
    check(&value, MAX_DEPTH)?;
    check_integers(text)?;
    let mut bytes = vec![JSON_VERSION];
    bytes.extend_from_slice(text.as_bytes());
    Ok(Value::Bytes(bytes))
}

/// An integer of JSON that is no integer of scripts.
const NEGATIVE_ZERO: &str = "-0";

/// Longest number that an error shows, in bytes.
const MAX_SHOWN_NUMBER: usize = 40;

/// Checks that each number without a fraction or an exponent is an integer of scripts. A parser of JSON makes floats of
/// the others. The text is valid JSON.
fn check_integers(text: &str) -> Result<(), String> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at += 1;
                while let Some(&byte) = bytes.get(at)
                    && byte != b'"'
                {
                    at += if byte == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let start = at;
                while bytes.get(at).is_some_and(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte)) {
                    at += 1;
                }
                check_integer(text.get(start..at).unwrap_or_default())?;
            }
            _ => at += 1,
        }
    }
    Ok(())
}

fn check_integer(number: &str) -> Result<(), String> {
    if number == NEGATIVE_ZERO {
        return Err("-0 is not an integer: write 0, or -0.0 for a float".to_owned());
    }
    if number.contains(['.', 'e', 'E']) || number.parse::<i64>().is_ok() {
        return Ok(());
    }
    let shown = if number.len() > MAX_SHOWN_NUMBER { "a number" } else { number };
    Err(format!("{shown} is beyond an integer of 64 bits: write it with .0 for a float"))
}

/// JSON that is only data. [`serde_json::Value`] takes an object with a certain member for JSON in a text, and parses the
/// text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PlainJson(pub(crate) serde_json::Value);

impl<'de> Deserialize<'de> for PlainJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor).map(Self)
    }
}

struct PlainVisitor;

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = serde_json::Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(serde_json::Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut array = Vec::new();
        while let Some(PlainJson(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut object = serde_json::Map::new();
        while let Some((name, PlainJson(value))) = members.next_entry::<String, _>()? {
            if name.starts_with(SERDE_PREFIX) {
                return Err(A::Error::custom(format!("the member {name} is reserved: rename it")));
            }
            if object.contains_key(&name) {
                return Err(A::Error::custom(format!("the member {name:?} occurs twice: keep one")));
            }
            object.insert(name, value);
        }
        Ok(object.into())
    }
}

/// The names of members by which serde's JSON recognizes values of its own.
const SERDE_PREFIX: &str = "$serde_json::private::";

/// Checks that a script can get the value back: at most `max` levels, the scalars in them included.
pub(crate) fn check(value: &serde_json::Value, max: usize) -> Result<(), String> {
    let Some(rest) = max.checked_sub(1) else {
        return Err(format!("the value has more than {MAX_DEPTH} levels: store parts of it under keys of their own"));
    };
    match value {
        serde_json::Value::Number(number) if number.is_u64() && !number.is_i64() => {
            Err(format!("{number} is beyond an integer of 64 bits"))
        }
        serde_json::Value::Array(items) => items.iter().try_for_each(|item| check(item, rest)),
        serde_json::Value::Object(members) => {
            if let (1, Some(blob)) = (members.len(), members.get(BLOB_MEMBER)) {
                let bytes = blob.as_str().and_then(|text| STANDARD.decode(text).ok());
                bytes.ok_or_else(|| format!("{BLOB_MEMBER} is not base64"))?;
            }
            members.values().try_for_each(|value| check(value, rest))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Value, String> {
        from_json(serde_json::from_str(text).expect("JSON"))
    }

    #[test]
    fn values_survive_an_export_and_an_import() {
        let bytes = |text: &str| Value::Bytes([&[JSON_VERSION], text.as_bytes()].concat());
        let values = [
            Value::Integer(0),
            Value::Integer(i64::MIN),
            Value::Integer(i64::MAX),
            bytes("1.0"),
            bytes("-0.0"),
            bytes("1e300"),
            bytes("true"),
            bytes(r#""ä\u0000\n\"""#),
            bytes(r#"{"$circles::blob":"AAEC/w=="}"#),
            bytes(r#"[1,2.0,{"a":[],"":null}]"#),
            bytes(r#"{"-0":"18446744073709551616","\"":[-0.0,-0e0,1E2,18446744073709551616.0]}"#),
        ];
        for value in values {
            let json = to_json(&value).expect("JSON");
            assert_eq!(from_json(&json), Ok(value), "{json}");
        }
        assert_eq!(to_json(&bytes("[1,\n2]")).map(|json| json.get().to_owned()).as_deref(), Some("[1, 2]"));
        for unknown in [Value::Bytes(vec![]), Value::Bytes(vec![2, b'1']), Value::Bytes(vec![JSON_VERSION]), bytes("{")]
        {
            assert!(to_json(&unknown).is_none());
        }
    }

    #[test]
    fn values_that_no_script_could_store_are_refused() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(32)).is_ok());
        for (text, expected) in [
            (nested(33).as_str(), "more than 32 levels"),
            ("null", "a key is absent"),
            ("9223372036854775808", "beyond an integer"),
            ("[18446744073709551615]", "beyond an integer"),
            ("18446744073709551616", "18446744073709551616 is beyond an integer"),
            (r#"{"\"\\":[1,-18446744073709551616]}"#, "beyond an integer"),
            (format!("[1{}]", "0".repeat(100)).as_str(), "a number is beyond an integer"),
            ("-0", "write 0, or -0.0"),
            ("[1,-0]", "write 0, or -0.0"),
            (r#"{"a":1,"a":2}"#, "the member \"a\" occurs twice: keep one"),
            (r#"[{"a":1,"b":{},"\u0061":2}]"#, "the member \"a\" occurs twice: keep one"),
            (r#"{"$circles::blob":"A"}"#, "is not base64"),
            (r#"{"$circles::blob":1}"#, "is not base64"),
            (r#"{"$serde_json::private::RawValue":"[1]"}"#, "is reserved"),
            (r#"[{"\u0024serde_json::private::RawValue":"[1]"}]"#, "is reserved"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(expected), "{error}");
        }
    }
}
