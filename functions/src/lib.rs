//! Named, typed functions of a circle, and the roles that say who may call them. No I/O.
//!
//! - [`signature`]: names of functions, types, the doc-comment tags that declare them, validation of values, and JSON Schema.
//! - [`roles`]: roles and members, and what a caller may do.

pub mod roles;
pub mod signature;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
