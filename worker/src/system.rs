//! What this crate asks of the operating system, and all of its `unsafe` code.
//!
//! Runs in whichever process calls it; each function says which may. It imports no other part of this crate.

pub(crate) mod allocator;
pub(crate) mod environment;
#[cfg(target_os = "linux")]
pub(crate) mod isolation;
pub(crate) mod os;
mod priority;

pub(crate) use priority::lower_priority;
