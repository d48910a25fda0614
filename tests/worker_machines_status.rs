//! What operators see of worker machines: `circles status`, `/metrics`, `circles doctor` and the log of `circles worker`.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::Child,
    sync::{Arc, Mutex, PoisonError},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{
    CommandOutput, Home, background::BackgroundCircles, command_output, eventually, http::get, nats::NatsServer,
};

/// A process of `circles worker` whose log can be read. Dropping it kills the process.
struct Machine {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Machine {
    fn start(home: &Home, url: &str, options: &[&str]) -> Self {
        let mut command = home.command();
        let mut child = command.args(["worker", "--nats", url]).args(options).spawn().expect("the binary runs");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let log = Arc::new(Mutex::new(String::new()));
        let written = log.clone();
        // Ends with the process.
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                *written.lock().unwrap_or_else(PoisonError::into_inner) += &format!("{line}\n");
            }
        });
        Self { child, log }
    }

    fn wait_for(&self, line: &str) {
        eventually(|| {
            let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
            if log.contains(line) { Ok(()) } else { Err(format!("no '{line}' in {log}")) }
        });
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is there");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _has_ended = self.child.kill();
        self.child.wait().expect("it was started here");
    }
}

/// A circle `team` with a pool on this NATS, which is up, and its configuration.
fn team(url: &str) -> BackgroundCircles {
    let circles = json!({ "circles": [
        { "name": "team", "port": 0, "worker_pool": { "nats": url } },
        { "name": "local", "port": 0 },
    ] });
    let background = BackgroundCircles::start(&circles.to_string());
    background.run_ok(&["up"]);
    background
}

/// Waits until the status of the pool of `team` meets a condition, and returns the status.
fn wait_for_pool(circles: &BackgroundCircles, is_met: impl Fn(&Value) -> bool) -> Value {
    eventually(|| {
        let pool = circles.status("team")["worker_pool"].clone();
        if is_met(&pool) { Ok(pool) } else { Err(pool) }
    })
}

fn wait_for_state(circles: &BackgroundCircles, state: &str) -> Value {
    wait_for_pool(circles, |pool| pool["state"] == state)
}

/// The page of `GET /metrics` of a circle.
fn metrics(circles: &BackgroundCircles, name: &str) -> String {
    let url = circles.status(name)["url"].as_str().expect("a URL").to_owned();
    let authority = url.split_once("://").expect("a URL").1;
    let (status, page) = get(authority, "/metrics", &format!("host: {authority}\r\n"));
    assert_eq!(status, 200, "{page}");
    page
}

#[test]
fn status_and_metrics_follow_machines_placements_and_the_connection() {
    let Some(mut server) = NatsServer::start("status_of_machines", "") else { return };
    let circles = team(&server.url());
    let pool = wait_for_state(&circles, "no-machine");
    assert_eq!((&pool["machines"], &pool["list"], &pool["placement_p50_us"]), (&json!(0), &json!([]), &Value::Null));
    let table = circles.run_ok(&["status"]);
    assert!(table.contains("\n  no worker machine: start one: circles worker --nats URL\n"), "{table}");
    assert!(table.lines().next().is_some_and(|titles| titles.ends_with("MACHINES")), "{table}");
    assert_eq!(circles.status("local").get("worker_pool"), None);
    let refused = circles.connect("team").play("1");
    assert_eq!(refused["error"]["code"], -32006, "{refused}");

    let machine = Machine::start(&circles.home, &server.url(), &["--name", "m1", "--places", "4"]);
    machine.wait_for("connected to NATS");
    machine.wait_for("machine accepts workers");
    wait_for_state(&circles, "ok");
    let mut wire = circles.connect("team");
    assert_eq!(wire.value("40 + 2"), 42);
    machine.wait_for("first worker for a server circle=\"team\"");
    let pool = wait_for_pool(&circles, |pool| pool["used"] == 1 && pool["placements"] == 1);
    assert_eq!((&pool["machines"], &pool["places"], &pool["workers"]), (&json!(1), &json!(4), &json!(1)));
    assert!(pool["placement_p50_us"].as_u64().is_some_and(|micros| micros > 0), "{pool}");
    let [listed] = &pool["list"].as_array().expect("a list")[..] else { panic!("{pool}") };
    assert_eq!((&listed["name"], &listed["places"], &listed["used"]), (&json!("m1"), &json!(4), &json!(1)));
    assert_eq!((&listed["build"], &listed["version"]), (&pool["build"], &json!(env!("CARGO_PKG_VERSION"))));
    let table = circles.run_ok(&["status", "team"]);
    assert!(
        table.contains("1, 1/4 used") && table.contains("\n  m1  1 of 4 places used\n  1 worker placed, in"),
        "{table}"
    );

    let page = metrics(&circles, "team");
    for line in [
        "circles_worker_machines{state=\"ready\"} 1",
        "circles_worker_machines{state=\"draining\"} 0",
        "circles_worker_places 4",
        "circles_worker_places_used 1",
        "circles_placed_workers 1",
        "circles_placements_total{outcome=\"placed\"} 1",
        "circles_placement_seconds_count 1",
        "circles_placement_seconds_bucket{le=\"+Inf\"} 1",
        "circles_nats_connected 1",
        "circles_nats_reconnects_total 0",
        "circles_nats_malformed_total 0",
    ] {
        assert!(page.lines().any(|other| other == line), "{line}: {page}");
    }
    assert!(!page.contains("circles_placements_total{outcome=\"no_machine\"} 0"), "a play was refused: {page}");
    let manual = include_str!("../docs/operating.md");
    for line in page.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
        let name = line.split(' ').next().expect("a name");
        assert!(manual.contains(&format!("`{name}`")) || manual.contains(&format!("`{name}{{")), "{name}");
    }
    let local = metrics(&circles, "local");
    assert!(!local.contains("circles_nats") && !local.contains("circles_placement"), "{local}");

    server.kill();
    let pool = wait_for_state(&circles, "disconnected");
    let error = pool["error"].as_str().expect("an error").to_owned();
    let table = circles.run_ok(&["status"]);
    assert!(
        table.contains(&format!("\n  no connection to NATS ({error}): check the servers in worker_pool")),
        "{table}"
    );
    machine.wait_for("connection to NATS lost");
    server.launch("");
    let pool = wait_for_state(&circles, "ok");
    assert!(pool["reconnects"].as_u64().is_some_and(|reconnects| reconnects > 0), "{pool}");
    assert!(pool.get("error").is_none() && pool["last_error"]["at"].is_string(), "{pool}");
    machine.wait_for("connected to NATS again");
    // The session has survived.
    assert_eq!(wire.value("1 + 1"), 2);

    machine.signal(Signal::TERM);
    machine.wait_for("machine drains: it accepts no more workers");
    machine.wait_for("machine ends");
    wait_for_state(&circles, "no-machine");
}

#[test]
fn machines_of_one_name_are_reported() {
    let Some(server) = NatsServer::start("machines_of_one_name", "") else { return };
    let circles = team(&server.url());
    let _machines = [(); 2].map(|()| Machine::start(&circles.home, &server.url(), &["--name", "m1"]));
    wait_for_pool(&circles, |pool| pool["list"][0]["is_duplicate"] == true);
    let table = circles.run_ok(&["status"]);
    assert!(table.contains("several worker machines have the same name: m1: give each its own"), "{table}");
    let (code, findings) = doctor(&circles.home);
    assert!(code == Some(3) && findings.iter().any(|finding| finding.contains("the same name: m1")), "{findings:#?}");
    let log = circles.run_ok(&["logs", "team"]);
    assert!(log.contains("several worker machines have one name"), "{log}");
}

#[test]
fn circles_of_one_name_are_reported() {
    let Some(server) = NatsServer::start("circles_of_one_name", "") else { return };
    let circles = team(&server.url());
    wait_for_state(&circles, "no-machine");
    let other = Home::new().run(&["serve", "--port", "0", "--name", "team", "--nats", &server.url()]);
    assert!(other.code == Some(2) && other.stderr.contains("give the circles different names"), "{other:?}");
    let pool = wait_for_state(&circles, "conflict");
    let table = circles.run_ok(&["status"]);
    assert!(table.contains("\n  the circle team with the key temporary "), "{table}");
    assert!(pool["conflict"].as_str().is_some_and(|text| text.contains("or the same identity")), "{pool}");
    // The other circle has ended.
    wait_for_state(&circles, "no-machine");
}

/// The exit code and the findings of `circles doctor`, as text: level, what, why and fix.
fn doctor(home: &Home) -> (Option<i32>, Vec<String>) {
    let ran = home.run(&["doctor", "--json"]);
    let all: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let findings = all["findings"].as_array().expect("a list").iter().filter(|finding| finding["section"] == "circles");
    let text = |finding: &Value| {
        let [level, what, why, fix] =
            ["level", "what", "why", "fix"].map(|part| finding[part].as_str().unwrap_or_default().to_owned());
        format!("{level} {what}: {why} -> {fix}")
    };
    (ran.code, findings.map(text).collect())
}

#[track_caller]
fn expect_finding(home: &Home, code: i32, pieces: &[&str]) {
    let (found, findings) = doctor(home);
    let is_there = findings.iter().any(|finding| pieces.iter().all(|piece| finding.contains(piece)));
    assert!(is_there && found == Some(code), "{pieces:?}: {found:?} {findings:#?}");
}

#[test]
fn doctor_connects_and_lists_the_machines() {
    let Some(mut server) = NatsServer::start("doctor_of_machines", "") else { return };
    let circles = team(&server.url());
    let url = server.url();
    expect_finding(&circles.home, 3, &["error team: no worker machine", "-> start one: circles worker --nats URL"]);
    let machine = Machine::start(&circles.home, &url, &["--name", "m1", "--places", "4"]);
    machine.wait_for("machine accepts workers");
    let list = format!("ok team connects to NATS at {url}; 1 machine, 0 of 4 places used: m1 (0 of 4 places used)");
    let (code, findings) = doctor(&circles.home);
    assert!(findings.iter().any(|finding| finding.starts_with(&list)), "{code:?} {findings:#?}");
    assert!(!findings.iter().any(|finding| finding.starts_with("error team")), "{findings:#?}");
    server.kill();
    expect_finding(
        &circles.home,
        3,
        &["error team cannot connect to NATS: could not connect to NATS at ", "refused", "-> start nats-server there"],
    );
}

/// Makes an nkey in the home, and returns its public key.
fn new_nkey(home: &Home, file: &str) -> String {
    let ran = home.run(&["worker", "--new-nkey", file]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stdout.trim().to_owned()
}

/// The text of an error without its line breaks.
fn one_line(ran: &CommandOutput) -> String {
    ran.stderr.replace('\n', " ").replace("  ", " ")
}

#[test]
fn missing_permissions_reach_doctor_and_standard_error() {
    let home = Home::new();
    let [circle, machine] = ["team.nkey", "m1.nkey"].map(|file| new_nkey(&home, file));
    // Neither has the permission for placements.
    let config = format!(
        r#"authorization {{ users = [
            {{ nkey: {circle}, permissions: {{
                publish: ["circles.team.worker.>", "circles.team.server.>", "circles.team.servers"]
                subscribe: ["circles.team.server.>", "circles.team.servers", "circles.team.machines"]
            }} }},
            {{ nkey: {machine}, permissions: {{
                publish: ["circles.team.server.>"]
                subscribe: ["circles.team.worker.m1.>"]
            }} }},
        ] }}"#
    );
    let Some(server) = NatsServer::start("missing_permissions", &config) else { return };
    let url = server.url();
    let worker = ["worker", "--nats", &url, "--nats-nkey", "m1.nkey", "--circle", "team", "--name", "m1"];
    let ran = home.run(&worker);
    let error = one_line(&ran);
    assert!(
        ran.code == Some(4) && error.contains("circles.team.place.") && error.contains("circles.team.machines"),
        "{ran:?}"
    );
    let ran = home.run(&["serve", "--port", "0", "--name", "team", "--nats", &url, "--nats-nkey", "team.nkey"]);
    assert!(ran.code == Some(4) && one_line(&ran).contains("circles.team.place."), "{ran:?}");
    let circles =
        json!({ "circles": [{ "name": "team", "port": 0, "worker_pool": { "nats": url, "nkey": "team.nkey" } }] });
    fs::write(home.path().join("circles.json"), circles.to_string()).expect("written");
    expect_finding(
        &home,
        4,
        &["error team lacks a permission in NATS", "circles.team.place.", "-> give the circle's user"],
    );
    let stranger = circles.to_string().replace("team.nkey", "stranger.nkey");
    let public_key = new_nkey(&home, "stranger.nkey");
    fs::write(home.path().join("circles.json"), stranger).expect("written");
    expect_finding(&home, 4, &["error team cannot use NATS: NATS at ", &public_key, "-> check the credentials"]);
}

#[test]
fn revoked_permission_reaches_status_and_the_log_of_the_machine() {
    let Some(mut server) = NatsServer::start("revoked_permission", "") else { return };
    let circles = team(&server.url());
    let machine = Machine::start(&circles.home, &server.url(), &["--name", "m1", "--circle", "team"]);
    wait_for_state(&circles, "ok");
    server.kill();
    server.launch(r#"authorization { default_permissions: { publish: [">"], subscribe: { deny: ["circles.team.machines", "circles.team.place.>"] } }, users: [ { user: u, password: p } ] }, no_auth_user: u"#);
    let pool = wait_for_state(&circles, "denied");
    assert!(pool["error"].as_str().is_some_and(|error| error.contains("circles.team.machines")), "{pool}");
    let table = circles.run_ok(&["status"]);
    assert!(table.contains("\n  NATS denies an operation (Permissions Violation for Subscription"), "{table}");
    machine.wait_for("NATS denies an operation (Permissions Violation for Subscription");
}

#[test]
fn worker_that_nats_refuses_says_so() {
    let home = Home::new();
    let Some(server) = NatsServer::start("refused_worker", "authorization { users = [ { user: a, password: b } ] }")
    else {
        return;
    };
    let child = home.command().args(["worker", "--nats", &server.url()]).spawn().expect("the binary runs");
    let ran = command_output(&child.wait_with_output().expect("it ends"));
    assert!(ran.code == Some(4) && one_line(&ran).contains("refuses connections without credentials"), "{ran:?}");
}
