//! 4,000 sessions on four machines: the time to open them, and the memory of all parts.

use std::time::{Duration, Instant};

use super::{ANSWER, SCRIPT, cluster::Cluster};
use crate::{
    BoxError,
    compare::{
        Options,
        crowds::{as_float, available_memory, p99},
        function_files::{FunctionCircle, open_roles},
        report::{Beside, Goal, Report, Unit},
        servers::{Endpoint, Servers},
    },
    load::{self, JsonRpc, OpenConnection},
    process_tree,
};

const MACHINES: usize = 4;
const SESSIONS: usize = 4_000;

/// Sessions and connections beside those that idle.
const SPARE: usize = 64;

const TIME: &str = "4,000 sessions on 4 machines, time of a session and its play / local workers";
const TOGETHER: &str = "4,000 sessions on 4 machines, all memory for each / local workers";
const SERVER: &str = "4,000 sessions on 4 machines, memory of the circle for each / local workers";
const MACHINE: &str = "4,000 sessions on 4 machines, memory of the machine's process for each";
const PRIVATE: &str = "4,000 sessions on 4 machines, private memory of a worker / local workers";
const LATENCY: &str = "p99 of a play beside 4,000 idle sessions on 4 machines / of one";
const MESSAGES: &str = "messages through NATS with 4,000 idle sessions on 4 machines";
const ALL: [&str; 7] = [TIME, TOGETHER, SERVER, MACHINE, PRIVATE, LATENCY, MESSAGES];

/// Sessions that have played once.
struct Crowd {
    sessions: Vec<OpenConnection>,
    time: Duration,
    /// Memory of all processes and of the circle, in KiB.
    together: i64,
    circle: i64,
}

pub(super) fn compare(options: &Options, servers: &Servers, report: &mut Report) -> Result<(), BoxError> {
    if !ALL.iter().any(|name| report.includes(name)) {
        return Ok(());
    }
    let count = if options.is_quick { 8 } else { SESSIONS };
    let limits = ["connections", "workers", "sessions_per_caller"].map(|limit| format!("{limit}={}", count + SPARE));
    let arguments: Vec<_> = limits.iter().flat_map(|limit| ["--limit", limit]).collect();
    let local = FunctionCircle::start(servers, &open_roles(), &arguments)?;
    let of_local = open(local.server.endpoint, count)?;
    let local_workers = process_tree::descendants(local.server.endpoint.pid)?;
    let local_private = private(local_workers, &of_local)?;
    let local_opened = of_local.sessions.len();
    drop(of_local.sessions);
    drop(local);

    let cluster = Cluster::start(servers, MACHINES, &arguments)?;
    let endpoint = cluster.endpoint();
    let alone = p99(options, endpoint)?;
    let machines_before = resident(&cluster)?;
    let of_remote = open(endpoint, count)?;
    let opened = of_remote.sessions.len();
    if opened < count || local_opened < count {
        eprintln!(
            "sessions: {opened} on machines, {local_opened} with local workers; the limit of open files is too low"
        );
    }
    let each = |kib: i64, sessions: usize| as_float(kib) / as_float(i64::try_from(sessions).unwrap_or(i64::MAX));
    let beside = |figure: f64, of: f64| Beside::Figure { figure: of, ratio: figure / of };
    let mut add = |name: &str, figure: f64, unit: Unit, of: Option<f64>, goal: Option<Goal>| {
        let of = of.map_or(Beside::Missing(format!("{opened} opened")), |of| beside(figure, of));
        report.add_if_included(name, figure, unit, &of, goal);
    };
    let time =
        |time: Duration, sessions: usize| time.as_secs_f64() / f64::from(u32::try_from(sessions).unwrap_or(u32::MAX));
    let local_time = time(of_local.time, local_opened);
    add(TIME, time(of_remote.time, opened), Unit::Seconds, Some(local_time), None);
    let local_together = each(of_local.together, local_opened);
    add(TOGETHER, each(of_remote.together, opened), Unit::Kib, Some(local_together), None);
    add(SERVER, each(of_remote.circle, opened), Unit::Kib, Some(each(of_local.circle, local_opened)), None);
    add(MACHINE, each(resident(&cluster)? - machines_before, opened), Unit::Kib, None, None);
    let remote_private = private(cluster.worker_pids()?, &of_remote)?;
    add(PRIVATE, remote_private, Unit::Kib, Some(local_private), None);
    std::thread::sleep(options.times().0);
    let (before, begun) = (cluster.nats.counts()?, Instant::now());
    std::thread::sleep(2 * options.times().1);
    let messages = cluster.nats.counts()?.messages_in - before.messages_in;
    add(MESSAGES, messages / begun.elapsed().as_secs_f64(), Unit::PerSecond, None, None);
    let beside_idle = p99(options, endpoint)?;
    add(LATENCY, beside_idle, Unit::Seconds, Some(alone), Some(Goal::RatioAtMost(2.0)));
    Ok(())
}

/// Opens sessions, one after the other, each of which plays once.
fn open(Endpoint { address, pid }: Endpoint, count: usize) -> Result<Crowd, BoxError> {
    let protocol = JsonRpc::play(SCRIPT, ANSWER, 1);
    // Exclude the cost of the first sessions.
    let _first = [load::first_response(address, &protocol)?, load::first_response(address, &protocol)?];
    let (available, resident) = (available_memory()?, process_tree::resident(pid)?);
    let begun = Instant::now();
    let mut sessions = Vec::new();
    while sessions.len() < count {
        match load::first_response(address, &protocol) {
            Ok((_, session)) => sessions.push(session),
            Err(error) if sessions.is_empty() => return Err(error),
            // There are no descriptors for more.
            Err(error) => {
                eprintln!("session {}: {error}", sessions.len() + 1);
                break;
            }
        }
    }
    let time = begun.elapsed();
    let together = available - available_memory()?;
    Ok(Crowd { sessions, time, together, circle: process_tree::resident(pid)? - resident })
}

/// Returns the private memory of the workers for each session, in KiB.
fn private(workers: Vec<u32>, crowd: &Crowd) -> Result<f64, BoxError> {
    // Workers of the first sessions may end meanwhile.
    let sum: i64 = workers.into_iter().filter_map(|pid| process_tree::private(pid).ok()).sum();
    Ok(as_float(sum) / as_float(i64::try_from(crowd.sessions.len())?))
}

/// Returns the resident memory of the processes of all machines, in KiB.
fn resident(cluster: &Cluster) -> Result<i64, BoxError> {
    cluster.machine_pids().map(process_tree::resident).sum()
}
