//! One file a verb.

pub(crate) mod check;
pub(crate) mod keygen;
pub(crate) mod keys;
pub(crate) mod launch;
pub(crate) mod play;
pub(crate) mod repl;
pub(crate) mod serve;
pub(crate) mod tui;
