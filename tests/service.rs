//! `circles launch` and `circles serve` under a service manager, and inherited state of their children.

mod container;

use std::{
    io::{self, BufRead, BufReader},
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use rustix::process::{Pid, Signal, getsid, kill_process};

use crate::support::{
    BINARY, Home, WAIT_TIMEOUT, eventually,
    process::{ReapedChild, children, is_inspectable, wait_for_end, wait_until_stopped},
    skip,
    wire::WireClient,
};

/// A running command, with its lines on stdout.
struct RunningProcess {
    child: ReapedChild,
    lines: Receiver<String>,
}

impl RunningProcess {
    fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("it runs");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child: ReapedChild(child), lines }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child.0)
    }

    /// Waits for the address of a circle.
    fn authority(&self) -> String {
        loop {
            let line = self.lines.recv_timeout(WAIT_TIMEOUT).expect("it says where it is");
            if let Some((_, authority)) = line.split_once("listening on ws://") {
                return authority.to_owned();
            }
        }
    }

    fn end(&mut self, signal: Signal) -> Option<i32> {
        kill_process(self.pid(), signal).expect("it is there");
        wait_for_end(self.pid());
        self.child.0.wait().expect("it was started here").code()
    }
}

/// The socket of a fake service manager.
struct ServiceManagerSocket {
    socket: UnixDatagram,
    path: PathBuf,
}

impl ServiceManagerSocket {
    fn listen(home: &Home) -> Self {
        let path = home.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(WAIT_TIMEOUT)).expect("a timeout");
        Self { socket, path }
    }

    /// Receives a datagram; retries after signals. With a timeout the system call does not restart, and children of other tests
    /// cause SIGCHLD all the time.
    fn receive(&self) -> io::Result<String> {
        let mut datagram = [0; 1024];
        loop {
            match self.socket.recv(&mut datagram) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                received => {
                    return received.map(|length| String::from_utf8_lossy(&datagram[..length]).trim_end().to_owned());
                }
            }
        }
    }

    fn next(&self) -> String {
        self.receive().expect("it says more")
    }

    /// Receives messages up to `last`, without watchdog pings.
    fn until(&self, last: &str) -> Vec<String> {
        let mut messages = Vec::new();
        while messages.last().is_none_or(|line| line != last) {
            messages.push(self.next());
            messages.retain(|line| line != WATCHDOG);
        }
        messages
    }
}

const WATCHDOG: &str = "WATCHDOG=1";

const TWO: &str = r#"{ "circles": [{ "name": "a", "port": 0 }, { "name": "b", "port": 0 }] }"#;

fn configured(config: &str) -> Home {
    let home = Home::new();
    std::fs::write(home.path().join("circles.json"), config).expect("written");
    home
}

fn environment(pid: Pid) -> Vec<String> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).expect("it is ours");
    let entries = environment.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
    entries.map(|entry| String::from_utf8_lossy(entry).into_owned()).collect()
}

fn open_files(pid: Pid) -> Vec<PathBuf> {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it is ours");
    descriptors.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok()).collect()
}

/// A command that inherits an open file.
fn with_a_file(home: &Home, file: &Path, args: &str) -> Command {
    let mut command = Command::new("sh");
    let script = format!("exec 9<{} && exec {BINARY} {args}", file.display());
    let own = home.command();
    command.args(["-c", &script]).current_dir(home.path()).env_clear();
    command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("CIRCLES_LOG", "info").env("SECRET", "1").stdout(std::process::Stdio::piped());
    command
}

#[test]
fn circle_process_has_its_own_session_and_a_clean_environment() {
    let home = configured(r#"{ "circles": [{ "name": "a", "port": 0 }] }"#);
    let (file, manager) = (home.path().join("private"), ServiceManagerSocket::listen(&home));
    std::fs::write(&file, "").expect("written");
    let mut command = with_a_file(&home, &file, "launch");
    let mut launched = RunningProcess::start(command.env("NOTIFY_SOCKET", &manager.path));
    WireClient::connect(&launched.authority()).value("1");
    assert!(open_files(launched.pid()).contains(&file), "the launcher itself has it");
    let [circle] = children(launched.pid())[..] else { panic!("one circle") };
    let [fork_server] = children(circle)[..] else { panic!("one fork server") };
    let sessions = [launched.pid(), circle, fork_server].map(|pid| getsid(Some(pid)).expect("it is there"));
    assert_eq!(sessions[1..], [circle, fork_server]);
    assert_ne!(sessions[0], circle);
    assert_eq!(environment(fork_server), Vec::<String>::new());
    if !is_inspectable(circle) {
        return;
    }
    assert_eq!(environment(circle), ["CIRCLES_LOG=info"]);
    let kept = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let names: Vec<_> = open_files(circle).into_iter().filter(kept).collect();
    let mut names: Vec<_> = names.iter().map(|path| path.file_name().expect("a file").to_string_lossy()).collect();
    names.sort();
    assert_eq!(names, ["a.audit", "a.circle", "a.log"]);
    assert_eq!(launched.end(Signal::INT), Some(0));
}

#[test]
fn background_processes_hold_no_inherited_files() {
    let home = configured(r#"{ "circles": [{ "name": "a", "port": 0 }] }"#);
    let file = home.path().join("private");
    std::fs::write(&file, "").expect("written");
    let up = with_a_file(&home, &file, "up").output().expect("it runs");
    let status: serde_json::Value = serde_json::from_str(&home.run(&["status", "--json"]).stdout).expect("JSON");
    let circle = status["circles"][0]["pid"].as_i64().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
    let supervisor = circle.and_then(crate::support::process::parent).expect("it runs");
    let files = open_files(supervisor);
    assert_eq!(home.run(&["down"]).code, Some(0));
    assert!(up.status.success() && !files.contains(&file), "{files:?}");
}

#[test]
fn service_manager_is_notified_of_ready_status_and_stop() {
    let home = configured(TWO);
    let manager = ServiceManagerSocket::listen(&home);
    let mut launched = RunningProcess::start(home.command().arg("launch").env("NOTIFY_SOCKET", &manager.path));
    let messages = manager.until("READY=1");
    assert_eq!(messages[messages.len() - 2..], ["STATUS=2 of 2 circles are up", "READY=1"]);
    assert!(messages[0].starts_with("STATUS=0 of 2 circles are up, a is starting"), "{messages:?}");
    let circles = children(launched.pid());
    kill_process(circles[0], Signal::KILL).expect("it is there");
    let messages = manager.until("STATUS=2 of 2 circles are up");
    assert!(messages[0].contains("1 of 2 circles are up") && messages[0].ends_with(" is backing-off"), "{messages:?}");
    kill_process(launched.pid(), Signal::TERM).expect("it is there");
    let messages = manager.until("STOPPING=1");
    assert!(!messages.contains(&"READY=1".into()), "{messages:?}");
    wait_for_end(launched.pid());
    assert_eq!(launched.child.0.wait().expect("it was started here").code(), Some(0));
}

#[test]
fn ready_notification_does_not_wait_for_a_failed_circle() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let home =
        configured(&format!(r#"{{ "circles": [{{ "name": "a", "port": {port} }}, {{ "name": "b", "port": 0 }}] }}"#));
    let manager = ServiceManagerSocket::listen(&home);
    let mut launched = RunningProcess::start(home.command().arg("launch").env("NOTIFY_SOCKET", &manager.path));
    let messages = manager.until("READY=1");
    assert!(messages[messages.len() - 2].starts_with("STATUS=1 of 2 circles are up, a is "), "{messages:?}");
    assert_eq!(launched.end(Signal::TERM), Some(0));
}

#[test]
fn supervisor_sends_watchdog_heartbeats_unless_blocked() {
    let home = configured(r#"{ "circles": [{ "name": "a", "port": 0 }] }"#);
    for args in [vec!["launch"], vec!["serve", "--port", "0"]] {
        // A socket path can be bound only once.
        let directory = Home::new();
        let manager = ServiceManagerSocket::listen(&directory);
        let mut command = home.command();
        command.args(&args).env("NOTIFY_SOCKET", &manager.path).env("WATCHDOG_USEC", "100000");
        let mut running = RunningProcess::start(&mut command);
        manager.until("READY=1");
        for _ in 0..5 {
            assert_eq!(manager.next(), WATCHDOG);
        }
        kill_process(running.pid(), Signal::STOP).expect("it is there");
        manager.socket.set_nonblocking(true).expect("a socket");
        wait_until_stopped(running.pid());
        while manager.receive().is_ok() {}
        manager.socket.set_nonblocking(false).expect("a socket");
        manager.socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
        assert!(manager.receive().is_err(), "five signs were due");
        manager.socket.set_read_timeout(Some(WAIT_TIMEOUT)).expect("a timeout");
        kill_process(running.pid(), Signal::CONT).expect("it is there");
        assert_eq!(manager.next(), WATCHDOG);
        kill_process(running.pid(), Signal::TERM).expect("it is there");
        manager.until("STOPPING=1");
        wait_for_end(running.pid());
        assert_eq!(running.child.0.wait().expect("it was started here").code(), Some(0));
    }
}

#[test]
fn serve_notifies_the_service_manager() {
    let home = Home::new();
    let manager = ServiceManagerSocket::listen(&home);
    let mut command = home.command();
    command.args(["serve", "--port", "0"]).env("NOTIFY_SOCKET", &manager.path);
    let mut served = RunningProcess::start(&mut command);
    let authority = served.authority();
    assert_eq!(manager.until("READY=1"), [format!("STATUS=listening on ws://{authority}"), "READY=1".into()]);
    assert_eq!(WireClient::connect(&authority).value("40 + 2"), 42);
    assert_eq!(served.end(Signal::TERM), Some(0));
    assert_eq!(manager.until("STOPPING=1"), ["STOPPING=1"]);
}

#[test]
fn systemd_units_are_valid() {
    let home = Home::new();
    for (name, unit) in [
        ("circles.service", include_str!("../contrib/systemd/circles.service")),
        ("circles-worker.service", include_str!("../contrib/systemd/circles-worker.service")),
    ] {
        // The program is not installed on this machine.
        let unit = unit.replace("/usr/local/bin/circles", BINARY);
        let path = home.path().join(name);
        std::fs::write(&path, unit).expect("written");
        let Ok(verified) = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output() else {
            skip("no systemd-analyze(1) here");
            return;
        };
        let messages = String::from_utf8_lossy(&verified.stderr);
        assert!(verified.status.success() && !messages.contains(name), "{messages}");
    }
}

#[test]
fn unresponsive_service_manager_delays_nothing() {
    let home = configured(TWO);
    let nowhere = home.path().join("nowhere");
    let mut launched = RunningProcess::start(
        home.command().arg("launch").env("NOTIFY_SOCKET", nowhere).env("WATCHDOG_USEC", "100000"),
    );
    assert_eq!(WireClient::connect(&launched.authority()).value("40 + 2"), 42);
    assert_eq!(launched.end(Signal::TERM), Some(0));
}
