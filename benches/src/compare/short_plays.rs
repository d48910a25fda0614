//! A short play: circles beside servers that do less, or isolate nothing.

use std::{process::Command, time::Duration};

use super::{
    Options,
    contest::{self, Contender, Measure, Sample},
    report::{Goal, Report, Unit},
    servers::{Endpoint, Kind, Servers, peers_directory},
};
use crate::{
    BoxError,
    load::{self, JsonRpc, Protocol, Redis, Shape, Target, Throughput},
};

/// The play, whose value is 42 in Rhai, Lua and JavaScript.
const SCRIPT: &str = "40 + 2";

const PEERS: [Kind; 5] = [Kind::Echo, Kind::Jsonrpsee, Kind::Redis, Kind::Node, Kind::NodeWithTimeout];

/// A load, and the goals beside the peers and beside Monty.
struct Scenario {
    shape: Shape,
    goals: [Option<f64>; PEERS.len()],
    monty: Option<f64>,
}

const SCENARIOS: [Scenario; 3] = [
    Scenario { shape: Shape { connections: 1, depth: 1 }, goals: [None, Some(1.0), None, None, None], monty: None },
    Scenario {
        shape: Shape { connections: 16, depth: 1 },
        goals: [Some(0.45), Some(1.0), Some(0.4), Some(2.0), Some(2.0)],
        monty: None,
    },
    Scenario {
        shape: Shape { connections: 8, depth: 32 },
        goals: [Some(0.4), Some(12.0), Some(1.3), None, None],
        monty: Some(8.0),
    },
];

/// Monty is measured with its own client, which keeps one script in flight in each session.
const MONTY: &str = "Monty's pool";

pub(crate) fn compare(options: &Options, servers: &mut Servers, report: &mut Report) -> Result<(), BoxError> {
    for Scenario { shape, goals, monty } in SCENARIOS {
        let scenario = format!("short play, {shape}");
        let mut peers: Vec<_> = PEERS.into_iter().zip(goals).collect();
        if servers.has_program() {
            peers.push((Kind::Program, None));
        }
        peers.retain(|(kind, _)| report.includes(&contest::row_name(&scenario, kind.name())));
        let has_monty = report.includes(&contest::row_name(&scenario, MONTY));
        if peers.is_empty() && !has_monty {
            continue;
        }
        let mut contenders = Vec::new();
        for (kind, goal) in peers {
            contenders.push(Contender {
                name: kind.name().into(),
                goal: goal.map(Goal::RatioAtLeast),
                measure: servers.endpoint(kind)?.map(|endpoint| measure(options, kind, endpoint, shape)),
            });
        }
        if has_monty {
            let goal = monty.map(Goal::RatioAtLeast);
            contenders.push(Contender { name: MONTY.into(), goal, measure: measure_monty(options, shape) });
        }
        let circles = measure(options, Kind::Circles, servers.circles()?, shape);
        contest::compare(report, &scenario, Unit::PerSecond, options.rounds(), circles, None, contenders)?;
    }
    Ok(())
}

fn measure(options: &Options, kind: Kind, Endpoint { address, pid }: Endpoint, shape: Shape) -> Measure<'static> {
    let (warm_up, time) = options.times();
    let target = Target { address, pid, warm_up, time };
    let depth = shape.depth;
    match kind {
        Kind::Echo => run(target, shape, JsonRpc::echo(SCRIPT, depth)),
        Kind::Redis => run(target, shape, Redis::eval()),
        Kind::Jsonrpsee => run(target, shape, JsonRpc::play(SCRIPT, r#""result":42"#, depth)),
        _ => run(target, shape, JsonRpc::play(SCRIPT, r#""value":42"#, depth)),
    }
}

fn measure_monty(options: &Options, shape: Shape) -> Result<Measure<'static>, String> {
    let directory = peers_directory().join("monty");
    let python = directory.join("venv/bin/python");
    if options.is_quick || !python.exists() {
        return Err("not installed".into());
    }
    let (warm_up, time) = options.times();
    let seconds = [warm_up, time].map(|time| time.as_secs_f64().to_string());
    let mut command = Command::new(python);
    command.arg(directory.join("load.py")).arg(shape.connections.to_string()).args(seconds);
    Ok(Box::new(move || {
        let output = command.output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        let text = String::from_utf8(output.stdout)?;
        let figures = text.split_whitespace().map(str::parse::<f64>).collect::<Result<Vec<_>, _>>()?;
        let [per_second, p50, p99] = figures[..] else { return Err(format!("no figures: {text}").into()) };
        let [p50, p99] = [p50, p99].map(Duration::from_secs_f64);
        let throughput = Throughput { per_second, p50, p99, cpu: None };
        Ok(Sample { figure: per_second, throughput: Some(throughput) })
    }))
}

fn run(target: Target, shape: Shape, protocol: impl Protocol + 'static) -> Measure<'static> {
    Box::new(move || {
        let throughput = load::run(target, shape, &protocol)?;
        Ok(Sample { figure: throughput.per_second, throughput: Some(throughput) })
    })
}
