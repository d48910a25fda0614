//! The program's side of host functions: the conversions between the JSON of a worker's messages and Rust, and the
//! error that scripts see.
//!
//! It evaluates nothing, and knows neither pools nor processes.

mod arguments;
mod blob;
mod error;

pub use arguments::Arguments;
pub(crate) use arguments::from_script;
pub use blob::Blob;
pub use error::{CodedError, Internal};
