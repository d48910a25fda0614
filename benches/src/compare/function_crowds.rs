//! Calls of many visitors who call functions and may not play, beside hostile players; and calls of one caller beside
//! another caller who floods the circle with calls.

use std::{sync::Arc, time::Duration};

use keys::KeyPair;
use serde_json::json;
use tokio::runtime::Handle;

use super::{
    Options, crowds,
    function_files::{FunctionCircle, answer, busy, open_roles},
    report::{Beside, Goal, Report, Unit, median},
    servers::Servers,
};
use crate::{
    BoxError,
    attack::{self, Attackers},
    load::{self, Crowd, JsonRpc, Shape, Target, Throughput},
    process_tree,
};

/// Visitors, each with a key of its own, who call functions and may not play.
const VISITORS: usize = 15_000;

/// Calls of all visitors together in a second.
const VISITORS_PER_SECOND: u32 = 500;

/// Connections of the caller beside the flood, and the calls of all of them in a second.
const NEIGHBOURS: usize = 4;
const NEIGHBOURS_PER_SECOND: u32 = 200;

/// Connections of the flood. Each has fewer calls in flight than `queued_calls`.
const FLOOD: Shape = Shape { connections: 4, depth: 32 };

/// Returns calls with this many in flight on each connection.
type Calls = fn(depth: usize) -> JsonRpc;

/// The floods: what each row says of it, and its calls.
const FLOODS: [(&str, Calls); 2] = [("short calls", answer), ("endless calls", busy)];

/// Largest memory of a visitor in the server, in KiB.
const MEMORY_GOAL: f64 = 12.0;

/// Largest ratio of a p99 to the quiet one.
const RATIO_GOAL: f64 = 3.0;

/// Each round has a quiet part and a disturbed one.
#[derive(Clone, Copy)]
struct Times {
    rounds: usize,
    quiet: Duration,
    warm_up: Duration,
    disturbed: Duration,
    /// The time that the circle has to clean up after a disturbance.
    pause: Duration,
}

impl Times {
    fn new(options: &Options) -> Self {
        let (warm_up, short) = options.times();
        if options.is_quick {
            return Self { rounds: 1, quiet: short, warm_up, disturbed: short, pause: Duration::ZERO };
        }
        let seconds = Duration::from_secs;
        Self { rounds: 3, quiet: seconds(3), warm_up: attack::WARM_UP, disturbed: seconds(5), pause: seconds(1) }
    }
}

pub(crate) fn compare(
    options: &Options,
    servers: &Servers,
    report: &mut Report,
    runtime: &Handle,
) -> Result<(), BoxError> {
    visitors(options, servers, report, runtime)?;
    for (name, calls) in FLOODS {
        flood(options, servers, report, name, calls)?;
    }
    Ok(())
}

fn visitors(options: &Options, servers: &Servers, report: &mut Report, runtime: &Handle) -> Result<(), BoxError> {
    const MEMORY: &str = "a visitor who calls functions, of 15,000";
    const LATENCY: &str = "p99 of visitors' function calls beside 8 hostile players / quiet";
    if !report.includes(MEMORY) && !report.includes(LATENCY) {
        return Ok(());
    }
    crowds::raise_descriptor_limit()?;
    let count = if options.is_quick { 20 } else { VISITORS };
    let players =
        (0..attack::COUNT).map(|_| Ok(Arc::new(KeyPair::generate()?))).collect::<Result<Vec<_>, BoxError>>()?;
    let members = players.iter().enumerate().map(|(index, player)| {
        json!({ "name": format!("player-{index}"), "keys": [player.public_key().to_hex()], "role": "player" })
    });
    let roles = json!({
        "roles": { "visitor": { "call": ["answer"] }, "player": { "play": true } },
        "anyone": "visitor", "authenticated": "visitor", "members": members.collect::<Vec<_>>(),
    });
    let connections = format!("connections={}", count + 64);
    // The descriptors of workers for plays would leave fewer connections; the largest attack is a long script.
    let limits = [&connections, "workers=64", "message_kib=4096"];
    let limits: Vec<_> = limits.into_iter().flat_map(|limit| ["--limit", limit]).collect();
    let circle = FunctionCircle::start(servers, &roles, &limits)?;
    let endpoint = circle.server.endpoint;
    let calls = answer(1).by_many_callers();
    // Exclude the cost of the first visitors.
    let first = Crowd::open(endpoint.address, 2, &calls)?;
    let before = process_tree::resident(endpoint.pid)?;
    let mut visitors = Crowd::open(endpoint.address, count, &calls)?;
    let opened = visitors.len();
    let kib = crowds::as_float(process_tree::resident(endpoint.pid)? - before);
    let kib = kib / crowds::as_float(i64::try_from(opened)?);
    drop(first);
    let note = if opened == count { Beside::Nothing } else { Beside::Missing(format!("{opened} opened")) };
    report.add_if_included(MEMORY, kib, Unit::Kib, &note, Some(Goal::AtMost(MEMORY_GOAL)));
    if !report.includes(LATENCY) {
        return Ok(());
    }
    let times = Times::new(options);
    let authority = endpoint.address.to_string();
    let rounds = (0..times.rounds).map(|_| {
        let quiet = visitors.run(VISITORS_PER_SECOND, times.quiet)?;
        let mut attackers = Attackers::start(&authority, &players, runtime);
        // The visitors go on calling meanwhile.
        visitors.run(VISITORS_PER_SECOND, times.warm_up)?;
        let disturbed = visitors.run(VISITORS_PER_SECOND, times.disturbed)?;
        attackers.check()?;
        drop(attackers);
        std::thread::sleep(times.pause);
        Ok([quiet, disturbed])
    });
    let rounds = rounds.collect::<Result<Vec<_>, BoxError>>()?;
    add(report, LATENCY, "beside 8 hostile players", &rounds);
    Ok(())
}

fn flood(options: &Options, servers: &Servers, report: &mut Report, name: &str, calls: Calls) -> Result<(), BoxError> {
    let row = format!("p99 of a function call beside another caller's flood of {name} / quiet");
    if !report.includes(&row) {
        return Ok(());
    }
    let circle = FunctionCircle::start(servers, &open_roles(), &[])?;
    let endpoint = circle.server.endpoint;
    let neighbour = answer(1).by_caller(KeyPair::generate()?.into());
    let flood = calls(FLOOD.depth).by_caller(KeyPair::generate()?.into());
    let mut neighbours = Crowd::open(endpoint.address, NEIGHBOURS, &neighbour)?;
    let times = Times::new(options);
    // The flood lasts longer than what it disturbs.
    let target = Target {
        address: endpoint.address,
        pid: endpoint.pid,
        warm_up: times.warm_up,
        time: times.disturbed + times.disturbed / 4,
    };
    let rounds = (0..times.rounds).map(|_| {
        let quiet = neighbours.run(NEIGHBOURS_PER_SECOND, times.quiet)?;
        let disturbed = std::thread::scope(|scope| {
            let flooding = scope.spawn(|| load::run(target, FLOOD, &flood).map_err(|error| error.to_string()));
            std::thread::sleep(times.warm_up);
            let disturbed = neighbours.run(NEIGHBOURS_PER_SECOND, times.disturbed);
            flooding.join().map_err(|_| "the flood panicked")??;
            disturbed
        })?;
        std::thread::sleep(times.pause);
        Ok([quiet, disturbed])
    });
    let rounds = rounds.collect::<Result<Vec<_>, BoxError>>()?;
    add(report, &row, &format!("beside a flood of {name}"), &rounds);
    Ok(())
}

/// Adds a row, and the details of its quiet and disturbed parts.
fn add(report: &mut Report, row: &str, disturbance: &str, rounds: &[[Throughput; 2]]) {
    let p99 = |part: usize| rounds.iter().map(move |round| round[part].p99.as_secs_f64());
    let ratio = median(p99(1).zip(p99(0)).map(|(disturbed, quiet)| disturbed / quiet));
    let quiet = Beside::Figure { figure: median(p99(0)), ratio };
    report.add(row, median(p99(1)), Unit::Seconds, &quiet, Some(Goal::RatioAtMost(RATIO_GOAL)));
    let load = format!("function calls, {disturbance}");
    for (part, name) in ["circles, quiet", "circles, disturbed"].into_iter().enumerate() {
        report.add_details(&load, name, &rounds.iter().map(|round| round[part]).collect::<Vec<_>>());
    }
}
