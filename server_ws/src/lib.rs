//! One circle as a library: a Rhai environment for each connection, reached over a WebSocket with JSON-RPC 2.0 and
//! guarded by secp256k1 keys.
//!
//! # Examples
//!
//! ```no_run
//! use server_ws::{Circle, run};
//!
//! // Must come first in `main`: the workers that run scripts are processes of this same executable.
//! worker::run_if_worker();
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let circle = Circle::builder("sandbox").build()?;
//! let listener = std::net::TcpListener::bind("127.0.0.1:9001")?;
//! run(listener, circle, std::future::pending()).await?;
//! # Ok(()) }
//! ```
//!
//! The caller provides the listener and the shutdown future, so a test can bind port 0 and stop the circle cleanly.

#![warn(clippy::missing_errors_doc)]

// From the top down: transport, rpc, session, circle, audit, host and metrics, quota; auth and conversion import none
// of the others. A module never imports one above it.
mod admission_hook;
mod audit;
mod auth;
mod blobs;
mod calls;
mod circle;
mod circle_functions;
mod circle_store;
mod conversion;
mod freed_memory;
pub mod host;
mod local_session;
mod log_limit;
mod metrics;
pub mod mount;
#[cfg(not(feature = "tls"))]
mod no_tls;
mod quota;
mod rights;
mod rpc;
mod running;
mod session;
pub mod stored_value;
mod subscriptions;
#[cfg(feature = "tls")]
mod tls;
mod transport;

use std::{
    io,
    net::TcpListener,
    sync::{Arc, atomic::Ordering},
};

pub use admission_hook::ConnectionRequest;
pub use audit::{PlayCaller, PlayRecord};
#[cfg(feature = "nats")]
pub use circle::RemoteWorkers;
pub use circle::{
    Circle, Sandbox,
    build_error::BuildError,
    builder::{CircleBuilder, Workers},
    reconfigure::ReconfigureError,
    startup_check::InitScriptError,
};
pub use circle_functions::{FunctionFault, FunctionsError};
#[cfg(feature = "faults")]
#[doc(hidden)]
pub use circle_store::SkippedCheck;
pub use circle_store::StoreLocation;
pub use functions::roles::{AccessDefinition, MemberDefinition, RoleDefinition};
pub use keys::{Authority, KeyPair, PublicKey};
pub use local_session::{LocalPlay, LocalPlayResult, LocalSession, LocalSessionError};
pub use metrics::{CircleSnapshot, CommitSnapshot, Observer, StoreSnapshot};
#[cfg(not(feature = "tls"))]
use no_tls as tls;
pub use protocol::{
    Limits, RpcError,
    error::ScriptError,
    methods::{Access, CompleteResult, FunctionDoc, PlayResult, ScopeResult},
};
pub use rights::CALLER_GROUPS;
pub use running::{RunningCircle, start};
#[cfg(feature = "tls")]
pub use tls::{TlsCertificate, TlsCertificateError};
use transport::{loopback::Listeners, server};
pub use transport::{mounted::AcceptedConnection, rejection::Rejection};
pub use worker::HostNameError;

/// Runs the circle's init script in a worker, without serving anyone.
///
/// # Errors
///
/// A worker does not start, the required sandbox is not available ([`Unsupported`](io::ErrorKind::Unsupported)), or the
/// init script fails ([`InvalidData`](io::ErrorKind::InvalidData)). If the script itself fails, the error contains an
/// [`InitScriptError`] with the position.
pub async fn check(circle: &Circle) -> io::Result<()> {
    circle::startup_check::check(circle).await
}

/// Serves the circle until `shutdown` completes, then drains it: the circle refuses new connections and plays, gives
/// running plays the [grace period](CircleBuilder::grace_period), and closes every connection with 1001. Dropping the
/// future stops the circle and its workers at once.
///
/// A circle on 127.0.0.1 also listens on `::1`, and vice versa, so that every client that dials `localhost` reaches it.
/// If another program listens on the other address, the circle does not answer to `localhost`.
///
/// Needs a tokio runtime with I/O and time enabled. A circle in an `Arc` can be [reconfigured](Circle::reconfigure)
/// while it runs.
///
/// # Errors
///
/// - [`InvalidInput`](io::ErrorKind::InvalidInput): the listener is not on loopback, and either the circle is open without
///   [`allow_open`](CircleBuilder::allow_open), or [`sandbox`](CircleBuilder::sandbox) was not set.
/// - An error of [`start`], which runs first.
/// - An error of the listener or of the HTTP server.
pub async fn run(
    listener: TcpListener,
    circle: impl Into<Arc<Circle>>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let circle = circle.into();
    let address = listener.local_addr()?;
    circle.check_address(address.ip())?;
    let listeners = Listeners::new(listener)?;
    circle.has_localhost.store(listeners.has_localhost, Ordering::Relaxed);
    tokio::pin!(shutdown);
    let running = tokio::select! {
        running = start(circle.clone()) => running?,
        () = &mut shutdown => return Ok(()),
    };
    circle.describe_store_holder(address);
    let server = server::start(&circle, listeners.sockets)?;
    let handle = server.handle();
    tokio::pin!(server);
    tokio::select! {
        ended = &mut server => return ended,
        () = &mut shutdown => {}
    }
    tokio::select! {
        ended = &mut server => return ended,
        () = running.close_sessions() => {}
    }
    let stop = handle.stop(false);
    let (ended, ()) = tokio::join!(server, stop);
    running.wait_for_host_functions().await;
    ended
}
