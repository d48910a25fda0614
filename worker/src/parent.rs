//! The server's side: what runs in the program that holds workers, and trusts none of them.
//!
//! It knows nothing of the worker's side ([`child`](crate::child)) but the messages that pass between them, and evaluates
//! nothing.

mod fork_server;
mod host_names;
mod loss;
mod message_bounds;
mod pipe;
mod process;
mod program;
mod sockets;
mod worker_handle;

pub use fork_server::ForkServer;
pub use host_names::HostNameError;
pub use loss::Loss;
pub(crate) use message_bounds::MessageBounds;
pub(crate) use process::{Process, ProcessOwner};
pub use program::Program;
pub(crate) use sockets::{Sockets, socket_pairs};
pub use worker_handle::{Worker, WorkerEvent};
