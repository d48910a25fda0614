//! Many connections that idle: what they cost, and what one that plays notices of them.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{
    Options, contest,
    report::{Beside, Goal, Report, Unit},
    servers::{Endpoint, Kind, Server, Servers},
};
use crate::{
    BoxError,
    load::{self, JsonRpc, OpenConnection, Shape, Target},
    process_tree,
};

/// Connections without a session's worker, of a circle and of a peer.
const IDLE: usize = 10_000;
const IDLE_OF_PEER: usize = 1_000;

/// Sessions that have played, each with a process.
const SESSIONS: usize = 4_000;

/// Connections and sessions beside those that idle.
const SPARE: usize = 8;

const SCRIPT: &str = "40 + 2";
const ANSWER: &str = "\"value\":42";

pub(crate) fn compare(options: &Options, servers: &Servers, report: &mut Report) -> Result<(), BoxError> {
    raise_descriptor_limit()?;
    idle_connections(options, servers, report)?;
    sessions(options, servers, report)
}

/// Raises the limit of open files: the load generator has a descriptor for each connection.
pub(super) fn raise_descriptor_limit() -> Result<(), BoxError> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

fn idle_connections(options: &Options, servers: &Servers, report: &mut Report) -> Result<(), BoxError> {
    const MEMORY: &str = "an idle connection, of 10,000";
    const LATENCY: &str = "p99 of a play beside 10,000 idle connections";
    let peers = [Kind::Echo, Kind::Jsonrpsee, Kind::Node];
    if !report.includes_any(MEMORY, &peers.map(Kind::name)) && !report.includes(LATENCY) {
        return Ok(());
    }
    let count = if options.is_quick { 20 } else { IDLE };
    let limit = format!("connections={}", count + SPARE);
    let server = servers.start_circle(Kind::Circles, &["--limit", &limit])?.ok_or("circles is there")?;
    let alone = p99(options, server.endpoint)?;
    let (kib, connections) = memory_of_idle(&server, count)?;
    let beside = p99(options, server.endpoint)?;
    drop(connections);
    drop(server);
    report.add_if_included(MEMORY, kib, Unit::Kib, &Beside::Nothing, Some(Goal::AtMost(12.0)));
    report.add_if_included(LATENCY, beside, Unit::Seconds, &ratio(beside, alone), None);
    for kind in peers {
        let name = contest::row_name(MEMORY, kind.name());
        if !report.includes(&name) {
            continue;
        }
        let figure = match servers.start(kind)?.map(|server| memory_of_idle(&server, count.min(IDLE_OF_PEER))) {
            Some(Ok((peer, _))) => Beside::Figure { figure: peer, ratio: kib / peer },
            Some(Err(error)) => {
                eprintln!("{name}: {error}");
                Beside::Missing("failed".into())
            }
            None => Beside::Missing("not installed".into()),
        };
        report.add(&name, kib, Unit::Kib, &figure, None);
    }
    Ok(())
}

/// Returns the resident memory of a server for each of its idle connections, in KiB, and the connections.
fn memory_of_idle(server: &Server, count: usize) -> Result<(f64, Vec<OpenConnection>), BoxError> {
    let Endpoint { address, pid } = server.endpoint;
    let protocol = JsonRpc::play(SCRIPT, ANSWER, 1);
    // Exclude the cost of the first connections.
    let _first = [load::open(address, &protocol)?, load::open(address, &protocol)?];
    let before = process_tree::resident(pid)?;
    let connections = (0..count).map(|_| load::open(address, &protocol)).collect::<Result<Vec<_>, _>>()?;
    let kib = process_tree::resident(pid)? - before;
    Ok((as_float(kib) / as_float(i64::try_from(count)?), connections))
}

fn sessions(options: &Options, servers: &Servers, report: &mut Report) -> Result<(), BoxError> {
    const TOGETHER: &str = "4,000 sessions with a process each, all memory";
    const PRIVATE: &str = "a session's process, private";
    const LATENCY: &str = "p99 of a play beside 4,000 idle sessions / of one";
    if ![TOGETHER, PRIVATE, LATENCY].iter().any(|name| report.includes(name)) {
        return Ok(());
    }
    let count = if options.is_quick { 4 } else { SESSIONS };
    let limits = ["connections", "workers", "sessions_per_caller"].map(|limit| format!("{limit}={}", count + SPARE));
    let arguments: Vec<_> = limits.iter().flat_map(|limit| ["--limit", limit]).collect();
    let server = servers.start_circle(Kind::Circles, &arguments)?.ok_or("circles is there")?;
    let Endpoint { address, pid } = server.endpoint;
    let protocol = JsonRpc::play(SCRIPT, ANSWER, 1);
    let alone = p99(options, server.endpoint)?;
    let available = available_memory()?;
    let mut sessions = Vec::new();
    while sessions.len() < count {
        match load::first_response(address, &protocol) {
            Ok((_, session)) => sessions.push(session),
            Err(error) if sessions.is_empty() => return Err(error),
            // The circle has no descriptors for more.
            Err(_) => break,
        }
    }
    let opened = as_float(i64::try_from(sessions.len())?);
    let note = if sessions.len() == count { Beside::Nothing } else { Beside::Missing(format!("{opened} opened")) };
    let together = as_float(available - available_memory()?);
    let workers = process_tree::descendants(pid)?.into_iter().map(process_tree::private);
    let private = as_float(workers.sum::<Result<i64, _>>()?) / opened;
    report.add_if_included(TOGETHER, together, Unit::Kib, &note, Some(Goal::AtMost(2.0 * 1024.0 * 1024.0)));
    report.add_if_included(PRIVATE, private, Unit::Kib, &note, Some(Goal::AtMost(0.2 * 1024.0)));
    // Room for the client that measures, if the circle is full.
    sessions.truncate(sessions.len().saturating_sub(SPARE));
    std::thread::sleep(options.times().0);
    let beside = p99(options, server.endpoint)?;
    report.add_if_included(LATENCY, beside, Unit::Seconds, &ratio(beside, alone), Some(Goal::RatioAtMost(2.0)));
    Ok(())
}

/// Measures the 99th percentile of a client that plays again and again, in seconds.
pub(super) fn p99(options: &Options, Endpoint { address, pid }: Endpoint) -> Result<f64, BoxError> {
    let (warm_up, time) =
        if options.is_quick { options.times() } else { (Duration::from_secs(1), Duration::from_secs(3)) };
    let shape = Shape { connections: 1, depth: 1 };
    let target = Target { address, pid, warm_up, time };
    Ok(load::run(target, shape, &JsonRpc::play(SCRIPT, ANSWER, shape.depth))?.p99.as_secs_f64())
}

fn ratio(figure: f64, of: f64) -> Beside {
    Beside::Figure { figure: of, ratio: figure / of }
}

/// Returns the memory that the kernel has for new programs, in KiB.
pub(super) fn available_memory() -> Result<i64, BoxError> {
    process_tree::field("/proc/meminfo", &["MemAvailable:"])
}

/// Converts a count that is far below 2^52.
pub(super) fn as_float(count: i64) -> f64 {
    i32::try_from(count).map_or(f64::NAN, f64::from)
}
