//! Signatures: the names, types and documentation of functions.

mod name;

pub use name::{FunctionName, InvalidName};
