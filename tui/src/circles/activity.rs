//! What a circle has done in the last minutes, from the reports of its supervisor.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use launcher::CircleStatus;

/// Largest number of samples.
const MAX_SAMPLES: usize = 120;

/// Interval of the samples.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// After this time without another number of plays, none have finished. Circles report it every few seconds.
const RATE_TIMEOUT: Duration = Duration::from_secs(10);

/// One sample.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Plays in ten seconds, so that a slow circle is no flat line.
    pub plays: u64,
    pub connections: u64,
    pub memory_bytes: u64,
}

/// The samples of a circle, and what the next one needs.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    samples: VecDeque<Sample>,
    latest: Sample,
    /// Number of plays in the last report, and when it came.
    plays: Option<(u64, Instant)>,
    sampled: Option<Instant>,
}

impl Activity {
    /// Takes a report.
    pub(crate) fn report(&mut self, status: Option<&CircleStatus>, now: Instant) {
        let Some(status) = status.filter(|status| status.pid.is_some()) else {
            (self.latest, self.plays) = (Sample::default(), None);
            return;
        };
        self.latest.connections = status.connections.unwrap_or(0);
        self.latest.memory_bytes = status.memory_bytes.unwrap_or(0);
        let Some(plays) = status.plays else { return };
        match self.plays {
            // A new process counts from the beginning.
            Some((before, since)) if plays > before => {
                let millis = now.saturating_duration_since(since).as_millis().max(1);
                let rate = u128::from(plays - before) * 10_000 / millis;
                self.latest.plays = u64::try_from(rate).unwrap_or(u64::MAX);
                self.plays = Some((plays, now));
            }
            Some((before, _)) if plays == before => {}
            _ => {
                self.latest.plays = 0;
                self.plays = Some((plays, now));
            }
        }
    }

    /// Takes a sample, if it is time. Returns whether the samples look different than before.
    pub(crate) fn sample(&mut self, now: Instant) -> bool {
        if self.sampled.is_some_and(|before| now.saturating_duration_since(before) < SAMPLE_INTERVAL) {
            return false;
        }
        self.sampled = Some(now);
        if self.plays.is_some_and(|(_, since)| now.saturating_duration_since(since) > RATE_TIMEOUT) {
            self.latest.plays = 0;
        }
        let is_first = self.samples.is_empty();
        let was_flat =
            self.samples.iter().all(|sample| *sample == self.latest) && (!is_first || self.latest == Sample::default());
        self.samples.push_back(self.latest);
        if self.samples.len() > MAX_SAMPLES {
            self.samples.pop_front();
        }
        !was_flat
    }

    /// Returns the last samples, oldest first.
    pub(crate) fn last(&self, count: usize) -> impl Iterator<Item = &Sample> {
        self.samples.iter().skip(self.samples.len().saturating_sub(count))
    }

    /// Returns the present sample.
    pub(crate) fn latest(&self) -> Sample {
        self.latest
    }
}

/// Formats a rate: `12/s`, or `0.3/s` for a slow one.
pub(crate) fn rate(sample: Sample) -> String {
    match sample.plays {
        0 => "0/s".into(),
        plays @ 1..100 => format!("{}.{}/s", plays / 10, plays % 10),
        plays => format!("{}/s", plays / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(pid: u32, plays: u64, memory: u64) -> CircleStatus {
        serde_json::from_value(serde_json::json!({
            "name": "lab", "url": "ws://127.0.0.1:9", "state": "ready", "pid": pid, "restarts": 0, "uptime_s": 1,
            "access": "open", "connections": 3, "plays": plays, "memory_bytes": memory,
        }))
        .expect("a status")
    }

    #[test]
    fn rate_follows_the_count_of_plays_and_ends_with_it() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut activity = Activity::default();
        activity.report(Some(&status(7, 100, 1 << 20)), at(0));
        assert_eq!(rate(activity.latest()), "0/s");
        activity.report(Some(&status(7, 150, 1 << 20)), at(2));
        assert_eq!(rate(activity.latest()), "25/s");
        assert_eq!((activity.latest().connections, activity.latest().memory_bytes), (3, 1 << 20));
        activity.report(Some(&status(7, 151, 1 << 20)), at(4));
        assert_eq!(rate(activity.latest()), "0.5/s");
        // Another process counts anew.
        activity.report(Some(&status(8, 3, 1 << 20)), at(5));
        assert_eq!(rate(activity.latest()), "0/s");
        activity.report(Some(&status(8, 103, 1 << 20)), at(6));
        assert_eq!(rate(activity.latest()), "100/s");
        assert!(activity.sample(at(7)));
        assert!(!activity.sample(at(7)));
        activity.sample(at(30));
        assert_eq!(activity.latest().plays, 0);
        activity.report(None, at(31));
        assert_eq!(activity.latest(), Sample::default());
    }

    #[test]
    fn samples_are_bounded() {
        let (start, mut activity) = (Instant::now(), Activity::default());
        for second in 0..500 {
            assert!(!activity.sample(start + Duration::from_secs(second)), "a flat line needs no new frame");
        }
        assert_eq!(activity.samples.len(), MAX_SAMPLES);
        assert_eq!(activity.last(5).count(), 5);
    }
}
