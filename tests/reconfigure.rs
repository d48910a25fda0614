//! Reconfiguration of a running circle over the IPC with its supervisor.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    process::Child,
};

use rustix::process::{Pid, test_kill_process};
use serde_json::{Value, json};

use crate::support::{
    Home, WAIT_TIMEOUT,
    process::{MAX_SPARES, wait_for_end, wait_for_spares},
    wire::WireClient,
};

/// A circle, with the supervisor's end of the IPC.
struct SupervisedCircle {
    home: Home,
    child: Child,
    ipc: BufReader<UnixStream>,
    address: String,
    requests: u64,
}

impl SupervisedCircle {
    fn start(arguments: &[&str]) -> Self {
        Self::start_in(Home::new(), arguments)
    }

    fn start_in(home: Home, arguments: &[&str]) -> Self {
        let (socket, its_socket) = UnixStream::pair().expect("a pair");
        socket.set_read_timeout(Some(WAIT_TIMEOUT)).expect("a timeout");
        let mut command = home.command();
        command.args(["serve", "--supervised", "--name", "a", "--port", "0"]);
        let child = command.stdin(std::os::fd::OwnedFd::from(its_socket)).spawn().expect("the binary runs");
        drop(command);
        let mut circle = Self { home, child, ipc: BufReader::new(socket), address: String::new(), requests: 0 };
        let arguments = [&["serve", "--supervised", "--name", "a", "--port", "0"], arguments].concat();
        let start = json!({ "jsonrpc": "2.0", "method": "start", "params": { "arguments": arguments } });
        writeln!(circle.ipc.get_ref(), "{start}").expect("it is there");
        let ready = circle.receive();
        assert_eq!(ready["method"], "ready");
        ready["params"]["address"].as_str().expect("an address").clone_into(&mut circle.address);
        circle
    }

    fn receive(&mut self) -> Value {
        let mut line = String::new();
        assert!(self.ipc.read_line(&mut line).expect("it says something") > 0, "it has closed its socket");
        serde_json::from_str(&line).expect("JSON")
    }

    /// Sends a configuration; returns the circle's answer.
    fn ask(&mut self, arguments: &[&str]) -> Value {
        self.requests += 1;
        let arguments = [&["serve", "--name", "a", "--port", "0"], arguments].concat();
        let params = json!({ "arguments": arguments });
        let request = json!({ "jsonrpc": "2.0", "id": self.requests, "method": "configure", "params": params });
        writeln!(self.ipc.get_ref(), "{request}").expect("it is there");
        loop {
            let message = self.receive();
            if message["id"] == self.requests {
                return message;
            }
        }
    }

    fn configure(&mut self, arguments: &[&str]) {
        let message = self.ask(arguments);
        assert_eq!(message["result"], json!({}), "{message}");
    }

    /// Sends a configuration that the circle rejects; returns the reason.
    fn refusal(&mut self, arguments: &[&str]) -> String {
        self.ask(arguments)["error"]["message"].as_str().expect("a refusal").to_owned()
    }

    fn connect(&self) -> WireClient {
        WireClient::connect(&self.address)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.home.path().join(name);
        fs::create_dir_all(path.parent().expect("it is in the home")).expect("made");
        fs::write(path, text).expect("written");
    }
}

impl Drop for SupervisedCircle {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        self.child.wait().expect("it was started here");
    }
}

#[test]
fn removed_member_is_disconnected_and_the_others_stay() {
    let home = Home::new();
    let (one, other) = (home.add_key("one"), home.add_key("other"));
    let [one_hex, other_hex] = [&one, &other].map(|key| key.public_key().to_hex());
    let mut circle = SupervisedCircle::start_in(home, &["--member", &one_hex, "--member", &other_hex]);
    let (mut leaves, mut stays) = (circle.connect(), circle.connect());
    leaves.authenticate(&one);
    stays.authenticate(&other);
    assert_eq!(stays.value("let x = 40; x"), 40);
    leaves.send(r#"{"jsonrpc":"2.0","id":1,"method":"play","params":["print(1); loop {}"]}"#);
    leaves.next();

    circle.configure(&["--member", &other_hex]);
    assert_eq!(leaves.close_code(), 1008);
    assert_eq!(stays.value("x + 2"), 42, "its environment is the same");
    assert_eq!(circle.connect().authenticate(&one)["error"]["code"], -32003);

    circle.configure(&["--member", &one_hex, "--member", &other_hex]);
    assert_eq!(circle.connect().authenticate(&one)["result"]["authenticated"], true);
    assert_eq!(stays.value("x + 2"), 42);
}

#[test]
fn hosts_origins_and_description_apply_at_once() {
    let mut circle = SupervisedCircle::start(&[]);
    let mut wire = circle.connect();
    let get = |circle: &SupervisedCircle, host: &str| {
        let mut stream = std::net::TcpStream::connect(&circle.address).expect("it listens");
        stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("a timeout");
        write!(stream, "GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").expect("it takes requests");
        let mut status = String::new();
        BufReader::new(stream).read_line(&mut status).expect("it answers");
        status.split(' ').nth(1).expect("a status").to_owned()
    };
    assert_eq!(get(&circle, "circles.example"), "421");
    circle.configure(&["--hosts", "circles.example", "--description", "another"]);
    assert_eq!(get(&circle, "circles.example"), "200");
    assert_eq!(wire.call("describe", json!({}))["result"]["description"], "another");
    circle.configure(&[]);
    assert_eq!(get(&circle, "circles.example"), "421");
    assert!(wire.call("describe", json!({}))["result"].get("description").is_none());
}

#[test]
fn new_init_script_and_modules_apply_to_new_environments_only() {
    let home = Home::new();
    let mut circle = SupervisedCircle::start_in(home, &[]);
    circle.write("init.rhai", "fn answer() { 1 }");
    circle.write("modules/m.rhai", "fn answer() { 10 }");
    let arguments = ["--init", "init.rhai", "--modules", "modules"];
    let mut before = circle.connect();
    assert_eq!(before.error("answer()")["code"], -32000);
    circle.configure(&arguments);
    assert_eq!(before.error("answer()")["code"], -32000, "its environment is the same");
    let mut wire = circle.connect();
    let answer = r#"import "m" as m; answer() + m::answer()"#;
    assert_eq!(wire.value(answer), 11);

    // The same arguments, but changed files.
    circle.write("modules/m.rhai", "fn answer() { 40 }");
    circle.configure(&arguments);
    assert_eq!(circle.connect().value(answer), 41);
    circle.write("init.rhai", "fn answer() { 2 }");
    circle.configure(&arguments);
    assert_eq!(circle.connect().value(answer), 42);
    assert_eq!(wire.value("answer() + m::answer()"), 11);
    // A reset environment is a new one.
    assert_eq!(wire.call("reset", json!({}))["result"]["reset"], true);
    assert_eq!(wire.value(answer), 42);
}

#[test]
fn failed_reconfiguration_changes_nothing() {
    let mut circle = SupervisedCircle::start(&["--limit", "play_ms=5000"]);
    let mut wire = circle.connect();
    assert_eq!(wire.value("let x = 42; x"), 42);
    circle.write("broken.rhai", "let x = ;");
    circle.write("fails.rhai", "throw 1");
    let cases: &[(&[&str], &str)] = &[
        (&["--init", "broken.rhai", "--description", "new"], "init script failed"),
        (&["--init", "fails.rhai", "--description", "new"], "init script failed"),
        (&["--init", "nowhere.rhai"], "nowhere.rhai"),
        (&["--modules", "nowhere"], "nowhere"),
        (&["--access", "authenticated"], "the access cannot change"),
        (&["--sandbox", "required"], "the sandbox cannot change"),
        (&["--host", "127.0.0.2"], "the address of a running circle cannot change"),
        (&["--name", "b"], "'--name"),
        (&["--limit", "luck=1"], "luck"),
        (&["--limit", "workers=0"], "cannot be 0"),
        (&["--luck"], "--luck"),
    ];
    for (arguments, piece) in cases {
        let refusal = circle.refusal(arguments);
        assert!(refusal.contains(piece), "{arguments:?}: {refusal}");
    }
    assert!(wire.call("describe", json!({}))["result"].get("description").is_none());
    assert_eq!((wire.value("x"), circle.connect().value("40 + 2")), (42.into(), 42.into()));
}

#[test]
fn limits_apply_to_new_sessions_and_plays() {
    let mut circle = SupervisedCircle::start(&["--limit", "operations=100000", "--limit", "connections=2"]);
    let long = "for i in 0..20000 {} 42";
    let mut before = circle.connect();
    assert_eq!(before.value(long), 42);
    circle.configure(&["--limit", "operations=1000", "--limit", "connections=3"]);
    assert_eq!(before.value(long), 42, "its environment is the same");
    let mut after = circle.connect();
    assert_eq!(after.error(long)["code"], -32004);
    let limits = |wire: &mut WireClient| {
        let limits = wire.call("describe", json!({}))["result"]["limits"].clone();
        (limits["operations"].as_u64(), limits["connections"].as_u64())
    };
    assert_eq!((limits(&mut before), limits(&mut after)), ((Some(100_000), Some(3)), (Some(1000), Some(3))));
    let _third = circle.connect();
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| circle.connect()));
    assert!(refused.is_err(), "there are three places");
}

#[test]
fn requests_and_drain_are_handled_while_an_init_script_runs() {
    let mut circle = SupervisedCircle::start(&[]);
    circle.write("endless.rhai", "loop {}");
    let request = json!({ "jsonrpc": "2.0", "id": "slow", "method": "configure", "params": { "arguments":
        ["serve", "--name", "a", "--port", "0", "--init", "endless.rhai", "--limit", "play_ms=20000"] } });
    writeln!(circle.ipc.get_ref(), "{request}").expect("it is there");
    // The circle keeps serving and sending heartbeats.
    assert_eq!(circle.connect().value("40 + 2"), 42);
    while circle.receive()["method"] != "figures" {}
    assert_eq!(circle.ask(&[])["error"]["code"], -32600, "one at a time");
    writeln!(circle.ipc.get_ref(), r#"{{"jsonrpc":"2.0","method":"drain","params":{{}}}}"#).expect("it is there");
    wait_for_end(Pid::from_child(&circle.child));
    assert_eq!(circle.child.wait().expect("it was started here").code(), Some(0));
}

#[test]
fn endless_init_script_ends_with_its_circle() {
    let mut circle = SupervisedCircle::start(&[]);
    circle.write("endless.rhai", "loop {}");
    let pid = Pid::from_child(&circle.child);
    assert_eq!(circle.connect().value("40 + 2"), 42);
    let before = crate::support::process::children(pid);
    let request = json!({ "jsonrpc": "2.0", "id": "slow", "method": "configure", "params": { "arguments":
        ["serve", "--name", "a", "--port", "0", "--init", "endless.rhai", "--limit", "play_ms=600000"] } });
    writeln!(circle.ipc.get_ref(), "{request}").expect("it is there");
    let runs_it = loop {
        let now = crate::support::process::children(pid);
        if let Some(new) = now.into_iter().find(|child| !before.contains(child) && cpu_ticks(*child) > 10) {
            break new;
        }
        assert_eq!(circle.receive()["method"], "figures", "it is not answered yet");
    };
    circle.child.kill().expect("it is there");
    wait_for_end(runs_it);
}

/// CPU time of a process, in hundredths of a second: `proc_pid_stat(5)`.
fn cpu_ticks(pid: Pid) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().and_then(|fields| fields.split(' ').nth(11)?.parse().ok()).unwrap_or_default()
}

#[test]
fn unused_fork_servers_are_ended() {
    let mut circle = SupervisedCircle::start(&[]);
    circle.write("init.rhai", "fn answer() { 1 }");
    let pid = Pid::from_child(&circle.child);
    // Neither an idle connection nor a reset session needs a fork server.
    let (_idle, mut has_reset) = (circle.connect(), circle.connect());
    assert_eq!(has_reset.value("40 + 2"), 42);
    assert_eq!(has_reset.call("reset", json!({}))["result"]["reset"], true);
    let mut wire = circle.connect();
    assert_eq!(wire.value("40 + 2"), 42);
    let [first] = &crate::support::process::children(pid)[..] else { panic!("one fork server") };
    circle.configure(&["--init", "init.rhai"]);
    let fork_servers = crate::support::process::children(pid);
    assert!(
        fork_servers.len() == 2 && fork_servers.contains(first),
        "the first one still has a worker: {fork_servers:?}"
    );
    circle.configure(&["--init", "init.rhai", "--description", "another"]);
    assert_eq!(crate::support::process::children(pid), fork_servers, "workers come from the same fork servers");
    drop(wire);
    wait_for_end(*first);
    assert!(test_kill_process(pid).is_ok());
}

#[test]
fn spare_workers_of_old_settings_end_and_are_not_used() {
    let limit = |workers| ["--limit", workers, "--limit", "sessions_per_caller=3"];
    let mut circle = SupervisedCircle::start(&limit("workers=5"));
    circle.write("init.rhai", "fn answer() { 7 }");
    let pid = Pid::from_child(&circle.child);
    let mut first = circle.connect();
    assert_eq!(first.value("40 + 2"), 42);
    let old = wait_for_spares(pid, MAX_SPARES);
    circle.configure(&[&limit("workers=5")[..], &["--init", "init.rhai"]].concat());
    let mut wire = circle.connect();
    assert_eq!(wire.value("answer()"), 7);
    old.into_iter().for_each(wait_for_end);
    // A change that the setup of workers does not contain keeps the fork server, and the number of spare workers follows.
    let new = wait_for_spares(pid, 3);
    circle.configure(&[&limit("workers=3")[..], &["--init", "init.rhai"]].concat());
    let left = wait_for_spares(pid, 1);
    assert!(new.contains(&left[0]));
    assert_eq!(first.value("40 + 2"), 42);
}

/// Python script that holds a lease on a file: opening the file blocks, as on a hanging file system.
const LEASE: &str = "
import fcntl, os, signal, sys
file = os.open(sys.argv[1], os.O_RDWR)
signal.signal(signal.SIGIO, lambda *_: print('opened', flush=True))
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('leased', flush=True)
while True: signal.pause()
";

#[test]
fn circle_with_blocked_files_is_ended_by_a_signal() {
    let circle = SupervisedCircle::start(&[]);
    circle.write("leased.rhai", "const DAY = 1;");
    let mut lease = std::process::Command::new("python3");
    lease.args(["-c", LEASE]).arg(circle.home.path().join("leased.rhai"));
    let lease = lease.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn();
    let Ok(lease) = lease else { return crate::support::skip("no python3 here") };
    let mut lease = crate::support::process::ReapedChild(lease);
    let mut lines = BufReader::new(lease.0.stdout.take().expect("piped"));
    let mut line = String::new();
    lines.read_line(&mut line).expect("it can be read");
    if line != "leased\n" {
        return crate::support::skip("no leases on files here");
    }
    let params = json!({ "arguments": ["serve", "--name", "a", "--port", "0", "--init", "leased.rhai"] });
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "configure", "params": params });
    writeln!(circle.ipc.get_ref(), "{request}").expect("it is there");
    line.clear();
    lines.read_line(&mut line).expect("it can be read");
    assert_eq!(line, "opened\n", "the circle opens it");
    let pid = Pid::from_child(&circle.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is there");
    wait_for_end(pid);
}
