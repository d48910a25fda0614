//! Calls of the operating system, and all `unsafe` code of the crate.
//!
//! The documentation of each function says which process may call it. The module imports no other part of the crate.

pub(crate) mod allocator;
pub(crate) mod argument;
pub(crate) mod channels;
pub(crate) mod environment;
#[cfg(target_os = "linux")]
pub(crate) mod isolation;
pub(crate) mod os;
mod priority;
pub(crate) mod usage;

pub(crate) use priority::lower_priority;
