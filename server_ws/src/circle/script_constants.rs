//! The constants that a circle's scripts see.

use keys::PublicKey;
use worker::{CALLER_NAME, CALLER_PUBLIC_KEY, CALLER_ROLE, NamedValue};

use crate::rights::CallerRights;

const CIRCLE_NAME: &str = "CIRCLE_NAME";

/// Returns the constants of every worker of a circle. A worker starts without a caller.
pub(super) fn of_circle(name: &str) -> Vec<NamedValue> {
    let nobody = [CALLER_PUBLIC_KEY, CALLER_NAME, CALLER_ROLE].map(|name| constant(name, None));
    [constant(CIRCLE_NAME, Some(name))].into_iter().chain(nobody).collect()
}

/// Returns the constants with the caller of a play or a call.
pub(crate) fn of_caller(key: Option<PublicKey>, rights: &CallerRights) -> [NamedValue; 3] {
    [
        constant(CALLER_PUBLIC_KEY, key.map(|key| key.to_hex()).as_deref()),
        constant(CALLER_NAME, rights.name.as_deref()),
        constant(CALLER_ROLE, rights.role_name().map(|role| &**role)),
    ]
}

fn constant(name: &str, value: Option<&str>) -> NamedValue {
    NamedValue::new(name, value).expect("the name is an identifier, and scripts have texts and `()`")
}
