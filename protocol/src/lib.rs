//! What a circle and its clients agree on: JSON-RPC 2.0 envelopes, the methods with their parameters and
//! results, the errors, the limits and the contract for machines (`openrpc.json`).
//!
//! Nothing here does I/O, reads a clock or knows a runtime; it builds for `wasm32-unknown-unknown`.
//!
//! ```
//! use protocol::{MethodName, Request, message};
//!
//! let text = r#"{"jsonrpc":"2.0","id":7,"method":"play","params":["40 + 2"]}"#;
//! let message::Incoming::Single(Ok(call)) = message::parse(text, 64).unwrap() else { panic!() };
//! let method: MethodName = call.method.parse().unwrap();
//! let Request::Play(play) = Request::parse(method, call.params).unwrap() else { panic!() };
//! assert_eq!(play.script, "40 + 2");
//! ```

pub mod error;
mod id;
pub mod limits;
pub mod message;
pub mod method;
pub mod methods;
#[cfg(feature = "schema")]
pub mod openrpc;

pub use error::{ErrorObject, RpcError};
pub use id::Id;
pub use limits::Limits;
pub use method::{Method, Params};
pub use methods::{MethodName, Request};

/// The version of the protocol that this crate speaks, as `describe` states it.
pub const VERSION: u32 = 1;

/// Whether a circle can have that name: lower-case letters, digits and dashes, with a letter, up to 64 of them. A name
/// with a letter is never taken for a port.
pub fn is_circle_name(name: &str) -> bool {
    let is_valid = |character: char| matches!(character, 'a'..='z' | '0'..='9' | '-');
    name.len() <= 64 && name.chars().all(is_valid) && name.contains(|character: char| character.is_ascii_lowercase())
}

/// The contract for machines, an `OpenRPC` 1.3 document: what `rpc.discover` and `GET /openrpc.json` answer.
pub const OPENRPC: &str = include_str!("../openrpc.json");
