//! The functions `sortable` and `parse_sortable`: integers as text of a fixed width that sorts like the integers.

use rhai::{Engine, EvalAltResult, INT};

use super::build::{native, native_error};

/// Length of a sortable text, in bytes.
const LENGTH: usize = 16;

/// The bit that distinguishes negative integers. Inverted, it sorts them first.
const SIGN: u64 = 1 << 63;

/// Registers the functions in an engine.
pub(super) fn register(engine: &mut Engine) {
    let doc = "/// The integer as a text of 16 hex digits. The texts sort like the integers, negative ones included.";
    native("sortable", &["value: i64", "string"], doc).register_into_engine(engine, sortable);
    let doc = "/// The integer of a text that `sortable` made.";
    native("parse_sortable", &["text: string", "i64"], doc).register_into_engine(engine, parse_sortable);
}

fn sortable(value: INT) -> String {
    format!("{:016x}", value.cast_unsigned() ^ SIGN)
}

fn parse_sortable(text: &str) -> Result<INT, Box<EvalAltResult>> {
    let is_valid = text.len() == LENGTH && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let bits = is_valid.then(|| u64::from_str_radix(text, 16).ok()).flatten();
    let bits = bits.ok_or_else(|| {
        native_error("parse_sortable needs a text that sortable made: 16 digits of 0-9 and a-f".into())
    })?;
    Ok((bits ^ SIGN).cast_signed())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sortable_texts_are_fixed() {
        let cases = [
            (INT::MIN, "0000000000000000"),
            (-1, "7fffffffffffffff"),
            (0, "8000000000000000"),
            (255, "80000000000000ff"),
            (INT::MAX, "ffffffffffffffff"),
        ];
        for (value, text) in cases {
            assert_eq!((sortable(value).as_str(), parse_sortable(text).expect("valid")), (text, value));
        }
    }

    #[test]
    fn other_texts_are_errors() {
        for text in
            ["", "1", "800000000000000", "80000000000000000", "800000000000000F", "+800000000000000", "ä0000000000000ä"]
        {
            let error = parse_sortable(text).expect_err(text).to_string();
            assert!(error.contains("needs a text that sortable made"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn sortable_texts_sort_like_their_integers(a: INT, b: INT) {
            prop_assert_eq!(sortable(a).cmp(&sortable(b)), a.cmp(&b));
            prop_assert_eq!(parse_sortable(&sortable(a)).expect("valid"), a);
        }
    }
}
