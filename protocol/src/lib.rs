//! The circles protocol: JSON-RPC 2.0 envelopes, the methods with their parameters and results, the errors, the limits
//! and the machine-readable contract (`openrpc.json`).
//!
//! This crate does no I/O, reads no clock and needs no async runtime; it builds for `wasm32-unknown-unknown`.
//!
//! ```
//! use protocol::{MethodName, Request, message};
//!
//! let text = r#"{"jsonrpc":"2.0","id":7,"method":"play","params":["40 + 2"]}"#;
//! let message::IncomingMessage::Single(Ok(call)) = message::parse(text, 64).unwrap() else { panic!() };
//! let method: MethodName = call.method.parse().unwrap();
//! let Request::Play(play) = Request::parse(method, call.params).unwrap() else { panic!() };
//! assert_eq!(play.script, "40 + 2");
//! ```

pub mod error;
pub mod function_info;
mod id;
pub mod limits;
pub mod message;
pub mod method;
pub mod methods;
#[cfg(feature = "schema")]
pub mod openrpc;

pub use error::{ErrorObject, RpcError};
pub use function_info::FunctionInfo;
pub use id::Id;
pub use limits::Limits;
pub use method::{Method, Params};
pub use methods::{MethodName, Request};

/// The version of the protocol that this crate implements, as `describe` reports it.
pub const VERSION: u32 = 1;

/// Whether `name` is a valid name of a circle: lower-case letters, digits and dashes, at least one letter, up to 64
/// characters. Because of the letter, a name is never mistaken for a port.
pub fn is_circle_name(name: &str) -> bool {
    let is_valid = |character: char| matches!(character, 'a'..='z' | '0'..='9' | '-');
    name.len() <= 64 && name.chars().all(is_valid) && name.contains(|character: char| character.is_ascii_lowercase())
}

/// The machine-readable contract, an `OpenRPC` 1.3 document: the result of `rpc.discover` and the body of `GET
/// /openrpc.json`.
pub const OPENRPC: &str = include_str!("../openrpc.json");
