//! One circle as a library: a Rhai environment for each connection, reached over a WebSocket with JSON-RPC 2.0 and
//! guarded by secp256k1 keys.
//!
//! ```no_run
//! use server_ws::{Circle, run};
//!
//! // First thing in `main`: scripts run in processes of their own, started from this same executable.
//! worker::run_if_worker();
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let circle = Circle::builder("sandbox").build()?;
//! let listener = std::net::TcpListener::bind("127.0.0.1:9001")?;
//! run(listener, circle, std::future::pending()).await?;
//! # Ok(()) }
//! ```
//!
//! The caller owns the listener and the shutdown, so a test binds port 0 and ends the circle cleanly.

// From the top down: transport, rpc, session, circle, audit, host and metrics, quota; auth and conversion import none of
// the others. No module imports one that stands above it.
mod audit;
mod auth;
mod circle;
mod conversion;
mod freed_memory;
pub mod host;
mod log_limit;
mod metrics;
mod quota;
mod rpc;
mod session;
mod transport;

use std::{
    io,
    net::TcpListener,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

pub use audit::{PlayCaller, PlayRecord};
use circle::CirclePhase;
pub use circle::{
    Circle, Sandbox,
    build_error::BuildError,
    builder::{CircleBuilder, Workers},
    reconfigure::ReconfigureError,
    startup_check::InitScriptError,
};
pub use metrics::{CircleSnapshot, Observer};
pub use protocol::{Limits, methods::Access};
use tokio::task::JoinSet;
use transport::{loopback::Listeners, server};

/// How long sessions may take to close their connections once their plays are over.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// Tries the circle's init script, without serving anyone. The error is [`InvalidData`](io::ErrorKind::InvalidData) where
/// it fails, and says how: an [`InitFailed`] is inside where it is the script's own error.
pub async fn check(circle: &Circle) -> io::Result<()> {
    circle::startup_check::check(circle).await
}

/// Serves the circle until `shutdown` is done, then drains it: no new connections and plays, running plays get the
/// circle's grace, every connection is closed with 1001.
///
/// A circle on 127.0.0.1 listens on `::1` as well, and the other way round, so that all who dial `localhost` reach it; where
/// another program has the other address, the circle does not answer to `localhost`.
///
/// It needs a tokio runtime with I/O and time enabled. The error is one of the listener,
/// [`InvalidInput`](io::ErrorKind::InvalidInput) where the listener is not on loopback and the circle is open, or has no
/// sandbox chosen, without the builder's consent, or [`InvalidData`](io::ErrorKind::InvalidData) where the circle's init
/// script fails. Dropping the future ends the
/// circle at once, its workers included.
///
/// Handed over in an `Arc`, a circle can be [reconfigured](Circle::reconfigure) while it runs.
pub async fn run(
    listener: TcpListener,
    circle: impl Into<Arc<Circle>>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let circle = circle.into();
    circle.check_address(listener.local_addr()?.ip())?;
    let listeners = Listeners::new(listener)?;
    circle.has_localhost.store(listeners.has_localhost, Ordering::Relaxed);
    tokio::pin!(shutdown);
    tokio::select! {
        checked = check(&circle) => checked?,
        () = &mut shutdown => return Ok(()),
    }
    circle.host.tasks.run_on(tokio::runtime::Handle::current());
    let server = server::start(&circle, listeners.sockets)?;
    // Dropped, and so ended, with this future.
    let mut upkeep = JoinSet::new();
    upkeep.spawn(freed_memory::return_periodically(circle.clone()));
    let handle = server.handle();
    tokio::pin!(server);
    tokio::select! {
        ended = &mut server => return ended,
        () = &mut shutdown => {}
    }

    tracing::info!(circle = circle.name, "draining");
    circle.phase.send_replace(CirclePhase::Draining);
    let drained = async {
        if tokio::time::timeout(circle.grace, circle.wait_for_sessions()).await.is_err() {
            circle.phase.send_replace(CirclePhase::Ending);
            if tokio::time::timeout(CLOSE_TIMEOUT, circle.wait_for_sessions()).await.is_err() {
                tracing::warn!("some connections did not say goodbye");
            }
        }
    };
    tokio::select! {
        ended = &mut server => return ended,
        () = drained => {}
    }
    let stop = handle.stop(false);
    let (ended, ()) = tokio::join!(server, stop);
    if !circle.host.tasks.wait_for_all(CLOSE_TIMEOUT).await {
        tracing::warn!("some host functions are still running");
    }
    ended
}
