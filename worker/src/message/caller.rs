//! The names of the constants that say who calls.

/// The public key of the caller as hex; `()` without one.
pub const CALLER_PUBLIC_KEY: &str = "CALLER_PUBLIC_KEY";

/// The name of the caller; `()` without one.
pub const CALLER_NAME: &str = "CALLER_NAME";

/// The role of the caller; `()` without one.
pub const CALLER_ROLE: &str = "CALLER_ROLE";
