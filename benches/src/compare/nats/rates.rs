//! Plays and calls a second: CPU-bound plays on one to four machines, short plays, calls of functions, new sessions.

use std::time::{Duration, Instant};

use super::{ANSWER, SCRIPT, add_ratio, cluster::Cluster, in_turns};
use crate::{
    BoxError,
    compare::{
        Options,
        function_files::{FunctionCircle, answer, one_each, open_roles},
        report::{Goal, Report, Unit},
        servers::{Endpoint, Servers},
    },
    load::{self, JsonRpc, Shape, Target},
};

/// A script that computes for some milliseconds.
const LONG_SCRIPT: &str = "let x = 0; for i in 0..100000 { x += i; } x";
const LONG_ANSWER: &str = "\"value\":4999950000";

/// Sessions of the CPU-bound plays.
const LONG_SESSIONS: usize = 4;

/// Numbers of machines, which share the cores of this one.
const MACHINES: [usize; 3] = [1, 2, 4];

/// Least share of the local rate: with as many cores, the machines do as much.
const GOAL: Goal = Goal::RatioAtLeast(0.9);

/// Clients that open sessions at the same time.
const CLIENTS: [usize; 2] = [1, 8];

const fn shape(connections: usize, depth: usize) -> Shape {
    Shape { connections, depth }
}

const PLAYS: [Shape; 3] = [shape(16, 1), shape(1, 32), shape(8, 32)];
const CALLS: [Shape; 3] = [shape(1, 1), shape(16, 1), shape(4, 16)];

/// A figure of the circle with machines and of the one with local workers, in one round each.
type Measure = Box<dyn Fn(&Options, Endpoint) -> Result<f64, BoxError>>;

pub(super) fn compare(options: &Options, servers: &Servers, report: &mut Report) -> Result<(), BoxError> {
    let local = FunctionCircle::start(servers, &open_roles(), &[])?;
    for machines in MACHINES {
        let long = format!("CPU-bound plays of {LONG_SESSIONS} sessions, machines: {machines}");
        let mut rows: Vec<(String, Option<Goal>, Measure)> = vec![(long, Some(GOAL), Box::new(long_plays))];
        if machines == MACHINES[0] {
            rows.extend(short_rows());
        }
        rows.retain(|(name, ..)| report.includes(&beside_local(name)));
        if rows.is_empty() {
            continue;
        }
        let cluster = Cluster::start(servers, machines, &[])?;
        for (name, goal, measure) in rows {
            let (remote, local) = (cluster.endpoint(), local.server.endpoint);
            let rounds = in_turns(options, || measure(options, remote), || measure(options, local))?;
            add_ratio(report, &beside_local(&name), Unit::PerSecond, &rounds, goal);
        }
    }
    Ok(())
}

fn beside_local(name: &str) -> String {
    format!("{name} / local workers")
}

/// The rows that need one machine.
fn short_rows() -> Vec<(String, Option<Goal>, Measure)> {
    let plays = PLAYS.into_iter().map(|shape| -> (String, _, Measure) {
        let measure = move |options: &Options, endpoint| {
            rate(options, endpoint, shape, &JsonRpc::play(SCRIPT, ANSWER, shape.depth))
        };
        (format!("short plays, {shape}"), None, Box::new(measure))
    });
    let calls = CALLS.into_iter().map(|shape| -> (String, _, Measure) {
        let measure =
            move |options: &Options, endpoint| rate(options, endpoint, shape, &answer(shape.depth).by_many_callers());
        (format!("calls of a function, {shape}"), None, Box::new(measure))
    });
    let sessions = CLIENTS.into_iter().map(|clients| -> (String, _, Measure) {
        let measure = move |options: &Options, endpoint| new_sessions(options, endpoint, clients);
        (format!("new sessions with a first play, clients: {clients}"), None, Box::new(measure))
    });
    plays.chain(calls).chain(sessions).collect()
}

fn long_plays(options: &Options, endpoint: Endpoint) -> Result<f64, BoxError> {
    rate(options, endpoint, one_each(LONG_SESSIONS), &JsonRpc::play(LONG_SCRIPT, LONG_ANSWER, 1))
}

fn rate(
    options: &Options,
    Endpoint { address, pid }: Endpoint,
    shape: Shape,
    protocol: &JsonRpc,
) -> Result<f64, BoxError> {
    let (warm_up, time) = options.times();
    Ok(load::run(Target { address, pid, warm_up, time }, shape, protocol)?.per_second)
}

/// Opens sessions one after the other with several clients at the same time. Each session plays once and ends.
fn new_sessions(options: &Options, Endpoint { address, .. }: Endpoint, clients: usize) -> Result<f64, BoxError> {
    let (_, time) = options.times();
    let begun = Instant::now();
    let open = || -> Result<u32, String> {
        let protocol = JsonRpc::play(SCRIPT, ANSWER, 1);
        let mut count = 0;
        while begun.elapsed() < time {
            load::first_response(address, &protocol).map_err(|error| error.to_string())?;
            count += 1;
        }
        Ok(count)
    };
    let (count, elapsed) = std::thread::scope(|scope| -> Result<(u32, Duration), String> {
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(open)).collect();
        let mut count = 0;
        for thread in threads {
            count += thread.join().map_err(|_| "a client panicked")??;
        }
        Ok((count, begun.elapsed()))
    })?;
    Ok(f64::from(count) / elapsed.as_secs_f64())
}
