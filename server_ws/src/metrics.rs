//! What a circle counts of itself, for `GET /metrics` and for the program that serves it. What happens is counted where it
//! happens; how things are is read from the circle's books when somebody asks.

mod labels;
mod series;
mod snapshot;

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use protocol::{RpcError, error::LossReason};

use crate::quota::{FairSemaphore, MemoryQuota, kernel};
use labels::{Holder, Identity, Proof, Refusal};
pub(crate) use labels::{HostCallEnd, Outcome, SandboxLayer, TurnedAway, Word};
use series::{Series, set};
pub use snapshot::Figures;

/// Times of plays that are noted before they are sorted: each takes 16 bytes until then.
const NOTES: u64 = 1024;

/// The counts of one circle.
pub(crate) struct Metrics {
    series: Series,
    memory: MemoryQuota,
    running_plays: FairSemaphore,
    sandbox: OnceLock<Vec<SandboxLayer>>,
    connections: AtomicU64,
    /// Of the connections, those whose session has proved a key.
    proved: AtomicU64,
    /// Plays that were sent and have not ended.
    open_plays: AtomicU64,
    ended_plays: AtomicU64,
    noted: AtomicU64,
}

impl Metrics {
    /// `memory` and `running_plays` are the circle's.
    pub(crate) fn new(circle: &str, memory: MemoryQuota, running_plays: FairSemaphore) -> Self {
        Self {
            series: Series::register(circle),
            memory,
            running_plays,
            sandbox: OnceLock::new(),
            connections: AtomicU64::new(0),
            proved: AtomicU64::new(0),
            open_plays: AtomicU64::new(0),
            ended_plays: AtomicU64::new(0),
            noted: AtomicU64::new(0),
        }
    }

    /// It is known what keeps scripts where they are.
    pub(crate) fn sandbox_known(&self, layers: Vec<SandboxLayer>) {
        self.sandbox.get_or_init(|| layers);
    }

    pub(crate) fn turned_away(&self, why: TurnedAway) {
        self.series.turned_away.count(why);
    }

    pub(crate) fn authentication(&self, error: Option<&RpcError>) {
        self.series.authentications.count(Proof::of(error));
    }

    pub(crate) fn environment_lost(&self, reason: LossReason) {
        self.series.environments_lost.count(reason.into());
    }

    pub(crate) fn host_call(&self, end: HostCallEnd) {
        self.series.host_calls.count(end);
    }

    fn play_took(&self, since: Instant) {
        self.series.play_seconds.record(since.elapsed());
        if self.noted.fetch_add(1, Relaxed) % NOTES == NOTES - 1 {
            self.series.sort_notes();
        }
    }

    fn figures(&self) -> Figures {
        let (totals, running) = (self.memory.totals(), self.running_plays.held());
        Figures {
            connections: self.connections.load(Relaxed),
            workers: totals.workers,
            plays: self.ended_plays.load(Relaxed),
            running_plays: running,
            queued_plays: self.open_plays.load(Relaxed).saturating_sub(running),
            worker_bytes: totals.bytes,
            server_bytes: kernel::memory_of(std::process::id()).unwrap_or_default(),
            sandbox: self.sandbox.get().into_iter().flatten().map(|layer| layer.name()).collect(),
        }
    }

    /// All of it as Prometheus reads it.
    pub(crate) fn prometheus(&self) -> String {
        let (figures, series) = (self.figures(), &self.series);
        set(&series.connections, figures.connections);
        let proved = self.proved.load(Relaxed).min(figures.connections);
        series.sessions.set(Identity::Key, proved);
        series.sessions.set(Identity::Anonymous, figures.connections - proved);
        set(&series.workers, figures.workers);
        set(&series.running_plays, figures.running_plays);
        set(&series.queued_plays, figures.queued_plays);
        series.memory.set(Holder::Server, figures.server_bytes);
        series.memory.set(Holder::Workers, figures.worker_bytes);
        let layers = self.sandbox.get();
        for layer in SandboxLayer::ALL {
            series.sandbox.set(*layer, layers.is_some_and(|layers| layers.contains(layer)).into());
        }
        series.render()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Sees how a circle is, also once it runs.
#[derive(Debug, Clone)]
pub struct Observer(pub(crate) Arc<Metrics>);

impl Observer {
    /// How it is now. It reads a file of the kernel's, and otherwise waits for nothing.
    pub fn figures(&self) -> Figures {
        self.0.figures()
    }

    /// What `GET /metrics` answers: the text format of Prometheus, version 0.0.4.
    pub fn prometheus(&self) -> String {
        self.0.prometheus()
    }
}

/// What one session adds to the counts. When it is dropped its connection is gone, and so are its plays that have not ended.
#[derive(Debug)]
pub(crate) struct SessionCounts {
    metrics: Arc<Metrics>,
    has_proved: bool,
    open_plays: u64,
}

impl SessionCounts {
    pub(crate) fn connected(metrics: Arc<Metrics>) -> Self {
        metrics.connections.fetch_add(1, Relaxed);
        Self { metrics, has_proved: false, open_plays: 0 }
    }

    /// It has proved a key.
    pub(crate) fn proved(&mut self) {
        if !std::mem::replace(&mut self.has_proved, true) {
            self.metrics.proved.fetch_add(1, Relaxed);
        }
    }

    /// A play was admitted, and will finish in one way or another.
    pub(crate) fn admit_play(&mut self) {
        self.open_plays += 1;
        self.metrics.open_plays.fetch_add(1, Relaxed);
    }

    /// A play was rejected when it arrived, so it finishes at once.
    pub(crate) fn reject_play(&mut self, error: &RpcError) {
        self.admit_play();
        self.finish_play(Outcome::of(Err(error)));
    }

    pub(crate) fn finish_play(&mut self, outcome: Outcome) {
        self.open_plays -= 1;
        self.metrics.open_plays.fetch_sub(1, Relaxed);
        self.metrics.ended_plays.fetch_add(1, Relaxed);
        self.metrics.series.plays.count(outcome);
    }

    /// A notification was rejected; its sender gets no response.
    pub(crate) fn reject_notification(&self, error: &RpcError) {
        if let Some(refusal) = Refusal::of(error) {
            self.metrics.series.notifications_refused.count(refusal);
        }
    }
}

impl Drop for SessionCounts {
    fn drop(&mut self) {
        while self.open_plays > 0 {
            self.finish_play(Outcome::Disconnected);
        }
        self.metrics.connections.fetch_sub(1, Relaxed);
        if self.has_proved {
            self.metrics.proved.fetch_sub(1, Relaxed);
        }
    }
}

/// Notes how long a play takes, from its turn until this is dropped.
#[derive(Debug)]
pub(crate) struct PlayTimer {
    metrics: Arc<Metrics>,
    since: Option<Instant>,
}

impl PlayTimer {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, since: None }
    }

    /// The play has its grant.
    pub(crate) fn start(&mut self, now: Instant) {
        self.since = Some(now);
    }
}

impl Drop for PlayTimer {
    fn drop(&mut self) {
        if let Some(since) = self.since {
            self.metrics.play_took(since);
        }
    }
}

#[cfg(test)]
mod tests;
