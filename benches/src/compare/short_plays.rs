//! A short play: circles beside servers that do less, or isolate nothing.

use super::{
    Options,
    contest::{self, Contender, Measure, Sample},
    report::{Goal, Report, Unit},
    servers::{Endpoint, Kind, Servers},
};
use crate::{
    BoxError,
    load::{self, JsonRpc, Protocol, RedisEval, Shape, Target},
};

/// The play, whose value is 42 in Rhai, Lua and JavaScript.
const SCRIPT: &str = "40 + 2";

/// The shapes of the load, each with the goals beside the echo, jsonrpsee, Redis and Node.
const SHAPES: [(Shape, [Option<f64>; 4]); 3] = [
    (Shape { connections: 1, depth: 1 }, [None, Some(1.0), None, None]),
    (Shape { connections: 16, depth: 1 }, [Some(0.45), Some(1.0), Some(0.4), Some(2.0)]),
    (Shape { connections: 8, depth: 32 }, [Some(0.4), Some(12.0), Some(1.3), None]),
];

const PEERS: [Kind; 4] = [Kind::Echo, Kind::Jsonrpsee, Kind::Redis, Kind::Node];

pub(crate) fn compare(options: &Options, servers: &mut Servers, report: &mut Report) -> Result<(), BoxError> {
    for (shape, goals) in SHAPES {
        let scenario = format!("short play, {shape}");
        let mut peers: Vec<_> = PEERS.into_iter().zip(goals).collect();
        if servers.has_program() {
            peers.push((Kind::Program, None));
        }
        peers.retain(|(kind, _)| report.includes(&contest::row_name(&scenario, kind.name())));
        if peers.is_empty() {
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
        Kind::Redis => run(target, shape, RedisEval),
        Kind::Jsonrpsee => run(target, shape, JsonRpc::play(SCRIPT, r#""result":42"#, depth)),
        Kind::Circles | Kind::Program | Kind::Node => run(target, shape, JsonRpc::play(SCRIPT, r#""value":42"#, depth)),
    }
}

fn run(target: Target, shape: Shape, protocol: impl Protocol + 'static) -> Measure<'static> {
    Box::new(move || {
        let throughput = load::run(target, shape, &protocol)?;
        Ok(Sample { figure: throughput.per_second, throughput: Some(throughput) })
    })
}
