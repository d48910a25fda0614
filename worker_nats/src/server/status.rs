//! What a hub has seen, for operators.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use super::{MachineInfo, PlaceError, Shared, lock};
use crate::subjects::SubjectName;

/// Number of placements whose delays the median is of.
const RECENT: usize = 128;

/// Upper bounds of the buckets of [`PlacementDelays`] in microseconds.
const DELAY_BOUNDS: [u64; 15] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000,
];

/// What a hub has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubStatus {
    /// Whether there is a connection to NATS.
    pub is_connected: bool,
    /// The number of connections of the hub to NATS, one after the other.
    pub connections: u64,
    /// Whether NATS has refused the credentials at the last attempt to connect.
    pub is_refused: bool,
    /// The reason why there is no connection, or the last refusal of a permission.
    pub error: Option<String>,
    /// The last [`error`](Self::error), which may be over.
    pub last_error: Option<PastError>,
    /// Another circle of the same name that has appeared on this NATS, and what to do.
    pub conflict: Option<String>,
    /// The machines that have published their state, also those of other builds.
    pub machines: Vec<MachineInfo>,
    /// The number of workers that are placed now.
    pub workers: usize,
    /// The number of placements that wait for a machine.
    pub waiting: usize,
    /// The number of successful placements since the start.
    pub placed: u64,
    /// The number of failed placements since the start.
    pub failed: u64,
    /// The failed placements by reason.
    pub failures: PlacementFailures,
    /// The times of the successful placements.
    pub delays: PlacementDelays,
    /// The number of machines that were given up.
    pub given_up: u64,
    /// The number of messages that were sent again, because an acknowledgement was missing.
    pub resent: u64,
    /// The number of times that messages for this side were lost, because it did not read them in time.
    pub lost: u64,
    /// The number of messages that were no messages.
    pub malformed: u64,
    /// What has passed the connections to NATS.
    pub traffic: NatsTraffic,
}

/// An error that has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PastError {
    /// The text.
    pub text: String,
    /// When it began.
    pub at: SystemTime,
}

/// The numbers of failed placements, by [`PlaceError`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlacementFailures {
    /// No machine answered to the request.
    pub no_machine: u64,
    /// Only machines of other builds ran.
    pub other_builds: u64,
    /// No machine had a free place.
    pub full: u64,
    /// There was no connection to NATS.
    pub not_connected: u64,
    /// No machine answered in time.
    pub timed_out: u64,
    /// A machine could not start the worker.
    pub refused: u64,
}

/// What has passed the connections of a client to NATS since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NatsTraffic {
    /// The number of messages that have arrived.
    pub messages_in: u64,
    /// The bytes that have arrived.
    pub bytes_in: u64,
    /// The number of messages that were sent.
    pub messages_out: u64,
    /// The bytes that were sent.
    pub bytes_out: u64,
}

/// The times from a request to the worker of successful placements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlacementDelays {
    /// The number of placements in each bucket; those in the last one are above all bounds.
    buckets: [u64; DELAY_BOUNDS.len() + 1],
    sum: Duration,
    recent: VecDeque<Duration>,
}

impl HubStatus {
    /// The number of connections after the first one.
    pub fn reconnects(&self) -> u64 {
        self.connections.saturating_sub(1)
    }

    /// Sets the error of now.
    pub(super) fn set_error(&mut self, error: Option<String>) {
        if error == self.error {
            return;
        }
        if let Some(text) = &error {
            self.last_error = Some(PastError { text: text.clone(), at: SystemTime::now() });
        }
        self.error = error;
    }

    pub(super) fn count_placement(&mut self, delay: Duration) {
        self.placed += 1;
        self.delays.record(delay);
    }

    pub(super) fn count_failure(&mut self, error: &PlaceError) {
        self.failed += 1;
        let failures = &mut self.failures;
        *match error {
            PlaceError::NoMachine => &mut failures.no_machine,
            PlaceError::OtherBuilds { .. } => &mut failures.other_builds,
            PlaceError::Full => &mut failures.full,
            PlaceError::NotConnected(_) => &mut failures.not_connected,
            PlaceError::TimedOut => &mut failures.timed_out,
            PlaceError::Refused(_) => &mut failures.refused,
        } += 1;
    }
}

impl NatsTraffic {
    /// Adds what has passed one of the connections in between.
    pub(super) fn add_increase(&mut self, before: &Self, after: &Self) {
        self.messages_in += after.messages_in.saturating_sub(before.messages_in);
        self.bytes_in += after.bytes_in.saturating_sub(before.bytes_in);
        self.messages_out += after.messages_out.saturating_sub(before.messages_out);
        self.bytes_out += after.bytes_out.saturating_sub(before.bytes_out);
    }
}

impl PlacementDelays {
    fn record(&mut self, delay: Duration) {
        let micros = delay.as_micros();
        self.buckets[DELAY_BOUNDS.partition_point(|bound| u128::from(*bound) < micros)] += 1;
        self.sum = self.sum.saturating_add(delay);
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(delay);
    }

    /// The upper bounds of the buckets of a histogram, each with the number of placements that took at most this time.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        DELAY_BOUNDS.iter().zip(&self.buckets).scan(0, |sum, (bound, count)| {
            *sum += count;
            Some((Duration::from_micros(*bound), *sum))
        })
    }

    /// The number of placements.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The sum of all times.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// The median of the times of the last 128 placements; `None` before the first one.
    pub fn recent_median(&self) -> Option<Duration> {
        let mut recent: Vec<_> = self.recent.iter().copied().collect();
        recent.sort_unstable();
        recent.get(recent.len() / 2).copied()
    }
}

/// An observer of a hub. It does not keep the hub alive, and stays valid after the end of the hub.
#[derive(Debug, Clone)]
pub struct HubObserver {
    pub(super) shared: Arc<Mutex<Shared>>,
    pub(super) build: SubjectName,
}

impl HubObserver {
    /// The build of the server. Only machines of this build get its workers.
    pub fn build(&self) -> &SubjectName {
        &self.build
    }

    /// What the hub has seen.
    pub fn status(&self) -> HubStatus {
        let shared = lock(&self.shared);
        HubStatus { machines: shared.machines.list(Instant::now()), ..shared.status.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn delays_are_in_buckets_with_their_bounds() {
        let mut delays = PlacementDelays::default();
        assert_eq!((delays.count(), delays.recent_median()), (0, None));
        for delay in [millis(1), millis(2), millis(2), Duration::from_mins(1)] {
            delays.record(delay);
        }
        let buckets: Vec<_> = delays.buckets().collect();
        assert_eq!(buckets[..3], [(Duration::from_micros(500), 0), (millis(1), 1), (Duration::from_micros(2_500), 3)]);
        assert_eq!(buckets.last(), Some(&(Duration::from_secs(30), 3)));
        assert_eq!((delays.count(), delays.sum()), (4, Duration::from_millis(60_005)));
        assert_eq!(delays.recent_median(), Some(millis(2)));
        for _ in 0..RECENT {
            delays.record(millis(7));
        }
        assert_eq!((delays.recent.len(), delays.recent_median()), (RECENT, Some(millis(7))));
    }

    #[test]
    fn last_error_remains_when_the_error_is_over() {
        let mut status = HubStatus::default();
        status.set_error(Some("no route".into()));
        let first = status.last_error.clone().expect("an error");
        status.set_error(Some("no route".into()));
        assert_eq!(status.last_error.as_ref(), Some(&first));
        status.set_error(None);
        assert_eq!((status.error.as_deref(), first.text.as_str()), (None, "no route"));
        assert_eq!(status.last_error, Some(first));
    }

    #[test]
    fn failures_are_counted_by_reason() {
        let mut status = HubStatus::default();
        let errors = [
            PlaceError::NoMachine,
            PlaceError::OtherBuilds { build: SubjectName::new("b").expect("valid"), others: vec![] },
            PlaceError::Full,
            PlaceError::NotConnected(String::new()),
            PlaceError::TimedOut,
            PlaceError::Refused(String::new()),
        ];
        for error in &errors {
            status.count_failure(error);
        }
        let PlacementFailures { no_machine, other_builds, full, not_connected, timed_out, refused } = status.failures;
        assert_eq!([no_machine, other_builds, full, not_connected, timed_out, refused], [1; 6]);
        assert_eq!(status.failed, 6);
    }
}
