//! Latencies of calls, and their comparison between two situations.

use std::time::Duration;

/// Latencies of one kind of call, sorted.
pub(crate) struct Latencies {
    call: &'static str,
    sorted: Vec<Duration>,
}

impl Latencies {
    pub(crate) fn new(call: &'static str, mut latencies: Vec<Duration>) -> Self {
        latencies.sort();
        Self { call, sorted: latencies }
    }

    /// Returns a percentile, in microseconds.
    pub(crate) fn percentile(&self, share: usize) -> f64 {
        self.sorted[(self.sorted.len() - 1) * share / 100].as_secs_f64() * 1e6
    }
}

/// Prints the median and the 99th percentile of each kind of call in both situations, and their ratios.
pub(crate) fn print_ratios(situation: &str, quiet: &[Latencies], disturbed: &[Latencies]) {
    println!("\n{:34} {:>12} {situation:>12} {:>8}", "", "quiet", "ratio");
    for (quiet, disturbed) in quiet.iter().zip(disturbed) {
        for (percentile, share) in [("p50", 50), ("p99", 99)] {
            let (quiet_at, disturbed_at) = (quiet.percentile(share), disturbed.percentile(share));
            let what = format!("µs {}, {percentile} of {}", quiet.call, quiet.sorted.len());
            println!("{what:34} {quiet_at:12.1} {disturbed_at:12.1} {:8.2}", disturbed_at / quiet_at);
        }
    }
}

/// A percentile of sorted latencies, in milliseconds.
pub(crate) fn percentile_ms(sorted: &[Duration], share: usize) -> f64 {
    let at = sorted.len().saturating_sub(1) * share / 100;
    sorted.get(at).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
}
