//! A call of a function of the circle, beside a short play on the same circle.

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

/// One request at a time, and many: the goal of the first is that of a single caller.
const SHAPES: [(Shape, Option<f64>); 2] =
    [(Shape { connections: 1, depth: 1 }, Some(1.3)), (Shape { connections: 16, depth: 1 }, None)];

pub(crate) fn compare(options: &Options, report: &mut Report) -> Result<(), BoxError> {
    for (shape, goal) in SHAPES {
        let name = format!("a call, {shape}");
        if !report.includes_any(&name, &["a short play"]) {
            continue;
        }
        let server = Server::start_own_circle(&["functions"])?;
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
        let call = measure(JsonRpc::call("answer", "[40, 2]", "\"result\":42", shape.depth));
        let peer = Contender { name: "a short play".into(), goal: goal.map(Goal::RatioAtMost), measure: Ok(play) };
        contest::compare(report, &name, Unit::Seconds, options.rounds(), call, None, vec![peer])?;
    }
    Ok(())
}
