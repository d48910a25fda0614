//! A call of a function beside a short play on the same circle, and beside Redis `FCALL`.

use super::{
    Options,
    contest::{self, Contender},
    function_files::{FunctionCircle, answer, measure, one_each, open_roles},
    report::{Goal, Report, Unit},
    servers::{Kind, Servers},
};
use crate::{
    BoxError,
    load::{JsonRpc, Redis, Throughput},
};

const PLAY: &str = "a short play";
const FCALL: &str = "Redis FCALL";

/// The same calls with one key for all connections: one caller has half of the circle's places to compute.
const ONE_CALLER: &str = "of one caller";

/// Numbers of connections, and the goal beside a short play.
const SCENARIOS: [(usize, Option<f64>); 3] = [(1, Some(1.3)), (16, None), (64, None)];

pub(crate) fn compare(options: &Options, servers: &mut Servers, report: &mut Report) -> Result<(), BoxError> {
    for (connections, goal) in SCENARIOS {
        let shape = one_each(connections);
        let name = format!("a function call, {shape}");
        if !report.includes_any(&name, &[PLAY, FCALL, ONE_CALLER]) {
            continue;
        }
        let redis = servers.endpoint(Kind::Redis)?;
        let circle = FunctionCircle::start(servers, &open_roles(), &[])?;
        let circle = circle.server.endpoint;
        let on_circle = |protocol: JsonRpc| measure(options, circle, connections, protocol, latency);
        let play = JsonRpc::play("40 + 2", "\"value\":42", shape.depth).by_many_callers();
        let mut peers = vec![
            Contender { name: PLAY.into(), goal: goal.map(Goal::RatioAtMost), measure: Ok(on_circle(play)) },
            Contender {
                name: FCALL.into(),
                goal: None,
                measure: redis.map(|redis| measure(options, redis, connections, Redis::fcall(), latency)),
            },
        ];
        if connections > 1 {
            let calls = answer(shape.depth).by_caller(keys::KeyPair::generate()?.into());
            peers.push(Contender { name: ONE_CALLER.into(), goal: None, measure: Ok(on_circle(calls)) });
        }
        let calls = on_circle(answer(shape.depth).by_many_callers());
        contest::compare(report, &name, Unit::Seconds, options.rounds(), calls, None, peers)?;
    }
    Ok(())
}

/// The median latency in seconds.
fn latency(throughput: &Throughput) -> f64 {
    throughput.p50.as_secs_f64()
}
