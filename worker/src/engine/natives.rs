//! Native functions and types that the program adds to the engines of this process.

use std::sync::OnceLock;

use rhai::Engine;

static NATIVES: OnceLock<fn(&mut Engine)> = OnceLock::new();

/// Sets the function that adds the natives to an engine. Only the first call has an effect.
pub(crate) fn set_natives(natives: fn(&mut Engine)) {
    let _first = NATIVES.set(natives);
}

/// Adds the natives to an engine.
pub(super) fn add_natives(engine: &mut Engine) {
    if let Some(natives) = NATIVES.get() {
        natives(engine);
    }
}
