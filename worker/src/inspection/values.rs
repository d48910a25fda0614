//! Access to values, on the evaluating thread only.

use rhai::{Engine, Scope};

/// The values of an environment between plays.
#[derive(Clone, Copy)]
pub(crate) struct Values<'e> {
    pub(crate) engine: &'e Engine,
    pub(crate) scope: &'e Scope<'static>,
}
