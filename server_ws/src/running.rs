//! A circle that serves, whoever accepts its connections.

use std::{
    io,
    net::IpAddr,
    sync::{Arc, OnceLock, atomic::Ordering},
    time::Duration,
};

use http::HeaderMap;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
};
use tokio_util::task::LocalPoolHandle;

use crate::{
    audit::PlayCaller,
    circle::{Circle, CirclePhase, spare_workers, startup_check},
    freed_memory,
    local_session::{LocalSession, LocalSessionError},
    transport::{
        mounted::{self, AcceptedConnection},
        rejection::Rejection,
    },
};

/// The time for sessions to close their connections once their plays have finished.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// The maximum number of threads that serve connections.
pub(crate) const MAX_THREADS: usize = 4;

/// A circle that serves the connections that a program hands to it. Clones share the circle.
///
/// [`run`](crate::run) is enough for a circle with a listener of its own. This type is for programs that accept
/// connections themselves: behind a path of an existing server, on a Unix socket, or within the program.
///
/// When its last clone is dropped, the circle closes all connections; [`drain`](Self::drain) lets running plays end before.
#[derive(Debug, Clone)]
pub struct RunningCircle(Arc<CircleUpkeep>);

/// A circle with what ends together with its last [`RunningCircle`].
#[derive(Debug)]
struct CircleUpkeep {
    circle: Arc<Circle>,
    /// The threads of connections, started at the first connection.
    threads: OnceLock<LocalPoolHandle>,
    /// The tasks that end with the circle.
    _upkeep: JoinSet<()>,
}

impl Drop for CircleUpkeep {
    fn drop(&mut self) {
        self.circle.enter_phase(CirclePhase::Ending);
    }
}

/// Starts a circle without a listener. Runs the startup check first, as [`run`](crate::run) does.
///
/// Needs a tokio runtime with I/O and time enabled. Host functions run on it. A circle starts only once.
///
/// # Errors
///
/// - [`InvalidInput`](io::ErrorKind::InvalidInput): the circle has been started before.
/// - An error of [`check`](crate::check).
pub async fn start(circle: impl Into<Arc<Circle>>) -> io::Result<RunningCircle> {
    let circle = circle.into();
    if circle.has_started.swap(true, Ordering::Relaxed) {
        let message = format!("the circle '{}' has been started before: build another one", circle.name);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut start = StartGuard { circle: circle.clone(), is_done: false };
    startup_check::check(&circle).await?;
    start.is_done = true;
    circle.host.tasks.run_on(tokio::runtime::Handle::current());
    let mut upkeep = JoinSet::new();
    upkeep.spawn(freed_memory::return_periodically(circle.clone()));
    upkeep.spawn(spare_workers::keep(circle.clone()));
    Ok(RunningCircle(Arc::new(CircleUpkeep { circle, threads: OnceLock::new(), _upkeep: upkeep })))
}

/// Lets a circle start again whose start has failed, or was dropped.
struct StartGuard {
    circle: Arc<Circle>,
    is_done: bool,
}

impl Drop for StartGuard {
    fn drop(&mut self) {
        if !self.is_done {
            self.circle.has_started.store(false, Ordering::Relaxed);
        }
    }
}

impl RunningCircle {
    /// Returns the circle, for example to [reconfigure](Circle::reconfigure) it.
    pub fn circle(&self) -> &Arc<Circle> {
        &self.0.circle
    }

    /// Serves a WebSocket whose upgrade is done, until it ends. `peer` is the address of the other end, and
    /// `headers` are those of the upgrade request; [`accept`](Self::accept) says which of them matter.
    ///
    /// A client that the circle refuses gets the close code 1008 with the reason. If the future is dropped, the connection
    /// closes.
    pub async fn serve<S>(&self, stream: S, peer: IpAddr, headers: &HeaderMap)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        match self.accept(peer, headers).await {
            Ok(accepted) => accepted.serve(stream).await,
            Err(rejection) => mounted::close_refused(stream, &rejection).await,
        }
    }

    /// Decides on a connection before its upgrade, and takes a place for it. The place is free again when the returned
    /// connection is dropped.
    ///
    /// - `Host` has to be one of [`hosts`](crate::CircleBuilder::hosts): without a listener, a circle has no authority of
    ///   its own.
    /// - `Origin` has to be that of the host, or one of [`origins`](crate::CircleBuilder::origins). Every page under the
    ///   host counts as the circle's own.
    /// - `X-Forwarded-For` counts if `peer` is one of [`trusted_proxies`](crate::CircleBuilder::trusted_proxies). For a
    ///   Unix socket, `peer` is [`Ipv4Addr::LOCALHOST`](std::net::Ipv4Addr::LOCALHOST).
    ///
    /// # Errors
    ///
    /// The circle refuses the connection: the rejection has the HTTP status and the reason.
    pub async fn accept(&self, peer: IpAddr, headers: &HeaderMap) -> Result<AcceptedConnection, Rejection> {
        mounted::accept(self, peer, headers).await
    }

    /// Serves HTTP on a stream that the program has accepted: from a Unix socket, or with a TLS of its own. The client can
    /// upgrade to a WebSocket, and gets all that a circle with a listener serves, such as the web console. `Host` has to be
    /// one of [`hosts`](crate::CircleBuilder::hosts).
    ///
    /// The connection runs in threads of the circle. The circle closes the stream if it has no room for it.
    pub fn serve_http<S>(&self, stream: S, peer: IpAddr)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        mounted::serve_http(self, stream, peer);
    }

    /// Begins a session within the program, as this caller, without a key or a signature. The limits of the circle apply to
    /// it as to others. This also serves to test host functions.
    ///
    /// # Errors
    ///
    /// The circle has no room for a session, is shutting down, or does not admit the caller.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    pub fn session(&self, caller: PlayCaller) -> Result<LocalSession, LocalSessionError> {
        LocalSession::begin(&self.0.circle, caller)
    }

    /// Shuts the circle down: it refuses new connections and plays, gives running plays the
    /// [grace period](crate::CircleBuilder::grace_period), and closes every connection with 1001. Waits until all
    /// connections have ended, and host functions have returned.
    pub async fn drain(&self) {
        self.close_sessions().await;
        self.wait_for_host_functions().await;
    }

    pub(crate) async fn close_sessions(&self) {
        let circle = &self.0.circle;
        tracing::info!(circle = circle.name, "draining");
        circle.enter_phase(CirclePhase::Draining);
        if tokio::time::timeout(circle.grace, circle.wait_for_sessions()).await.is_err() {
            circle.enter_phase(CirclePhase::Ending);
            if tokio::time::timeout(CLOSE_TIMEOUT, circle.wait_for_sessions()).await.is_err() {
                tracing::warn!("connections are still open after the close timeout");
            }
        }
        // What is left waits for a client that does not read.
        circle.admission.connections.close_all();
    }

    pub(crate) async fn wait_for_host_functions(&self) {
        if !self.0.circle.host.tasks.wait_for_all(CLOSE_TIMEOUT).await {
            tracing::warn!("host functions are still running at shutdown");
        }
    }

    /// The threads of connections. Actors stay on their thread.
    pub(crate) fn threads(&self) -> &LocalPoolHandle {
        self.0.threads.get_or_init(|| LocalPoolHandle::new(thread_count()))
    }
}

/// Returns the number of threads that serve connections.
pub(crate) fn thread_count() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(MAX_THREADS))
}
