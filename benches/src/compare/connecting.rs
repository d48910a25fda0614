//! What stands before the first answer: a new session, a key, a whole client.

use std::{
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use client_ws::CircleWsClient;
use keys::KeyPair;
use tokio::runtime::Handle;

use super::{
    Options,
    contest::{self, Contender, Measure},
    report::{Goal, Report, Unit, median},
    servers::{Endpoint, Kind, Server, Servers},
};
use crate::{
    BoxError,
    load::{self, JsonRpc},
};

/// Longest time to the first answer of a new session.
const FIRST_ANSWER_GOAL: f64 = 0.6e-3;

const SCRIPT: &str = "40 + 2";
const ANSWER: &str = "\"value\":42";

pub(crate) fn compare(
    options: &Options,
    servers: &mut Servers,
    report: &mut Report,
    runtime: &Handle,
) -> Result<(), BoxError> {
    let repeats = if options.is_quick { 2 } else { 40 };
    first_answers(options, servers, report, repeats)?;
    authenticated(options, servers, report, repeats, runtime)?;
    commands(options, servers, report, repeats)
}

/// Compares the first answers of new sessions, without the time to connect.
fn first_answers(
    options: &Options,
    servers: &mut Servers,
    report: &mut Report,
    repeats: usize,
) -> Result<(), BoxError> {
    const NAME: &str = "first answer of a new session";
    let measure = |Endpoint { address, .. }: Endpoint, answer: &str| -> Measure<'static> {
        let protocol = JsonRpc::play(SCRIPT, answer, 1);
        Box::new(move || median_of(repeats, || Ok(load::first_response(address, &protocol)?.0)))
    };
    if !report.includes_any(NAME, &[Kind::Program.name(), Kind::Jsonrpsee.name(), Kind::Node.name()]) {
        return Ok(());
    }
    let mut peers = Vec::new();
    for (kind, answer) in [(Kind::Jsonrpsee, "\"result\":42"), (Kind::Node, ANSWER), (Kind::Program, ANSWER)] {
        if kind != Kind::Program || servers.has_program() {
            let measure = servers.endpoint(kind)?.map(|endpoint| measure(endpoint, answer));
            peers.push(Contender { name: kind.name().into(), goal: None, measure });
        }
    }
    let circles = measure(servers.circles()?, ANSWER);
    let goal = Some(Goal::AtMost(FIRST_ANSWER_GOAL));
    contest::compare(report, NAME, Unit::Seconds, options.rounds(), circles, goal, peers)
}

/// Measures connecting, authenticating and the first answer, on a circle that needs a key.
fn authenticated(
    options: &Options,
    servers: &Servers,
    report: &mut Report,
    repeats: usize,
    runtime: &Handle,
) -> Result<(), BoxError> {
    const NAME: &str = "authenticated connect to the first answer";
    if !report.includes_any(NAME, &[Kind::Program.name()]) {
        return Ok(());
    }
    let keypair = Arc::new(KeyPair::generate()?);
    let measure = |server: &Server| -> Measure<'_> {
        let url = format!("ws://{}", server.endpoint.address);
        let keypair = keypair.clone();
        Box::new(move || {
            median_of(repeats, || {
                let start = Instant::now();
                runtime.block_on(async {
                    let client = CircleWsClient::builder(&url).keypair(keypair.clone()).build()?;
                    client.connect().await?;
                    client.authenticate().await?;
                    let result = client.play(SCRIPT).await?;
                    let time = start.elapsed();
                    if result.output == "42" { Ok(time) } else { Err(format!("{SCRIPT} is {}", result.output).into()) }
                })
            })
        })
    };
    let arguments = ["--access", "authenticated"];
    let circle = servers.start_circle(Kind::Circles, &arguments)?.ok_or("circles is there")?;
    let other = servers.start_circle(Kind::Program, &arguments)?;
    let peers = other.iter().map(|server| Contender {
        name: Kind::Program.name().into(),
        goal: None,
        measure: Ok(measure(server)),
    });
    let measure = measure(&circle);
    contest::compare(report, NAME, Unit::Seconds, options.rounds(), measure, None, peers.collect())
}

/// Measures whole processes of `circles play`, each with an empty home, against a running circle.
fn commands(options: &Options, servers: &mut Servers, report: &mut Report, repeats: usize) -> Result<(), BoxError> {
    const NAME: &str = "circles play -e 1, the whole process";
    if !report.includes_any(NAME, &[Kind::Program.name()]) || servers.program_file(Kind::Circles).is_none() {
        return Ok(());
    }
    let home = tempfile::tempdir()?;
    let mut measures = Vec::new();
    for kind in [Kind::Circles, Kind::Program] {
        let Some(mut command) = servers.program_file(kind).map(Command::new) else { continue };
        let endpoint = servers.endpoint(kind)??;
        command.args(["play", "--circle", &endpoint.address.to_string(), "-e", "1"]).env_clear();
        command.env("HOME", home.path()).current_dir(&home).stdin(Stdio::null()).stderr(Stdio::null());
        let measure: Measure<'_> = Box::new(move || {
            median_of(repeats, || {
                let start = Instant::now();
                let output = command.output()?;
                let time = start.elapsed();
                if output.stdout == b"1\n" { Ok(time) } else { Err(format!("{command:?} failed").into()) }
            })
        });
        measures.push((kind, measure));
    }
    let mut measures = measures.into_iter();
    let (_, circles) = measures.next().ok_or("circles is there")?;
    let peers =
        measures.map(|(kind, measure)| Contender { name: kind.name().into(), goal: None, measure: Ok(measure) });
    contest::compare(report, NAME, Unit::Seconds, options.rounds(), circles, None, peers.collect())
}

/// Returns the median of repeated measurements, in seconds.
fn median_of(
    repeats: usize,
    mut measure: impl FnMut() -> Result<Duration, BoxError>,
) -> Result<contest::Sample, BoxError> {
    let times = (0..repeats).map(|_| measure()).collect::<Result<Vec<_>, _>>()?;
    Ok(median(times.into_iter().map(|time| time.as_secs_f64())).into())
}
