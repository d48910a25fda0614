//! The metrics of a circle, for `GET /metrics` and for the program that serves the circle. Events are counted when they
//! happen; state is read from the circle's quotas at each request.

mod events;
#[cfg_attr(
    not(any(feature = "metrics", test)),
    expect(dead_code, reason = "the set of labels does not depend on features")
)]
mod labels;
#[cfg(all(feature = "metrics", feature = "nats"))]
mod machines;
#[cfg(not(feature = "metrics"))]
mod no_series;
#[cfg(feature = "metrics")]
mod series;
mod snapshot;
#[cfg(feature = "metrics")]
mod store;

use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use protocol::{RpcError, error::LossReason};

#[cfg(not(feature = "nats"))]
pub(crate) use std::convert::Infallible as PoolObserver;
#[cfg(feature = "nats")]
pub(crate) use worker_nats::server::HubObserver as PoolObserver;

use crate::{
    circle_store::StoreObserver,
    quota::{Connections, FairSemaphore, MemoryQuota},
};
#[cfg(feature = "metrics")]
use labels::MemoryHolder;
use labels::{AuthenticationOutcome, ConnectionCloseReason, NotificationRejectReason, SessionIdentity};
pub(crate) use labels::{ConnectionRejectReason, HostCallOutcome, MetricLabel, PlayOutcome, SandboxLayer};
#[cfg(not(feature = "metrics"))]
use no_series::MetricSeries;
#[cfg(feature = "metrics")]
use series::{MetricSeries, set};
pub use snapshot::{CircleSnapshot, CommitSnapshot, StoreSnapshot};

/// The number of recorded play times between two upkeeps of the histogram. Each takes 16 bytes until then.
const RECORDS_PER_UPKEEP: u64 = 1024;

/// The metrics of one circle.
pub(crate) struct Metrics {
    series: MetricSeries,
    memory: MemoryQuota,
    /// The sockets of the circle. `connections` counts a socket only once it has a session.
    #[cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "a snapshot does not count sockets"))]
    sockets: Connections,
    running_plays: FairSemaphore,
    store: Option<StoreObserver>,
    #[cfg_attr(not(feature = "nats"), expect(dead_code, reason = "without NATS, no circle has a pool"))]
    pool: Option<PoolObserver>,
    sandbox: RwLock<Option<Vec<SandboxLayer>>>,
    connections: AtomicU64,
    /// The connections whose session is authenticated.
    authenticated: AtomicU64,
    /// Plays that were admitted and have not finished.
    open_plays: AtomicU64,
    finished_plays: AtomicU64,
    recorded: AtomicU64,
}

impl Metrics {
    /// Registers the metrics of a circle, which read these quotas, the store and the worker pool of the circle.
    pub(crate) fn new(
        circle: &str,
        memory: MemoryQuota,
        sockets: Connections,
        running_plays: FairSemaphore,
        store: Option<StoreObserver>,
        pool: Option<PoolObserver>,
    ) -> Self {
        Self {
            series: MetricSeries::register(circle, store.is_some(), pool.is_some()),
            memory,
            sockets,
            running_plays,
            store,
            pool,
            sandbox: RwLock::default(),
            connections: AtomicU64::new(0),
            authenticated: AtomicU64::new(0),
            open_plays: AtomicU64::new(0),
            finished_plays: AtomicU64::new(0),
            recorded: AtomicU64::new(0),
        }
    }

    /// Sets the layers of the sandbox, which the startup check or the last worker on another machine has.
    pub(crate) fn set_sandbox(&self, layers: Vec<SandboxLayer>) {
        *self.sandbox.write().unwrap_or_else(PoisonError::into_inner) = Some(layers);
    }

    /// Returns the layers of the sandbox in effect; `None` before the startup check.
    pub(crate) fn sandbox(&self) -> Option<Vec<SandboxLayer>> {
        self.sandbox.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn count_rejection(&self, reason: ConnectionRejectReason) {
        self.series.events.rejected_connections.count(reason);
    }

    /// Counts a connection that did not authenticate in time.
    pub(crate) fn count_login_timeout(&self) {
        self.series.events.closed_connections.count(ConnectionCloseReason::Login);
    }

    pub(crate) fn count_authentication(&self, error: Option<&RpcError>) {
        self.series.events.authentications.count(AuthenticationOutcome::of(error));
    }

    pub(crate) fn count_environment_loss(&self, reason: LossReason) {
        self.series.events.environments_lost.count(reason.into());
    }

    /// Counts a finished call of a function of the circle.
    pub(crate) fn count_call(&self, outcome: PlayOutcome) {
        self.series.events.calls.count(outcome);
    }

    pub(crate) fn count_host_call(&self, outcome: HostCallOutcome) {
        self.series.events.host_calls.count(outcome);
    }

    fn record_play_time(&self, elapsed: Duration) {
        self.series.play_seconds.record(elapsed);
        if self.recorded.fetch_add(1, Relaxed) % RECORDS_PER_UPKEEP == RECORDS_PER_UPKEEP - 1 {
            self.series.run_upkeep();
        }
    }

    fn snapshot(&self) -> CircleSnapshot {
        let (totals, running) = (self.memory.totals(), self.running_plays.held());
        CircleSnapshot {
            connections: self.connections.load(Relaxed),
            workers: totals.workers,
            plays: self.finished_plays.load(Relaxed),
            running_plays: running,
            queued_plays: self.open_plays.load(Relaxed).saturating_sub(running),
            worker_bytes: totals.bytes,
            server_bytes: worker::process_memory(std::process::id()).unwrap_or_default(),
            sandbox: self.sandbox().into_iter().flatten().map(SandboxLayer::name).collect(),
            store: self.store.as_ref().and_then(StoreObserver::snapshot),
            #[cfg(feature = "nats")]
            worker_pool: self.pool.as_ref().map(PoolObserver::status),
        }
    }

    /// Renders all series in Prometheus' text format.
    #[cfg(feature = "metrics")]
    pub(crate) fn prometheus(&self) -> String {
        let (snapshot, series) = (self.snapshot(), &self.series);
        set(&series.connections, snapshot.connections);
        let authenticated = self.authenticated.load(Relaxed).min(snapshot.connections);
        series.sessions.set(SessionIdentity::Key, authenticated);
        series.sessions.set(SessionIdentity::Anonymous, snapshot.connections - authenticated);
        set(&series.workers, snapshot.workers);
        set(&series.running_plays, snapshot.running_plays);
        set(&series.queued_plays, snapshot.queued_plays);
        series.memory.set(MemoryHolder::Server, snapshot.server_bytes);
        series.memory.set(MemoryHolder::Workers, snapshot.worker_bytes);
        let sockets = self.sockets.totals();
        series.memory.set(MemoryHolder::Connections, sockets.bytes);
        series.events.closed_connections.set(ConnectionCloseReason::Room, sockets.closed_for_room);
        series.events.closed_connections.set(ConnectionCloseReason::Memory, sockets.closed_for_memory);
        series.events.closed_connections.set(ConnectionCloseReason::CallerMemory, sockets.callers_closed_for_memory);
        let layers = self.sandbox();
        for layer in SandboxLayer::ALL {
            series.sandbox.set(*layer, layers.as_ref().is_some_and(|layers| layers.contains(layer)).into());
        }
        if let (Some(series), Some(store)) = (&series.store, &snapshot.store) {
            series.set(store);
        }
        #[cfg(feature = "nats")]
        if let (Some(series), Some(status), Some(pool)) = (&series.machines, &snapshot.worker_pool, &self.pool) {
            series.set(status, pool.build());
            let mut page = self.series.render();
            page.push_str(&machines::render_delays(&status.delays));
            return page;
        }
        series.render()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// An observer of a circle, which stays valid while the circle runs.
#[derive(Debug, Clone)]
pub struct Observer(pub(crate) Arc<Metrics>);

impl Observer {
    /// Returns a snapshot of the circle. Reads one file of `/proc`, and does not block otherwise.
    pub fn snapshot(&self) -> CircleSnapshot {
        self.0.snapshot()
    }

    /// Renders the metrics as `GET /metrics` does: in the text format of Prometheus, version 0.0.4. Needs the feature
    /// `metrics`, which is on by default.
    #[cfg(feature = "metrics")]
    pub fn prometheus(&self) -> String {
        self.0.prometheus()
    }
}

/// The contribution of one session to the metrics. Dropping it means that the connection is gone, and with it the plays
/// that have not finished.
///
/// The counts of plays are reported together, because all threads share the counters of the circle.
#[derive(Debug)]
pub(crate) struct SessionCounts {
    metrics: Arc<Metrics>,
    is_authenticated: bool,
    open_plays: u64,
    /// The last reported number of open plays.
    reported_open: u64,
    /// The finished plays that are not reported yet. They have the same outcome.
    finished: Option<(PlayOutcome, u64)>,
}

impl SessionCounts {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        metrics.connections.fetch_add(1, Relaxed);
        Self { metrics, is_authenticated: false, open_plays: 0, reported_open: 0, finished: None }
    }

    /// Counts the session as authenticated.
    pub(crate) fn authenticate(&mut self) {
        if !std::mem::replace(&mut self.is_authenticated, true) {
            self.metrics.authenticated.fetch_add(1, Relaxed);
        }
    }

    /// Counts an admitted play, which will finish with some outcome.
    pub(crate) fn admit_play(&mut self) {
        self.open_plays += 1;
    }

    /// Counts a play that was rejected on arrival, and so finishes at once.
    pub(crate) fn reject_play(&mut self, error: &RpcError) {
        self.admit_play();
        self.finish_play(PlayOutcome::of(Err(error)));
    }

    pub(crate) fn finish_play(&mut self, outcome: PlayOutcome) {
        self.open_plays -= 1;
        match &mut self.finished {
            Some((same, plays)) if *same == outcome => *plays += 1,
            _ => {
                self.report_finished();
                self.finished = Some((outcome, 1));
            }
        }
    }

    /// Reports the counts of plays. This comes before the replies that a client could compare them with.
    pub(crate) fn report(&mut self) {
        self.report_finished();
        let (open, reported) = (self.open_plays, std::mem::replace(&mut self.reported_open, self.open_plays));
        if open > reported {
            self.metrics.open_plays.fetch_add(open - reported, Relaxed);
        } else if open < reported {
            self.metrics.open_plays.fetch_sub(reported - open, Relaxed);
        }
    }

    fn report_finished(&mut self) {
        if let Some((outcome, plays)) = self.finished.take() {
            self.metrics.finished_plays.fetch_add(plays, Relaxed);
            self.metrics.series.events.plays.add(outcome, plays);
        }
    }

    /// Counts a request that the rate limit of its caller rejected.
    pub(crate) fn count_rate_limited(&self) {
        let identity = if self.is_authenticated { SessionIdentity::Key } else { SessionIdentity::Anonymous };
        self.metrics.series.events.rate_limited.count(identity);
    }

    /// Counts a rejected notification, whose sender gets no response.
    pub(crate) fn reject_notification(&self, error: &RpcError) {
        if let Some(reason) = NotificationRejectReason::of(error) {
            self.metrics.series.events.rejected_notifications.count(reason);
        }
    }
}

impl Drop for SessionCounts {
    fn drop(&mut self) {
        while self.open_plays > 0 {
            self.finish_play(PlayOutcome::Disconnected);
        }
        self.report();
        self.metrics.connections.fetch_sub(1, Relaxed);
        if self.is_authenticated {
            self.metrics.authenticated.fetch_sub(1, Relaxed);
        }
    }
}

/// A timer of a play, which records the time from its grant until it is stopped or dropped.
#[derive(Debug)]
pub(crate) struct PlayTimer {
    metrics: Arc<Metrics>,
    since: Option<Instant>,
}

impl PlayTimer {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, since: None }
    }

    /// Starts the timer, when the play has its grant.
    pub(crate) fn start(&mut self, now: Instant) {
        self.since = Some(now);
    }

    /// Stops the timer, and records the time.
    pub(crate) fn stop(&mut self, now: Instant) {
        if let Some(since) = self.since.take() {
            self.metrics.record_play_time(now.saturating_duration_since(since));
        }
    }

    /// Resets the timer of a play that has not begun and has lost its grant.
    pub(crate) fn reset(&mut self) {
        self.since = None;
    }
}

impl Drop for PlayTimer {
    fn drop(&mut self) {
        if self.since.is_some() {
            self.stop(Instant::now());
        }
    }
}

#[cfg(all(test, feature = "metrics"))]
mod tests;
