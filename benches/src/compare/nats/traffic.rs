//! What passes through NATS for a play, a call and a session, and the processor time of all parts.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    ANSWER, SCRIPT,
    cluster::{Cluster, ClusterCpu, NatsCounts},
};
use crate::{
    BoxError,
    compare::{
        Options,
        function_files::{FunctionCircle, answer, open_roles},
        report::{Report, Unit, markdown},
        servers::{Endpoint, Servers},
    },
    load::{self, JsonRpc, Shape},
    process_tree::cpu_time,
};

const NAME: &str = "traffic through NATS";

/// Sessions that idle.
const IDLE: usize = 200;

const COLUMNS: [&str; 9] = [
    "for each",
    "to NATS",
    "from NATS",
    "bytes to NATS",
    "CPU, circle",
    "CPU, nats-server",
    "CPU, machine",
    "CPU, workers",
    "CPU, circle, with local workers",
];

/// The rows of the table.
pub(super) struct Traffic(Vec<[String; COLUMNS.len()]>);

impl Traffic {
    pub(super) fn table(&self) -> String {
        markdown(&COLUMNS, &self.0)
    }
}

/// A load that is counted.
struct Scenario {
    name: &'static str,
    shape: Shape,
    protocol: JsonRpc,
    /// The number of responses in a whole run.
    count: u64,
}

fn scenarios() -> [Scenario; 6] {
    let shape = |connections, depth| Shape { connections, depth };
    let play = |script: &str, answer: &str, depth| JsonRpc::play(script, answer, depth);
    let prints = "for i in 0..100 { print(i); } 42";
    [
        Scenario { name: "short play, C=1 D=1", shape: shape(1, 1), protocol: play(SCRIPT, ANSWER, 1), count: 5_000 },
        Scenario {
            name: "short play, C=16 D=1",
            shape: shape(16, 1),
            protocol: play(SCRIPT, ANSWER, 1),
            count: 30_000,
        },
        Scenario {
            name: "short play, C=8 D=32",
            shape: shape(8, 32),
            protocol: play(SCRIPT, ANSWER, 32),
            count: 200_000,
        },
        Scenario {
            name: "play with 100 prints, C=1 D=1",
            shape: shape(1, 1),
            protocol: play(prints, ANSWER, 1),
            count: 2_000,
        },
        Scenario { name: "call of a function, C=1 D=1", shape: shape(1, 1), protocol: answer(1), count: 4_000 },
        Scenario {
            name: "call of a function, C=16 D=1",
            shape: shape(16, 1),
            protocol: answer(1).by_many_callers(),
            count: 20_000,
        },
    ]
}

/// Measures and prints the traffic if the run includes it.
pub(super) fn measure(options: &Options, servers: &Servers, report: &mut Report) -> Result<Option<Traffic>, BoxError> {
    if !report.includes(NAME) {
        return Ok(None);
    }
    let cluster = Cluster::start(servers, 1, &[])?;
    let local = FunctionCircle::start(servers, &open_roles(), &[])?;
    let mut rows = Vec::new();
    let pause = options.times().1;
    let heartbeats = idle(&cluster, pause)?;
    rows.push(row("second without a session", heartbeats, 1.0, ClusterCpu::default(), None));
    {
        let protocol = JsonRpc::play(SCRIPT, ANSWER, 1);
        let open = || load::first_response(cluster.endpoint().address, &protocol);
        let sessions: Vec<_> = (0..IDLE).map(|_| open()).collect::<Result<_, _>>()?;
        thread::sleep(pause);
        let counts = idle(&cluster, pause)?;
        rows.push(row(&format!("second with {IDLE} idle sessions"), counts, 1.0, ClusterCpu::default(), None));
        drop(sessions);
    }
    for scenario in scenarios() {
        rows.push(load_row(options, &scenario, &cluster, local.server.endpoint, heartbeats)?);
    }
    rows.push(session_row(options, &cluster, local.server.endpoint, heartbeats)?);
    let traffic = Traffic(rows);
    println!("\n{}", traffic.table());
    Ok(Some(traffic))
}

/// What passes in a second without plays.
fn idle(cluster: &Cluster, time: Duration) -> Result<NatsCounts, BoxError> {
    let (before, begun) = (cluster.nats.counts()?, Instant::now());
    thread::sleep(2 * time);
    Ok(since(cluster.nats.counts()?, before, NatsCounts::default(), Duration::ZERO).each(begun.elapsed().as_secs_f64()))
}

fn load_row(
    options: &Options,
    scenario: &Scenario,
    cluster: &Cluster,
    local: Endpoint,
    heartbeats: NatsCounts,
) -> Result<[String; COLUMNS.len()], BoxError> {
    let Scenario { name, shape, protocol, count } = scenario;
    let count = if options.is_quick { 20 } else { *count };
    let exchange = |address| load::exchange(address, *shape, protocol, count);
    // The placements of the sessions are a part of the first run only: the machines keep no worker of a session.
    let cpu_before = cpu_time(local.pid)?.root;
    let responses = exchange(local.address)?;
    let local_cpu = cpu_time(local.pid)?.root.saturating_sub(cpu_before).as_secs_f64() / as_count(responses);
    let (before, cpu_before, begun) = (cluster.nats.counts()?, cluster.cpu()?, Instant::now());
    let responses = as_count(exchange(cluster.endpoint().address)?);
    let elapsed = begun.elapsed();
    let counts = since(cluster.nats.counts()?, before, heartbeats, elapsed);
    Ok(row(name, counts.each(responses), responses, cluster.cpu()?.since(cpu_before), Some(local_cpu)))
}

/// New sessions, each with its placement, its first play and its end.
fn session_row(
    options: &Options,
    cluster: &Cluster,
    local: Endpoint,
    heartbeats: NatsCounts,
) -> Result<[String; COLUMNS.len()], BoxError> {
    let count: u32 = if options.is_quick { 5 } else { 500 };
    let protocol = JsonRpc::play(SCRIPT, ANSWER, 1);
    let open_all = |address| -> Result<(), BoxError> {
        for _ in 0..count {
            load::first_response(address, &protocol)?;
        }
        Ok(())
    };
    let cpu_before = cpu_time(local.pid)?.root;
    open_all(local.address)?;
    let local_cpu = cpu_time(local.pid)?.root.saturating_sub(cpu_before).as_secs_f64() / f64::from(count);
    let (before, cpu_before, begun) = (cluster.nats.counts()?, cluster.cpu()?, Instant::now());
    open_all(cluster.endpoint().address)?;
    let elapsed = begun.elapsed();
    let counts = since(cluster.nats.counts()?, before, heartbeats, elapsed);
    let mut cpu = cluster.cpu()?.since(cpu_before);
    // The kernel's figures of ended workers are not read.
    cpu.workers = Duration::ZERO;
    Ok(row("session with its first play", counts.each(f64::from(count)), f64::from(count), cpu, Some(local_cpu)))
}

/// Returns the counts of a load, without the heartbeats meanwhile.
fn since(now: NatsCounts, before: NatsCounts, heartbeats: NatsCounts, elapsed: Duration) -> NatsCounts {
    let of = |count: fn(&NatsCounts) -> f64| {
        (count(&now) - count(&before) - count(&heartbeats) * elapsed.as_secs_f64()).max(0.0)
    };
    NatsCounts {
        messages_in: of(|counts| counts.messages_in),
        messages_out: of(|counts| counts.messages_out),
        bytes_in: of(|counts| counts.bytes_in),
    }
}

impl NatsCounts {
    fn each(self, count: f64) -> Self {
        let Self { messages_in, messages_out, bytes_in } = self;
        Self { messages_in: messages_in / count, messages_out: messages_out / count, bytes_in: bytes_in / count }
    }
}

impl ClusterCpu {
    fn since(self, before: Self) -> Self {
        Self {
            circle: self.circle.saturating_sub(before.circle),
            nats: self.nats.saturating_sub(before.nats),
            machines: self.machines.saturating_sub(before.machines),
            workers: self.workers.saturating_sub(before.workers),
        }
    }
}

/// `counts` are those for each, and `cpu` that of all `count`.
fn row(name: &str, counts: NatsCounts, count: f64, cpu: ClusterCpu, local: Option<f64>) -> [String; COLUMNS.len()] {
    let time = |time: Duration| {
        if time.is_zero() { String::new() } else { Unit::Seconds.format(time.as_secs_f64() / count) }
    };
    [
        name.into(),
        format!("{:.2}", counts.messages_in),
        format!("{:.2}", counts.messages_out),
        format!("{:.0}", counts.bytes_in),
        time(cpu.circle),
        time(cpu.nats),
        time(cpu.machines),
        time(cpu.workers),
        local.map_or_else(String::new, |local| Unit::Seconds.format(local)),
    ]
}

/// Converts a count that is far below 2^32.
fn as_count(responses: u64) -> f64 {
    f64::from(u32::try_from(responses).unwrap_or(u32::MAX))
}
