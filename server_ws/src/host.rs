//! Host functions: what a script may ask of the program that serves its circle, and the only way in which it can do
//! anything but compute.
//!
//! A [`Module`] is a set of async functions. A script calls them like those of any module, `stock::reserve("tea", 2)`, and
//! waits. Who calls is told by [`Play::caller`], from the session's own proof and from nothing that a script or a worker
//! says; so what a key may do is decided in the function.
//!
//! ```
//! use server_ws::host;
//!
//! let stock = host::Module::new("stock").function(
//!     "reserve",
//!     ["item", "count"],
//!     "Sets some of an item aside for the caller, and says how many are left.",
//!     |call: host::Call, (item, count): (String, u32)| async move {
//!         let Some(key) = call.caller() else { return Err("prove a key first".into()) };
//!         println!("{key} wants {count} of {item}");
//!         Ok(7)
//!     },
//! );
//! # drop(stock);
//! ```
//!
//! **Arguments** are read with serde from the JSON of the script's values, a tuple of up to eight; what does not fit is
//! an error that names the parameter. **Results** are anything that serializes, up to `host_kib`. **Errors** are
//! [`Error`]s: the script can catch them as maps with `error` (`"HostError"`), `function`, `message` and, where it has some,
//! `data`; uncaught they end the play with −32000 at the line of the call.
//!
//! **A function is never dropped half-way.** It runs on the runtime on which [`run`](crate::run) was called. When its play
//! is cancelled, meets its deadline or loses its connection, the play ends at once and the function runs on to its end,
//! unless it looks at [`Play::cancelled`]. Once a caller has left [`MAX_LEFT_BEHIND`] running so, a play that calls one more
//! ends with −32006. A call is never carried out twice. If it panics, that is logged, and the script sees an error that says
//! no more than that it failed.
//!
//! **A module may keep something for the length of a play** ([`Module::for_each_play`]), and hears how the play ended before
//! anyone else does.

mod arguments;
mod call;
mod error;
mod function_table;
mod module;
mod tasks;

pub use arguments::Arguments;
pub use call::{Call, PlayContext, PlayEnd};
pub use error::Error;
pub use module::Module;
pub use tasks::MAX_DETACHED_CALLS;

pub(crate) use call::EndHookError;
pub(crate) use function_table::FunctionTable;
pub(crate) use module::{AnyModule, ModuleInstance};
