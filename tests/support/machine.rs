//! Worker machines: processes of `circles worker`.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::{Child, ExitStatus, Stdio},
    time::Instant,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{
    Home, WAIT_TIMEOUT, eventually,
    nats::NatsServer,
    process::{children, forked_from, wait_for_end},
};

/// A process of `circles worker`. Dropping it kills the process.
pub(crate) struct Machine {
    child: Child,
    home: Home,
    pub name: String,
}

impl Machine {
    /// Starts a machine of the circle `team`, which connects to this URL.
    pub(crate) fn start(url: &str, name: &str, args: &[&str]) -> Self {
        Self::start_in(Home::new(), url, name, args)
    }

    /// Starts a machine in the directory of this home.
    pub(crate) fn start_in(home: Home, url: &str, name: &str, args: &[&str]) -> Self {
        let log = File::create(home.path().join("machine.log")).expect("a new file");
        let child = home
            .command()
            .args(["worker", "--circle", "team", "--nats", url, "--name", name])
            .args(args)
            .env("CIRCLES_LOG", "info")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary runs");
        Self { child, home, name: name.into() }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a signal, unless the process has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ended = kill_process(self.pid(), signal);
    }

    pub(crate) fn fork_servers(&self) -> Vec<Pid> {
        children(self.pid())
    }

    /// Processes of the workers.
    pub(crate) fn workers(&self) -> Vec<Pid> {
        forked_from(self.pid(), "circles-worker")
    }

    /// Waits until this number of workers runs.
    pub(crate) fn wait_for_workers(&self, count: usize) -> Vec<Pid> {
        eventually(|| {
            let workers = self.workers();
            if workers.len() == count { Ok(workers) } else { Err(format!("{} workers, not {count}", workers.len())) }
        })
    }

    /// Kills the process, and waits until its workers have ended.
    pub(crate) fn kill(&mut self) {
        let workers = self.workers();
        self.signal(Signal::KILL);
        self.wait();
        workers.into_iter().for_each(wait_for_end);
    }

    /// Waits for the process to end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for_end(self.pid());
        self.child.wait().expect("it was started here")
    }

    /// Whether the process runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it was started here").is_none()
    }

    /// What the machine has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("machine.log")).expect("UTF-8")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The process may have ended already. A stopped one ends, too.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
        if std::thread::panicking() {
            eprintln!("log of machine {}:\n{}", self.name, self.log());
        }
    }
}

/// Waits until a machine publishes a state that satisfies the condition.
pub(crate) fn wait_for_state(nats: &NatsServer, machine: &str, is_met: impl Fn(&Value) -> bool) {
    let address = nats.url().replace("nats://", "");
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("a timeout");
    // The protocol of NATS: each message is a line with its subject and its length, and a line with the payload.
    (&stream).write_all(b"CONNECT {\"verbose\":false}\r\nSUB circles.team.machines 1\r\n").expect("it reads");
    let (begun, mut last) = (Instant::now(), Value::Null);
    for line in BufReader::new(&stream).lines() {
        let line = line.expect("a state in time");
        let state: Value = serde_json::from_str(&line).unwrap_or_default();
        if state["machine"] == machine {
            if is_met(&state) {
                return;
            }
            last = state;
        }
        assert!(begun.elapsed() < WAIT_TIMEOUT, "machine {machine}: {last}");
    }
    panic!("nats-server has ended the connection");
}
