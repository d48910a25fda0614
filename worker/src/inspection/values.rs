//! What only the thread that evaluates can see.

use rhai::{Engine, Scope};

/// The environment between plays.
#[derive(Clone, Copy)]
pub(crate) struct Values<'e> {
    pub(crate) engine: &'e Engine,
    pub(crate) scope: &'e Scope<'static>,
}
