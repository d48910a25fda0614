//! The worker side: the code of the processes that evaluate scripts and of the fork server.
//!
//! ```text
//! a fresh worker    fresh_worker ──────────────────────────────────┐
//! a fork server     fork_server ─ fork_loop ─┐                     ├─ serve: environment, channels, sandbox
//! a forked worker                            └─ forked_worker ─────┘
//! ```
//!
//! It depends on the server side ([`parent`](crate::parent)) only through the messages between them.

mod constants;
mod environment;
#[cfg(target_os = "linux")]
mod fork_loop;
#[cfg(target_os = "linux")]
mod fork_server;
#[cfg(target_os = "linux")]
mod forked_worker;
mod fresh_worker;
mod sandbox;
mod serve;
mod startup;
mod work_pipes;

#[cfg(test)]
pub(crate) use environment::Environment;
#[cfg(target_os = "linux")]
pub(crate) use fork_server::run as run_fork_server;
pub(crate) use fresh_worker::run as run_worker;
pub(crate) use serve::{SharedState, serve_control, serve_work};
pub(crate) use startup::STACK;
pub(crate) use work_pipes::{ServerConnection, WorkPipes};

/// Fails on other systems, which have no fork server.
#[cfg(not(target_os = "linux"))]
pub(crate) fn run_fork_server() -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
