//! A circle with functions: its function file, and its arguments.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Options,
    contest::{Measure, Sample},
    servers::{Endpoint, Kind, Server, Servers},
};
use crate::{
    BoxError,
    load::{self, JsonRpc, Protocol, Shape, Target, Throughput},
};

/// The functions: one that does as little as `FCALL` of its peer, and one that computes until its time limit.
const FUNCTIONS: [(&str, &str); 2] = [
    (
        "answer.rhai",
        "/// Returns the sum and the product.\n/// @param {int} a\n/// @param {int} b\n/// @returns {[int]}\n\
         fn answer(a, b) { [a + b, a * b] }\n",
    ),
    (
        "busy.rhai",
        "/// Computes until the time limit.\n/// @timeout 200 ms\n/// @returns {()}\nfn busy() { loop {} }\n",
    ),
];

/// Returns calls of `answer`.
pub(super) fn answer(depth: usize) -> JsonRpc {
    JsonRpc::call("answer", "[40, 2]", "\"result\":[42,80]", depth)
}

/// Returns calls of `busy`, each of which its time limit ends.
pub(super) fn busy(depth: usize) -> JsonRpc {
    JsonRpc::call("busy", "[]", "\"code\":-32004", depth)
}

/// One request at a time on each of `connections`.
pub(super) fn one_each(connections: usize) -> Shape {
    Shape { connections, depth: 1 }
}

/// Measures a figure of requests that come one at a time on each of `connections`.
pub(super) fn measure(
    options: &Options,
    Endpoint { address, pid }: Endpoint,
    connections: usize,
    protocol: impl Protocol + 'static,
    figure: fn(&Throughput) -> f64,
) -> Measure<'static> {
    let (warm_up, time) = options.times();
    let target = Target { address, pid, warm_up, time };
    Box::new(move || {
        let throughput = load::run(target, one_each(connections), &protocol)?;
        Ok(Sample { figure: figure(&throughput), throughput: Some(throughput) })
    })
}

/// A circle with functions, and their files.
pub(super) struct FunctionCircle {
    pub(super) server: Server,
    _files: TempDir,
}

impl FunctionCircle {
    /// Starts the circle with these roles and further arguments of `circles serve`.
    pub(super) fn start(servers: &Servers, roles: &Value, arguments: &[&str]) -> Result<Self, BoxError> {
        let files = tempfile::tempdir()?;
        for (name, text) in FUNCTIONS {
            std::fs::write(files.path().join(name), text)?;
        }
        let roles = roles.to_string();
        let directory = path_text(files.path())?;
        let mut all = vec!["--functions", directory, "--roles", &roles];
        all.extend_from_slice(arguments);
        let server = servers.start_circle(Kind::Circles, &all)?.ok_or("circles is there")?;
        Ok(Self { server, _files: files })
    }
}

/// Roles with which everyone may call and play.
pub(super) fn open_roles() -> Value {
    json!({ "roles": { "player": { "call": ["*"], "play": true } }, "anyone": "player", "authenticated": "player" })
}

fn path_text(path: &Path) -> Result<&str, BoxError> {
    Ok(path.to_str().ok_or("the temporary directory has a name in UTF-8")?)
}
