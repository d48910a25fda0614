//! The latency of a short play on a worker machine, beside a bare request through NATS and a local play.

use std::time::Duration;

use super::{ANSWER, SCRIPT, add_ratio, bare_requests::BareRequests, cluster::Cluster};
use crate::{
    BoxError,
    compare::{
        Options,
        function_files::{FunctionCircle, one_each, open_roles},
        report::{Goal, Report, Unit},
        servers::{Endpoint, Servers},
    },
    load::{self, JsonRpc, Target},
};

/// Delays of the network between circle and NATS server in each direction, in milliseconds.
const DELAYS_MS: [u64; 3] = [0, 1, 5];

/// Largest ratio of the latency to that of a bare request and of a local play together.
const GOAL: Goal = Goal::RatioAtMost(1.3);

/// Largest ratio of the latency that a delay adds to the delay of one round trip.
const DELAY_GOAL: Goal = Goal::RatioAtMost(1.2);

/// The medians and the 99th percentiles of one round, in seconds.
struct Round {
    remote: [f64; 2],
    bare: [f64; 2],
    local: [f64; 2],
}

pub(super) fn compare(options: &Options, servers: &Servers, report: &mut Report) -> Result<(), BoxError> {
    let name = |delay: u64, percentile: &str| match delay {
        0 => format!("a short play, {percentile} / a bare NATS request and a local play"),
        _ => format!("a short play, {percentile}, delayed by {delay} ms / a bare NATS request and a local play"),
    };
    let added = |delay: u64| format!("latency that {delay} ms each way adds / one round trip");
    let mut undelayed = None;
    for delay in DELAYS_MS {
        let names = [name(delay, "p50"), name(delay, "p99"), added(delay)];
        let is_needed = delay == 0 && DELAYS_MS.iter().any(|delay| report.includes(&added(*delay)));
        if !is_needed && !names.iter().any(|name| report.includes(name)) {
            continue;
        }
        let rounds = measure(options, servers, Duration::from_millis(delay))?;
        for (index, name) in names.iter().take(2).enumerate() {
            let together = |round: &Round| [round.remote[index], round.bare[index] + round.local[index]];
            let rows: Vec<_> = rounds.iter().map(together).collect();
            add_ratio(report, name, Unit::Seconds, &rows, Some(GOAL));
            if delay == 0 && index == 0 {
                let beside = |of: fn(&Round) -> f64| rounds.iter().map(move |round| [round.remote[0], of(round)]);
                let bare: Vec<_> = beside(|round| round.bare[0]).collect();
                add_ratio(report, "a short play, p50 / a bare NATS request", Unit::Seconds, &bare, None);
                let local: Vec<_> = beside(|round| round.local[0]).collect();
                add_ratio(report, "a short play, p50 / a local play", Unit::Seconds, &local, None);
            }
        }
        match &undelayed {
            None => undelayed = Some(rounds),
            Some(undelayed) => {
                let round_trip = 2.0 * Duration::from_millis(delay).as_secs_f64();
                let pairs = rounds.iter().zip(undelayed);
                let rows: Vec<_> =
                    pairs.map(|(with, without)| [with.remote[0] - without.remote[0], round_trip]).collect();
                add_ratio(report, &added(delay), Unit::Seconds, &rows, Some(DELAY_GOAL));
            }
        }
    }
    Ok(())
}

/// Measures the three in turns.
fn measure(options: &Options, servers: &Servers, delay: Duration) -> Result<Vec<Round>, BoxError> {
    let cluster = Cluster::start_delayed(servers, 1, &[], delay)?;
    let local = FunctionCircle::start(servers, &open_roles(), &[])?;
    let bare = BareRequests::start(cluster.nats.address, cluster.nats_address())?;
    let (warm_up, time) = options.times();
    let play = |Endpoint { address, pid }: Endpoint| -> Result<[f64; 2], BoxError> {
        let target = Target { address, pid, warm_up, time };
        let throughput = load::run(target, one_each(1), &JsonRpc::play(SCRIPT, ANSWER, 1))?;
        Ok([throughput.p50, throughput.p99].map(|latency| latency.as_secs_f64()))
    };
    let round = |_| {
        Ok(Round {
            remote: play(cluster.endpoint())?,
            bare: bare.measure(warm_up, time)?,
            local: play(local.server.endpoint)?,
        })
    };
    (0..options.rounds()).map(round).collect()
}
