//! The server side: the code of the program that owns workers and validates their messages.
//!
//! It depends on the worker side ([`child`](crate::child)) only through the messages between them, and evaluates no
//! scripts.

mod fork_server;
mod frame_channel;
mod host_names;
mod loss;
mod message_bounds;
mod module_files;
mod process;
mod program;
mod relayed_worker;
mod remote;
mod spare_worker;
mod usage;
mod worker_handle;

pub use fork_server::ForkServer;
pub use host_names::HostNameError;
pub use loss::Loss;
pub(crate) use message_bounds::MessageBounds;
pub use module_files::module_names;
pub(crate) use process::{Process, ProcessOwner};
pub use program::Program;
pub use relayed_worker::{RelayedChannel, RelayedProcess, RelayedWorker};
pub use remote::{RemoteCommands, RemotePeer, WorkerChannel};
pub use spare_worker::SpareWorker;
pub use usage::{Usage, UsageSample};
pub use worker_handle::{Worker, WorkerEvent};
