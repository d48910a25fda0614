//! A histogram of latencies, whose buckets grow with the latency.

use std::time::Duration;

/// Buckets of each power of two, as a power of two: a bucket is at most a 64th wider than its lower bound.
const PRECISION: u32 = 6;

/// Powers of two that have buckets: up to 2^36 nanoseconds, about a minute.
const POWERS: u32 = 36;

/// Counts of latencies.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; ((POWERS - PRECISION + 1) << PRECISION) as usize], total: 0 }
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        let last = self.counts.len() - 1;
        self.counts[bucket(nanos).min(last)] += 1;
        self.total += 1;
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Returns the latency that this share of all latencies, in percent, does not exceed.
    pub(crate) fn percentile(&self, percent: u64) -> Duration {
        let rank = (self.total * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(middle(bucket as u64));
            }
        }
        Duration::ZERO
    }
}

/// Returns the bucket of a latency. Below 2^PRECISION nanoseconds, each has its own.
fn bucket(nanos: u64) -> usize {
    let power = (nanos | 1).ilog2();
    let shift = power.saturating_sub(PRECISION);
    usize::try_from((u64::from(shift) << PRECISION) + (nanos >> shift)).unwrap_or(usize::MAX)
}

/// Returns the middle of a bucket.
fn middle(bucket: u64) -> u64 {
    let shift = (bucket >> PRECISION).saturating_sub(1);
    let lowest = (bucket - (shift << PRECISION)) << shift;
    lowest + (1 << shift) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_a_64th_wide_and_in_order() {
        let mut previous = 0;
        for nanos in (0..20_000).chain((0..30).map(|power| 1 << power)) {
            let at = middle(bucket(nanos) as u64);
            assert!(at.abs_diff(nanos) <= nanos / 64, "{nanos} is in the bucket of {at}");
            if nanos == previous + 1 {
                assert!(bucket(nanos) - bucket(previous) <= 1, "{nanos}");
            }
            previous = nanos;
        }
    }

    #[test]
    fn percentiles_are_within_a_bucket() {
        let mut histogram = Histogram::new();
        for micros in 1..=1000 {
            histogram.record(Duration::from_micros(micros));
        }
        for (percent, expected) in [(50, 500.0), (99, 990.0), (100, 1000.0)] {
            let micros = histogram.percentile(percent).as_secs_f64() * 1e6;
            assert!((micros / expected - 1.0).abs() < 1.0 / 64.0, "{percent}: {micros}");
        }
    }

    #[test]
    fn very_long_latencies_are_counted() {
        let mut histogram = Histogram::new();
        histogram.record(Duration::from_secs(1_000_000));
        assert_eq!(histogram.total(), 1);
        assert!(histogram.percentile(99) >= Duration::from_mins(1));
    }
}
