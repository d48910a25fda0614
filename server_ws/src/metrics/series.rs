//! The series of a circle: their names, their help, and the recorder that they are registered in.

use std::marker::PhantomData;

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::labels::{
    AuthenticationOutcome, ConnectionCloseReason, ConnectionRejectReason, EnvironmentLoss, HostCallOutcome,
    MemoryHolder, MetricLabel, NotificationRejectReason, PlayOutcome, SandboxLayer, SessionIdentity,
};

const PLAY_SECONDS: &str = "circles_play_seconds";

/// From a play of one line to a play that takes all the time that it may take.
const PLAY_BUCKETS: [f64; 18] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Counters that differ in one label.
pub(super) struct Counters<L> {
    counters: Vec<Counter>,
    labels: PhantomData<L>,
}

impl<L: MetricLabel> Counters<L> {
    fn register(name: &'static str, key: &'static str, help: &'static str) -> Self {
        describe_counter!(name, help);
        Self {
            counters: L::ALL.iter().map(|label| counter!(name, key => label.value())).collect(),
            labels: PhantomData,
        }
    }

    pub(super) fn count(&self, label: L) {
        self.counters[label.index()].increment(1);
    }

    /// Sets the count of something that is counted elsewhere.
    pub(super) fn set(&self, label: L, value: u64) {
        self.counters[label.index()].absolute(value);
    }
}

/// Gauges that differ in one label.
pub(super) struct Gauges<L> {
    gauges: Vec<Gauge>,
    labels: PhantomData<L>,
}

impl<L: MetricLabel> Gauges<L> {
    fn register(name: &'static str, key: &'static str, help: &'static str) -> Self {
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

/// All series, registered once, so that counting looks nothing up and allocates nothing.
pub(super) struct MetricSeries {
    pub(super) plays: Counters<PlayOutcome>,
    pub(super) play_seconds: Histogram,
    pub(super) authentications: Counters<AuthenticationOutcome>,
    pub(super) rejected_notifications: Counters<NotificationRejectReason>,
    pub(super) rejected_connections: Counters<ConnectionRejectReason>,
    pub(super) rate_limited: Counters<SessionIdentity>,
    pub(super) closed_connections: Counters<ConnectionCloseReason>,
    pub(super) environments_lost: Counters<EnvironmentLoss>,
    pub(super) host_calls: Counters<HostCallOutcome>,
    pub(super) connections: Gauge,
    pub(super) sessions: Gauges<SessionIdentity>,
    pub(super) workers: Gauge,
    pub(super) running_plays: Gauge,
    pub(super) queued_plays: Gauge,
    pub(super) memory: Gauges<MemoryHolder>,
    pub(super) sandbox: Gauges<SandboxLayer>,
    exporter: PrometheusHandle,
}

impl MetricSeries {
    /// Registers the series in a recorder of their own, because a program may have several circles and a recorder for
    /// itself.
    pub(super) fn register(circle: &str) -> Self {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(PLAY_SECONDS.into()), &PLAY_BUCKETS)
            .expect("there are buckets")
            .build_recorder();
        let exporter = recorder.handle();
        metrics::with_local_recorder(&recorder, || Self::register_in(circle, exporter))
    }

    fn register_in(circle: &str, exporter: PrometheusHandle) -> Self {
        describe_gauge!("circles_info", "The circle's name and the version of its server; always 1.");
        gauge!("circles_info", "circle" => circle.to_owned(), "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        let gauge = |name: &'static str, help: &'static str| {
            describe_gauge!(name, help);
            gauge!(name)
        };
        Self {
            plays: Counters::register("circles_plays_total", "outcome", "Plays that have ended, by what they came to."),
            play_seconds: {
                let help = "Seconds from a play's turn to its end, of those whose turn came.";
                describe_histogram!(PLAY_SECONDS, Unit::Seconds, help);
                histogram!(PLAY_SECONDS)
            },
            authentications: Counters::register(
                "circles_authentications_total",
                "outcome",
                "Attempts to prove a key, by what they came to.",
            ),
            rejected_notifications: Counters::register(
                "circles_notifications_refused_total",
                "reason",
                "Requests without an id that were not carried out, of which nobody is told.",
            ),
            rejected_connections: Counters::register(
                "circles_connections_refused_total",
                "reason",
                "HTTP requests and WebSocket upgrades that were refused, by why.",
            ),
            rate_limited: Counters::register(
                "circles_requests_rate_limited_total",
                "identity",
                "Requests that were rejected because their caller makes too many in a minute.",
            ),
            closed_connections: Counters::register(
                "circles_connections_closed_total",
                "reason",
                "Connections that the circle closed to make room, or because they did not authenticate in time.",
            ),
            environments_lost: Counters::register(
                "circles_environments_lost_total",
                "reason",
                "Environments of sessions that were lost, by what took them.",
            ),
            host_calls: Counters::register(
                "circles_host_calls_total",
                "outcome",
                "Calls of host functions, by what they came to.",
            ),
            connections: gauge("circles_connections", "WebSocket connections, those that are being closed included."),
            sessions: Gauges::register(
                "circles_sessions",
                "identity",
                "Sessions of these connections, by whether they have proved a key.",
            ),
            workers: gauge("circles_workers", "Sessions that hold a worker, or wait for one that starts."),
            running_plays: gauge("circles_running_plays", "Plays that run."),
            queued_plays: gauge("circles_queued_plays", "Plays that wait, for the one before or for their turn."),
            memory: Gauges::register(
                "circles_memory_bytes",
                "of",
                "Bytes held: by the server's process, by workers as total_mib counts them, by connections as connection_mib does.",
            ),
            sandbox: Gauges::register(
                "circles_sandbox_layer",
                "layer",
                "1 where this keeps scripts from the system, 0 where it does not.",
            ),
            exporter,
        }
    }

    /// The series in Prometheus' text format, version 0.0.4.
    pub(super) fn render(&self) -> String {
        self.exporter.render()
    }

    /// Sorts the recorded times into the buckets of the histogram. Until then each record takes memory of its own.
    pub(super) fn run_upkeep(&self) {
        self.exporter.run_upkeep();
    }
}
