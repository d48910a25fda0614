//! The constants that a circle's scripts see.

use std::sync::Arc;

use keys::PublicKey;
use worker::NamedValue;

use crate::rights::CallerRights;

const CIRCLE_NAME: &str = "CIRCLE_NAME";
const CALLER_PUBLIC_KEY: &str = "CALLER_PUBLIC_KEY";
const CALLER_NAME: &str = "CALLER_NAME";
const CALLER_ROLE: &str = "CALLER_ROLE";

/// The caller of a play or a call, as scripts see it. The default is a caller without a key, a name and a role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CallerConstants {
    key: Option<PublicKey>,
    name: Option<Arc<str>>,
    role: Option<Arc<str>>,
    /// Differs for other roles.
    roles: u64,
}

impl CallerConstants {
    pub(crate) fn new(key: Option<PublicKey>, rights: &CallerRights) -> Self {
        Self { key, name: rights.name.clone(), role: rights.role_name().cloned(), roles: rights.roles }
    }

    /// Returns the constants.
    pub(crate) fn values(&self) -> Vec<NamedValue> {
        vec![
            constant(CALLER_PUBLIC_KEY, self.key.map(|key| key.to_hex()).as_deref()),
            constant(CALLER_NAME, self.name.as_deref()),
            constant(CALLER_ROLE, self.role.as_deref()),
        ]
    }
}

/// Returns the constants of every worker of a circle. A worker starts without a caller.
pub(super) fn of_circle(name: &str) -> Vec<NamedValue> {
    let mut constants = vec![constant(CIRCLE_NAME, Some(name))];
    constants.append(&mut CallerConstants::default().values());
    constants
}

fn constant(name: &str, value: Option<&str>) -> NamedValue {
    NamedValue::new(name, value).expect("the name is an identifier, and scripts have texts and `()`")
}
