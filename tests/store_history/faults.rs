//! Circles whose store lacks a guarantee, in this process: the checker finds an anomaly.

use std::{
    fs,
    future::pending,
    net::TcpListener,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use history::{Anomaly, History, Random, check, seed};
use rustix::process::{Pid, getpid};
use serde_json::json;
use server_ws::{AccessDefinition, Circle, SkippedCheck, StoreLocation, Workers};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::{steps::FUNCTIONS, victims::Victims, workload::Workload};
use crate::support::{BINARY, process::children};

/// Requests to one circle, and the number of circles in which the anomaly must be found.
const REQUESTS: usize = 500;
const CIRCLES: usize = 20;

/// Excludes the circles of other tests: their fork servers are children of this process, too, and a circle does not start
/// while its fork server is killed.
static ONLY: Mutex<()> = Mutex::new(());

/// A circle in this process, with workers of the binary.
struct OwnCircle {
    url: String,
    // Dropping it ends the circle.
    _runtime: Runtime,
    _directory: TempDir,
}

impl OwnCircle {
    fn start(location: impl FnOnce(&Path) -> StoreLocation) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, source) in FUNCTIONS {
            fs::write(directory.path().join(format!("{name}.rhai")), source).expect("written");
        }
        let roles = json!({
            "roles": { "owner": { "call": ["*"], "play": true, "use": ["store"] } }, "anyone": "owner",
        });
        let roles: AccessDefinition<u64> = serde_json::from_value(roles).expect("roles");
        let roles = roles.try_map_keys(|_, _, _| Err(())).expect("no members");
        let circle = Circle::builder("shop")
            .workers(Workers::Process { program: BINARY.into() })
            .grace_period(Duration::ZERO)
            .functions(directory.path())
            .roles(roles)
            .store(location(&directory.path().join("shop.redb")))
            .build()
            .expect("a circle");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("ws://{}", listener.local_addr().expect("bound"));
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        runtime.spawn(async { server_ws::run(listener, Arc::new(circle), pending()).await.expect("it serves") });
        Self { url, _runtime: runtime, _directory: directory }
    }
}

impl Victims for OwnCircle {
    /// Other children are circles of other tests, which have fork servers of their own.
    fn fork_servers(&self) -> Vec<Pid> {
        let is_fork_server = |pid: &Pid| {
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|command| command.split(|byte| *byte == 0).any(|argument| argument == b"--circles-template"))
        };
        children(getpid()).into_iter().filter(is_fork_server).collect()
    }

    fn kill_circle(&self) -> bool {
        false
    }
}

/// The history of a circle.
fn history(random: &mut Random, location: impl FnOnce(&Path) -> StoreLocation) -> History {
    let _only = ONLY.lock().unwrap_or_else(PoisonError::into_inner);
    let circle = OwnCircle::start(location);
    Workload::new(circle.url.clone(), REQUESTS).run(&circle, random).0
}

/// Whether the checker finds an anomaly of a kind in one of some circles that skip a check.
fn is_found(skipped: SkippedCheck, is_of_kind: impl Fn(&Anomaly) -> bool) -> bool {
    let mut random = Random::new(seed());
    (1..=CIRCLES).any(|circle| {
        let faulty = |path: &Path| StoreLocation::Faulty { path: path.to_owned(), skipped };
        let anomalies = check(&history(&mut random, faulty));
        println!("{skipped:?}, circle {circle}: {} anomalies, first {:?}", anomalies.len(), anomalies.first());
        anomalies.iter().any(&is_of_kind)
    })
}

#[test]
fn circle_in_this_process_is_strictly_serializable() {
    let anomalies = check(&history(&mut Random::new(seed()), |path| StoreLocation::File(path.to_owned())));
    assert!(anomalies.is_empty(), "{anomalies:#?}");
}

#[test]
fn checker_finds_over_the_wire_that_intervals_are_not_validated() {
    assert!(is_found(SkippedCheck::Intervals, |anomaly| matches!(anomaly, Anomaly::Cycle(_))));
}

#[test]
fn checker_finds_over_the_wire_that_groups_are_not_validated() {
    assert!(is_found(SkippedCheck::Group, |anomaly| matches!(anomaly, Anomaly::LostUpdate(_))));
}
