//! Functions and types of the program's own, for the engines of this process.

use std::sync::OnceLock;

use rhai::Engine;

static NATIVES: OnceLock<fn(&mut Engine)> = OnceLock::new();

/// Sets what adds them to an engine. The first that is set is the one of this process.
pub(crate) fn set_natives(natives: fn(&mut Engine)) {
    let _first = NATIVES.set(natives);
}

/// Adds them to an engine.
pub(super) fn add_natives(engine: &mut Engine) {
    if let Some(natives) = NATIVES.get() {
        natives(engine);
    }
}
