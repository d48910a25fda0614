//! A play with a host call, beside a play without one on the same circle.

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

const SHAPES: [Shape; 2] = [Shape { connections: 1, depth: 1 }, Shape { connections: 16, depth: 1 }];

pub(crate) fn compare(options: &Options, report: &mut Report) -> Result<(), BoxError> {
    for shape in SHAPES {
        let name = format!("a play with a host call, {shape}");
        if !report.includes_any(&name, &["a play"]) {
            continue;
        }
        // `circles serve` has no host functions, so this program serves the circle.
        let server = Server::start_own_circle(&[])?;
        let measure = |script: &'static str| -> Measure<'static> {
            let Endpoint { address, pid } = server.endpoint;
            let (warm_up, time) = options.times();
            let target = Target { address, pid, warm_up, time };
            let protocol = JsonRpc::play(script, "\"value\":42", shape.depth);
            Box::new(move || {
                let throughput = load::run(target, shape, &protocol)?;
                Ok(Sample { figure: throughput.p50.as_secs_f64(), throughput: None })
            })
        };
        let peer =
            Contender { name: "a play".into(), goal: Some(Goal::RatioAtMost(2.0)), measure: Ok(measure("40 + 2")) };
        let with_call = measure("bench::answer()");
        contest::compare(report, &name, Unit::Seconds, options.rounds(), with_call, None, vec![peer])?;
    }
    Ok(())
}
