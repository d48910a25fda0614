//! Blobs in JSON: scripts and the store have an object with one member for a blob, callers get its base64.

use std::borrow::Cow;

use serde_json::Value;
use worker::BLOB_MEMBER;

/// Replaces the objects that stand for blobs by their base64, as in the result of a play.
///
/// # Errors
///
/// The text is not JSON. It is checked only if it may have a blob.
pub(crate) fn unwrap_blobs(json: &str) -> serde_json::Result<Cow<'_, str>> {
    if !json.contains(BLOB_MEMBER) {
        return Ok(json.into());
    }
    let mut value: Value = serde_json::from_str(json)?;
    unwrap(&mut value);
    Ok(value.to_string().into())
}

fn unwrap(value: &mut Value) {
    if let Some(object) = value.as_object_mut().filter(|object| object.len() == 1)
        && let Some(base64) = object.remove(BLOB_MEMBER)
    {
        *value = base64;
        return;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(unwrap),
        Value::Object(members) => members.values_mut().for_each(unwrap),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_become_base64() {
        for (json, expected) in [
            (r#"{"a":[{"$circles::blob":"QUFB"}],"b":{"c":1},"d":{}}"#, r#"{"a":["QUFB"],"b":{"c":1},"d":{}}"#),
            (r#"{"a":[1,1.0,"x"]}"#, r#"{"a":[1,1.0,"x"]}"#),
            (r#""say $circles::blob""#, r#""say $circles::blob""#),
            (r#"{"$circles::blob":"QUFB","b":1}"#, r#"{"$circles::blob":"QUFB","b":1}"#),
        ] {
            assert_eq!(unwrap_blobs(json).expect("JSON"), expected);
        }
        assert!(unwrap_blobs("{\"$circles::blob\"").is_err());
    }
}
