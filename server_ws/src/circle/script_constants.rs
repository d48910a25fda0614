//! The constants that a circle's scripts see.

use keys::PublicKey;
use worker::NamedValue;

const CIRCLE_NAME: &str = "CIRCLE_NAME";
const CALLER_PUBLIC_KEY: &str = "CALLER_PUBLIC_KEY";

/// Returns the constants of every worker of a circle. A worker starts without a caller.
pub(super) fn of_circle(name: &str) -> Vec<NamedValue> {
    vec![constant(CIRCLE_NAME, Some(name)), caller_key(None)]
}

/// Returns the constant with the key of the caller of a play.
pub(crate) fn caller_key(key: Option<PublicKey>) -> NamedValue {
    constant(CALLER_PUBLIC_KEY, key.map(|key| key.to_hex()).as_deref())
}

fn constant(name: &str, value: Option<&str>) -> NamedValue {
    NamedValue::new(name, value).expect("the name is an identifier, and scripts have texts and `()`")
}
