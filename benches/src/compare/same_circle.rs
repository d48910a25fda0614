//! Requests beside a short play on the same circle: a play with a host call, and a call of a function.

use super::{
    Options,
    contest::{self, Contender, Measure, Sample},
    report::{Goal, Report, Unit},
    servers::{Endpoint, Server},
};
use crate::{
    BoxError,
    load::{self, JsonRpc, Shape, Target},
};

const SINGLE: Shape = Shape { connections: 1, depth: 1 };
const SIXTEEN: Shape = Shape { connections: 16, depth: 1 };

/// A request, and what it is measured beside.
struct Scenario {
    name: &'static str,
    peer: &'static str,
    /// The arguments of the circle. `circles serve` has no host functions, so this program serves it.
    circle: &'static [&'static str],
    request: fn(depth: usize) -> JsonRpc,
    shapes: [(Shape, Option<f64>); 2],
}

const SCENARIOS: [Scenario; 2] = [
    Scenario {
        name: "a play with a host call",
        peer: "a play",
        circle: &[],
        request: |depth| JsonRpc::play("bench::answer()", "\"value\":42", depth),
        shapes: [(SINGLE, Some(2.0)), (SIXTEEN, Some(2.0))],
    },
    Scenario {
        name: "a call",
        peer: "a short play",
        circle: &["functions"],
        request: |depth| JsonRpc::call("answer", "[40, 2]", "\"result\":42", depth),
        shapes: [(SINGLE, Some(1.3)), (SIXTEEN, None)],
    },
];

pub(crate) fn compare(options: &Options, report: &mut Report) -> Result<(), BoxError> {
    for Scenario { name, peer, circle, request, shapes } in SCENARIOS {
        for (shape, goal) in shapes {
            let name = format!("{name}, {shape}");
            if !report.includes_any(&name, &[peer]) {
                continue;
            }
            let server = Server::start_own_circle(circle)?;
            let measure = |protocol: JsonRpc| -> Measure<'static> {
                let Endpoint { address, pid } = server.endpoint;
                let (warm_up, time) = options.times();
                let target = Target { address, pid, warm_up, time };
                Box::new(move || {
                    let throughput = load::run(target, shape, &protocol)?;
                    Ok(Sample { figure: throughput.p50.as_secs_f64(), throughput: None })
                })
            };
            let play = measure(JsonRpc::play("40 + 2", "\"value\":42", shape.depth));
            let peer = Contender { name: peer.into(), goal: goal.map(Goal::RatioAtMost), measure: Ok(play) };
            let measured = measure(request(shape.depth));
            contest::compare(report, &name, Unit::Seconds, options.rounds(), measured, None, vec![peer])?;
        }
    }
    Ok(())
}
