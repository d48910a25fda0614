//! Calls of functions that read and write the store, beside Redis `FCALL`, and beside each other on one hot key.

use std::fs;

use tempfile::TempDir;

use super::{
    Options,
    contest::{self, Contender},
    function_files::{measure, one_each, open_roles},
    report::{Goal, Report, Unit},
    servers::{Kind, Server, Servers, durable_directory},
};
use crate::{
    BoxError,
    load::{JsonRpc, Redis, Throughput},
};

const FUNCTIONS: &str = "/// @returns {int}\nfn write() { store::put(\"k\", 1); 1 }\n\
    /// @returns {int}\nfn read() { store::get(\"n\", 0) }\n\
    /// @returns {int}\n/// @timeout 60 s\nfn next() { store::put(\"hot\", store::get(\"hot\", 0) + 1); 1 }\n\
    /// @returns {int}\nfn hit() { store::add(\"hits\", 1); 1 }\n";

const WRITE: &str = "Redis FCALL that sets a key, appendfsync always";
const READ: &str = "Redis FCALL that gets a key";
const SERIAL: &str = "the same, C=1 D=1";
const NEXT: &str = "calls that read, add to and write the key";

pub(crate) fn compare(options: &Options, servers: &mut Servers, report: &mut Report) -> Result<(), BoxError> {
    let call = |function: &str| JsonRpc::call(&format!("kv.{function}"), "[]", "\"result\":", 1).by_many_callers();
    let many = one_each(64);
    for (name, function, peer, goal) in [
        (format!("a call that sets a key, {many}"), "write", WRITE, 0.5),
        (format!("a call that gets a key, {many}"), "read", READ, 0.4),
    ] {
        if !report.includes_any(&name, &[peer]) {
            continue;
        }
        let (kind, protocol) = if function == "write" {
            (Kind::DurableRedis, Redis::fcall_set())
        } else {
            (Kind::Redis, Redis::fcall_get())
        };
        let redis = servers.endpoint(kind)?;
        let circle = StoreCircle::start(servers)?;
        let peers = vec![Contender {
            name: peer.into(),
            goal: Some(Goal::RatioAtLeast(goal)),
            measure: redis.map(|redis| measure(options, redis, 64, protocol, per_second)),
        }];
        let calls = measure(options, circle.server.endpoint, 64, call(function), per_second);
        contest::compare(report, &name, Unit::PerSecond, options.rounds(), calls, None, peers)?;
    }
    for (name, connections, function, peer, peer_connections, peer_function, goal) in [
        (format!("calls that read, add to and write one key, {many}"), 64, "next", SERIAL, 1, "next", 0.7),
        (format!("calls that add to one key, {many}"), 64, "hit", NEXT, 64, "next", 5.0),
    ] {
        if !report.includes_any(&name, &[peer]) {
            continue;
        }
        let circle = StoreCircle::start(servers)?;
        let on_circle =
            |connections, function| measure(options, circle.server.endpoint, connections, call(function), per_second);
        let peers = vec![Contender {
            name: peer.into(),
            goal: Some(Goal::RatioAtLeast(goal)),
            measure: Ok(on_circle(peer_connections, peer_function)),
        }];
        let calls = on_circle(connections, function);
        contest::compare(report, &name, Unit::PerSecond, options.rounds(), calls, None, peers)?;
    }
    Ok(())
}

/// A circle with a store and functions that use it.
struct StoreCircle {
    server: Server,
    _files: TempDir,
}

impl StoreCircle {
    fn start(servers: &Servers) -> Result<Self, BoxError> {
        let files = durable_directory()?;
        let functions = files.path().join("functions");
        fs::create_dir(&functions)?;
        fs::write(functions.join("kv.rhai"), FUNCTIONS)?;
        let text = |path: std::path::PathBuf| path.into_os_string().into_string().map_err(|_| "a path in UTF-8");
        let (functions, store) = (text(functions)?, text(files.path().join("bench.redb"))?);
        let roles = open_roles().to_string();
        let arguments = ["--functions", &functions, "--roles", &roles, "--store", &store];
        let server = servers.start_circle(Kind::Circles, &arguments)?.ok_or("circles is there")?;
        Ok(Self { server, _files: files })
    }
}

fn per_second(throughput: &Throughput) -> f64 {
    throughput.per_second
}
