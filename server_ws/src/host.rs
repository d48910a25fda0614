//! Host functions: functions of the program that serves the circle, for its scripts. They are the only way in which a
//! script can affect anything outside of its environment.
//!
//! A [`Module`] is a set of async functions. A script calls them like the functions of any module,
//! `stock::reserve("tea", 2)`, and waits for the result. [`PlayContext::caller`] is the key with which the session is
//! authenticated; scripts and workers cannot forge it. So the function itself can decide what a key may do.
//!
//! ```
//! use server_ws::host;
//!
//! let stock = host::Module::new("stock").function(
//!     "reserve",
//!     ["item", "count"],
//!     "Reserves some of an item for the caller, and returns how many are left.",
//!     |call: host::Call, (item, count): (String, u32)| async move {
//!         let Some(key) = call.caller() else { return Err("authenticate with a key first".into()) };
//!         println!("{key} wants {count} of {item}");
//!         Ok(7)
//!     },
//! );
//! # drop(stock);
//! ```
//!
//! A module with a state has methods of the state as functions ([`Module::with_state`]). A
//! [transactional](Transactional) one makes every play a transaction.
//!
//! **Arguments** are read with serde from the JSON of the script's values, as a tuple of up to eight. An argument of
//! the wrong type, or one that has no form in JSON, is an error that names the parameter. **Results** are any
//! serialisable values, up to `host_kib`; see [`Blob`] for blobs. **Errors** are [`Error`]s: the script can catch them as
//! maps with `error` (`"HostError"`), `function`, `message` and, if present, `code` and `data`. An uncaught error ends
//! the play with −32000 at the line of the call.
//!
//! **A function always runs to its end.** It runs on the runtime on which [`run`](crate::run) was called. If its play
//! is cancelled, reaches its deadline or loses its connection, the play ends at once and the function continues as a
//! detached host call, unless it observes [`PlayContext::cancelled`]. Once a caller has [`MAX_DETACHED_CALLS`] detached
//! calls, a play that makes another call ends with −32006. The circle never executes a call twice. If a function
//! panics, the circle logs the panic, and the script gets an error without details.
//!
//! [`TestPlay`] makes calls for unit tests of functions.

mod call;
mod function_table;
mod handler;
mod instance;
mod module;
mod output;
pub(crate) mod signature;
mod tasks;
mod test_play;
mod transaction;

pub use call::{Call, PlayContext, PlayEnd};
pub use handler::Handler;
pub use module::Module;
pub use schemars::{self, JsonSchema};
pub use serde_json::Value;
pub use tasks::MAX_DETACHED_CALLS;
pub use test_play::TestPlay;
pub use transaction::Transactional;
pub use worker::{Arguments, Blob, CodedError, HostError as Error, Internal};

/// The result of a host function; see [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

pub(crate) use function_table::FunctionTable;
pub(crate) use instance::ModuleInstance;
pub(crate) use module::AnyModule;
pub(crate) use output::{HostPrint, PlayOutput};
