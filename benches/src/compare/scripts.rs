//! Longer scripts: circles beside engines without limits and other languages.

use std::process::Command;

use super::{
    Options,
    contest::{self, Contender, Measure, Sample},
    report::{Goal, Report, Unit},
    servers::{Endpoint, Kind, Servers, find_program, peers_directory},
};
use crate::{
    BoxError,
    load::{self, JsonRpc, Shape, Target},
};

/// One play at a time on one connection.
const SHAPE: Shape = Shape { connections: 1, depth: 1 };

/// A script, with its peers. The scripts are blocks, so that their variables do not stay in the session.
struct Scenario {
    name: &'static str,
    script: &'static str,
    /// The value of the script, as JSON.
    value: &'static str,
    /// The least number of bytes of a response.
    response_bytes: usize,
    /// The same in JavaScript, for a server.
    javascript: Option<&'static str>,
    /// The goals beside plain Rhai without and with `sync`, if these take part.
    rhai: Option<[Option<f64>; 2]>,
    /// The name of the same program in other languages.
    programs: Option<&'static str>,
}

const SCENARIOS: [Scenario; 5] = [
    Scenario {
        name: "a play with 100 prints",
        script: "for i in 0..100 { print(i); } 42",
        value: "42",
        response_bytes: 0,
        javascript: Some("for (let i = 0; i < 100; i++) print(i); 42"),
        rhai: None,
        programs: None,
    },
    Scenario {
        name: "a value of 100 KB",
        script: "{ let s = \"\"; s.pad(100000, 'x'); s }",
        value: "\"xxxxxxxx",
        response_bytes: 100_000,
        javascript: Some("'x'.repeat(100000)"),
        rhai: None,
        programs: None,
    },
    Scenario {
        name: "a million additions",
        script: "{ let x = 0; for i in 0..1000000 { x += 1; } x }",
        value: "1000000",
        response_bytes: 0,
        javascript: None,
        rhai: Some([Some(1.1), Some(0.75)]),
        programs: Some("additions"),
    },
    Scenario {
        name: "100,000 pushes",
        script: "{ let a = []; for i in 0..100000 { a.push(i); } a.len() }",
        value: "100000",
        response_bytes: 0,
        javascript: None,
        rhai: Some([Some(1.3), None]),
        programs: None,
    },
    Scenario {
        name: "an array of 100,000 by index",
        script: "{ let a = []; a.pad(100000, 0); for i in 0..100000 { a[i] = i; } a.len() }",
        value: "100000",
        response_bytes: 0,
        javascript: None,
        rhai: Some([None, None]),
        programs: None,
    },
];

pub(crate) fn compare(options: &Options, servers: &mut Servers, report: &mut Report) -> Result<(), BoxError> {
    for scenario in &SCENARIOS {
        let includes = |peer: &str| report.includes(&contest::row_name(scenario.name, peer));
        let mut contenders = engines(options, scenario);
        contenders.retain(|contender| includes(&contender.name));
        let mut peers = vec![(Kind::Program, scenario.script)];
        peers.extend(scenario.javascript.map(|script| (Kind::Node, script)));
        for (kind, script) in peers {
            if includes(kind.name()) && (kind != Kind::Program || servers.has_program()) {
                let measure = servers.endpoint(kind)?.map(|endpoint| play(options, endpoint, script, scenario));
                contenders.push(Contender { name: kind.name().into(), goal: None, measure });
            }
        }
        if contenders.is_empty() {
            continue;
        }
        let circles = play(options, servers.circles()?, scenario.script, scenario);
        contest::compare(report, scenario.name, Unit::Seconds, options.rounds(), circles, None, contenders)?;
    }
    Ok(())
}

/// Measures the median time of a play.
fn play(options: &Options, endpoint: Endpoint, script: &str, scenario: &Scenario) -> Measure<'static> {
    let (warm_up, time) = options.times();
    let target = Target { address: endpoint.address, pid: endpoint.pid, warm_up, time };
    let answer = format!("\"value\":{}", scenario.value);
    let protocol = JsonRpc::play(script, &answer, SHAPE.depth).at_least(scenario.response_bytes);
    Box::new(move || {
        let throughput = load::run(target, SHAPE, &protocol)?;
        Ok(Sample { figure: throughput.p50.as_secs_f64(), throughput: None })
    })
}

/// Returns the contenders that evaluate a scenario in a process of their own, without a server.
fn engines(options: &Options, scenario: &Scenario) -> Vec<Contender<'static>> {
    let seconds = options.times().1.as_secs_f64().to_string();
    let mut contenders = Vec::new();
    let builds = [("plain", "plain Rhai"), ("sync", "plain Rhai with sync")];
    for ((build, name), goal) in builds.into_iter().zip(scenario.rhai.into_iter().flatten()) {
        let program = peers_directory().join(format!("rhai/target/{build}/release/plain-rhai"));
        let command = (!options.is_quick && program.exists()).then(|| {
            let mut command = Command::new(program);
            command.args([&seconds, scenario.script, scenario.value]);
            command
        });
        contenders.push(Contender { name: name.into(), goal: goal.map(Goal::RatioAtMost), measure: timed(command) });
    }
    if let Some(script) = scenario.programs {
        for (program, name, extension) in
            [("lua5.4", "Lua", "lua"), ("python3", "Python", "py"), ("node", "Node", "js")]
        {
            let command = find_program(program).filter(|_| !options.is_quick).map(|program| {
                let mut command = Command::new(program);
                command.arg(peers_directory().join(format!("scripts/{script}.{extension}"))).arg(&seconds);
                command
            });
            contenders.push(Contender { name: name.into(), goal: None, measure: timed(command) });
        }
    }
    contenders
}

/// Measures with a command that prints the seconds that a script takes.
fn timed(command: Option<Command>) -> Result<Measure<'static>, String> {
    let mut command = command.ok_or("not installed")?;
    Ok(Box::new(move || {
        let output = command.output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(String::from_utf8(output.stdout)?.trim().parse::<f64>()?.into())
    }))
}
