//! The module `clock`: the time of the operating system.

use std::time::{Duration, SystemTime};

use rhai::{Engine, INT, Module};

use super::build::native;

/// Registers the module in an engine.
pub(super) fn register(engine: &mut Engine) {
    let mut module = Module::new();
    let doc = "/// The time in milliseconds since the start of 1970, UTC. For durations, use `timestamp()`: the system may \
        set its clock back.";
    native("now", &["i64"], doc).set_into_module(&mut module, milliseconds);
    engine.register_static_module("clock", module.into());
}

fn milliseconds() -> INT {
    INT::try_from(since_1970().as_millis()).unwrap_or(INT::MAX)
}

/// The duration since the start of 1970, UTC; zero if the clock of the system is before that.
pub(super) fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
