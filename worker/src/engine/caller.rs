//! The function `caller`: who calls the current function or plays the current script.

use std::collections::BTreeMap;

use rhai::{Dynamic, Engine, Map};

use super::build::native;
use crate::message::{CALLER_NAME, CALLER_PUBLIC_KEY, CALLER_ROLE};

/// The members of the map, and the constants that have their values.
const MEMBERS: [(&str, &str); 3] = [("key", CALLER_PUBLIC_KEY), ("name", CALLER_NAME), ("role", CALLER_ROLE)];

/// The caller of the current play or call. Clones share the caller.
///
/// The value is outside of every scope and every module, so that no script can change what other scripts see.
#[derive(Clone)]
pub(crate) struct Caller(Dynamic);

impl Default for Caller {
    fn default() -> Self {
        let map: Map = MEMBERS.iter().map(|(member, _)| ((*member).into(), Dynamic::UNIT)).collect();
        Self(Dynamic::from_map(map).into_shared())
    }
}

impl Caller {
    /// Replaces the caller by the one that the constants describe.
    pub(crate) fn set(&self, constants: &BTreeMap<String, Dynamic>) {
        if let Some(mut map) = self.0.clone().write_lock::<Map>() {
            for (member, constant) in MEMBERS {
                map.insert(member.into(), constants.get(constant).cloned().unwrap_or_default());
            }
        }
    }

    /// Registers the function.
    pub(super) fn register(&self, engine: &mut Engine) {
        let doc = "/// Who calls the function or plays the script: `#{ key, name, role }`. `key` is the public key as hex. \
            Each is `()` where there is none.";
        let caller = self.clone();
        // A copy, so that the script cannot change the caller.
        native("caller", &["map"], doc).register_into_engine(engine, move || caller.0.clone().flatten());
    }
}
