//! The series of a circle: their names, their help texts and their recorder.

use std::marker::PhantomData;

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

#[cfg(feature = "nats")]
use super::machines::MachineSeries;
use super::{
    events::EventSeries,
    labels::{MemoryHolder, MetricLabel, SandboxLayer, SessionIdentity},
    store::StoreSeries,
};

const PLAY_SECONDS: &str = "circles_play_seconds";

/// The buckets range from a one-line play to a play that uses all of its time limit.
const PLAY_BUCKETS: [f64; 18] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// A family of counters that differ in one label.
pub(super) struct Counters<L> {
    counters: Vec<Counter>,
    labels: PhantomData<L>,
}

impl<L: MetricLabel> Counters<L> {
    pub(super) fn register(name: &'static str, key: &'static str, help: &'static str) -> Self {
        describe_counter!(name, help);
        Self {
            counters: L::ALL.iter().map(|label| counter!(name, key => label.value())).collect(),
            labels: PhantomData,
        }
    }

    pub(super) fn count(&self, label: L) {
        self.add(label, 1);
    }

    pub(super) fn add(&self, label: L, count: u64) {
        self.counters[label.index()].increment(count);
    }

    /// Sets a count that is kept elsewhere.
    pub(super) fn set(&self, label: L, value: u64) {
        self.counters[label.index()].absolute(value);
    }
}

/// A family of gauges that differ in one label.
pub(super) struct Gauges<L> {
    gauges: Vec<Gauge>,
    labels: PhantomData<L>,
}

impl<L: MetricLabel> Gauges<L> {
    pub(super) fn register(name: &'static str, key: &'static str, help: &'static str) -> Self {
        describe_gauge!(name, help);
        Self { gauges: L::ALL.iter().map(|label| gauge!(name, key => label.value())).collect(), labels: PhantomData }
    }

    pub(super) fn set(&self, label: L, value: u64) {
        set(&self.gauges[label.index()], value);
    }
}

#[expect(clippy::cast_precision_loss, reason = "the format has no other numbers")]
pub(super) fn set(gauge: &Gauge, value: u64) {
    gauge.set(value as f64);
}

/// All series, registered once, so that counting needs no lookup and no allocation.
pub(super) struct MetricSeries {
    pub(super) events: EventSeries,
    pub(super) play_seconds: Histogram,
    pub(super) connections: Gauge,
    pub(super) sessions: Gauges<SessionIdentity>,
    pub(super) workers: Gauge,
    pub(super) running_plays: Gauge,
    pub(super) queued_plays: Gauge,
    pub(super) memory: Gauges<MemoryHolder>,
    pub(super) sandbox: Gauges<SandboxLayer>,
    /// Absent without a store.
    pub(super) store: Option<StoreSeries>,
    /// Absent without workers on other machines.
    #[cfg(feature = "nats")]
    pub(super) machines: Option<MachineSeries>,
    exporter: PrometheusHandle,
}

impl MetricSeries {
    /// Registers the series in a recorder of their own, because a program may have several circles and a recorder of
    /// its own.
    pub(super) fn register(circle: &str, has_store: bool, has_pool: bool) -> Self {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(PLAY_SECONDS.into()), &PLAY_BUCKETS)
            .expect("there are buckets")
            .build_recorder();
        let exporter = recorder.handle();
        metrics::with_local_recorder(&recorder, || Self::register_in(circle, has_store, has_pool, exporter))
    }

    #[cfg_attr(not(feature = "nats"), expect(unused_variables, reason = "without NATS, no circle has a pool"))]
    fn register_in(circle: &str, has_store: bool, has_pool: bool, exporter: PrometheusHandle) -> Self {
        describe_gauge!("circles_info", "The name of the circle and the version of its server; always 1.");
        gauge!("circles_info", "circle" => circle.to_owned(), "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        let gauge = |name: &'static str, help: &'static str| {
            describe_gauge!(name, help);
            gauge!(name)
        };
        Self {
            events: EventSeries::register(),
            play_seconds: {
                let help = "Duration of plays in seconds, not counting the time spent queued.";
                describe_histogram!(PLAY_SECONDS, Unit::Seconds, help);
                histogram!(PLAY_SECONDS)
            },
            connections: gauge("circles_connections", "WebSocket connections, including those being closed."),
            sessions: Gauges::register(
                "circles_sessions",
                "identity",
                "Sessions by identity: authenticated with a key, or anonymous.",
            ),
            workers: gauge("circles_workers", "Sessions that hold a worker or wait for one to start."),
            running_plays: gauge("circles_running_plays", "Running plays."),
            queued_plays: gauge(
                "circles_queued_plays",
                "Plays that wait for an earlier play of their session or for a grant to run.",
            ),
            memory: Gauges::register(
                "circles_memory_bytes",
                "of",
                "Memory in bytes, of the server process, of workers (as total_mib counts it) and of connections (as connection_mib counts it).",
            ),
            sandbox: Gauges::register(
                "circles_sandbox_layer",
                "layer",
                "Layers of the sandbox: 1 if in effect, 0 if not.",
            ),
            store: has_store.then(StoreSeries::register),
            #[cfg(feature = "nats")]
            machines: has_pool.then(MachineSeries::register),
            exporter,
        }
    }

    /// Renders the series in Prometheus' text format, version 0.0.4.
    pub(super) fn render(&self) -> String {
        self.exporter.render()
    }

    /// Sorts the recorded times into the buckets of the histogram. Until then, each record takes memory of its own.
    pub(super) fn run_upkeep(&self) {
        self.exporter.run_upkeep();
    }
}
