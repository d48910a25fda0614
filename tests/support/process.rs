//! Processes of circles.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};

use super::{BINARY, Home, WAIT_TIMEOUT, eventually, skip, wire::WireClient};

/// Number of spare workers that a circle keeps (`server_ws/src/circle/spare_workers.rs`).
pub(crate) const MAX_SPARES: usize = 4;

/// A process of `circles serve` on a free port. Dropping it kills the process.
pub(crate) struct ServeProcess {
    child: Child,
    pub url: String,
    home: Home,
}

impl ServeProcess {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_on(0, args)
    }

    /// Starts the server on this port.
    pub(crate) fn start_on(port: u16, args: &[&str]) -> Self {
        let home = Home::new();
        let command = home.command();
        Self::spawn(home, command, port, args)
    }

    /// Starts the server in the directory of this home.
    pub(crate) fn start_in(home: Home, args: &[&str]) -> Self {
        let command = home.command();
        Self::spawn(home, command, 0, args)
    }

    /// Starts the server with a hard limit of its address space, in bytes, which workers inherit.
    pub(crate) fn start_within(address_space: u64, args: &[&str]) -> Self {
        let home = Home::new();
        let mut command = Command::new("/bin/sh");
        let own = home.command();
        command
            .args(["-c", &format!("ulimit -v {} && exec \"$@\"", address_space >> 10), "sh", BINARY])
            .env_clear()
            .envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .current_dir(home.path())
            .stdout(Stdio::piped());
        Self::spawn(home, command, 0, args)
    }

    /// Kills the server, and starts it again on its port and in its home.
    pub(crate) fn restart(&mut self, args: &[&str]) {
        self.child.kill().expect("it was started here");
        self.child.wait().expect("it was started here");
        (self.child, self.url) = Self::launch(self.home.command(), self.port(), args);
    }

    fn spawn(home: Home, command: Command, port: u16, args: &[&str]) -> Self {
        let (child, url) = Self::launch(command, port, args);
        Self { child, url, home }
    }

    fn launch(mut command: Command, port: u16, args: &[&str]) -> (Child, String) {
        let mut child = command
            .args(["serve", "--port", &port.to_string()])
            .args(args)
            .env("CIRCLES_LOG", "error")
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the binary runs");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line).expect("it says where it is");
        let url = line.trim().strip_prefix("listening on ").expect("a URL").to_owned();
        (child, url)
    }

    pub(crate) fn open() -> Self {
        Self::start(&[])
    }

    pub(crate) fn authority(&self) -> &str {
        self.url.split_once("://").expect("a URL").1
    }

    pub(crate) fn port(&self) -> u16 {
        self.authority().rsplit_once(':').expect("a port").1.parse().expect("a number")
    }

    pub(crate) fn connect(&self) -> WireClient {
        WireClient::connect(self.authority())
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it is there");
    }

    /// Waits for the process to end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for_end(self.pid());
        self.child.wait().expect("it was started here")
    }

    /// Output to stdout after the first line.
    pub(crate) fn rest_of_stdout(&mut self) -> String {
        let mut rest = String::new();
        self.child.stdout.as_mut().expect("piped").read_to_string(&mut rest).expect("UTF-8");
        rest
    }

    /// Processes that fork the workers.
    pub(crate) fn fork_servers(&self) -> Vec<Pid> {
        children(self.pid())
    }

    /// Resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        memory_kib(self.pid(), "VmRSS:")
    }

    /// Number of open files and sockets; 0 if the kernel does not show them.
    pub(crate) fn descriptors(&self) -> usize {
        if !is_inspectable(self.pid()) {
            return 0;
        }
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("Linux").count()
    }

    /// Waits until the server has at most these numbers of workers and of open files and sockets.
    pub(crate) fn wait_until_at_most(&self, max_workers: usize, max_descriptors: usize) {
        eventually(|| {
            let (workers, descriptors) = (self.workers().len(), self.descriptors());
            let is_met = workers <= max_workers && descriptors <= max_descriptors;
            is_met.then_some(()).ok_or_else(|| format!("{workers} workers, {descriptors} descriptors"))
        });
    }

    /// Processes of the workers that sessions use.
    pub(crate) fn workers(&self) -> Vec<Pid> {
        self.forked("circles-worker")
    }

    /// Processes of the spare workers, which no session uses yet.
    pub(crate) fn spares(&self) -> Vec<Pid> {
        self.forked("circles-spare")
    }

    fn forked(&self, name: &str) -> Vec<Pid> {
        forked_from(self.pid(), name)
    }

    /// Waits until this number of spare workers waits, and returns their processes.
    pub(crate) fn wait_for_spares(&self, count: usize) -> Vec<Pid> {
        wait_for_spares(self.pid(), count)
    }
}

/// Returns whether the kernel shows the environment and the open files of a circle's process. A circle is not dumpable, so
/// only root can see them; other users' tests skip the check.
pub(crate) fn is_inspectable(circle: Pid) -> bool {
    let denied = |error: std::io::Error| error.kind() == std::io::ErrorKind::PermissionDenied;
    let is_denied = std::fs::read_dir(format!("/proc/{circle}/fd")).err().is_some_and(denied);
    if is_denied {
        skip("the environment and the open files of a circle's process are shown to root alone");
    }
    !is_denied
}

impl Drop for ServeProcess {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A field of `/proc/PID/status` in KiB; `VmHWM` is the peak of resident memory.
pub(crate) fn memory_kib(pid: Pid, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it is there");
    let line = status.lines().find(|line| line.starts_with(field)).expect("Linux");
    line.split_whitespace().nth(1).expect("a figure").parse().expect("a number")
}

/// A child process that is killed and reaped at the end of its test.
#[derive(Debug)]
pub(crate) struct ReapedChild(pub Child);

impl Drop for ReapedChild {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Children of a process, without zombies.
pub(crate) fn children(parent: Pid) -> Vec<Pid> {
    std::fs::read_dir("/proc")
        .expect("Linux")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .filter(|pid| {
            // proc(5): pid (name) state ppid …
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
            let mut fields = rest.split(' ');
            fields.next() != Some("Z") && fields.next() == Some(&parent.to_string())
        })
        .collect()
}

/// Processes with this name that the fork servers of a circle have forked.
pub(crate) fn forked_from(circle: Pid, name: &str) -> Vec<Pid> {
    let is_named =
        |pid: &Pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name);
    children(circle).into_iter().flat_map(children).filter(is_named).collect()
}

/// Waits until this number of spare workers of a circle waits, and returns their processes.
pub(crate) fn wait_for_spares(circle: Pid, count: usize) -> Vec<Pid> {
    eventually(|| {
        let spares = forked_from(circle, "circles-spare");
        if spares.len() == count { Ok(spares) } else { Err(format!("{} spare workers, not {count}", spares.len())) }
    })
}

/// Parent of a process; `None` if the process has ended.
pub(crate) fn parent(pid: Pid) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    Pid::from_raw(rest.split(' ').nth(1)?.parse().ok()?)
}

/// Fields of `stat` (proc(5)) from the third one, the state, for each thread of a process.
pub(crate) fn threads(pid: Pid) -> Vec<Vec<String>> {
    let fields = |stat: String| stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').map(Into::into).collect());
    std::fs::read_dir(format!("/proc/{pid}/task"))
        .expect("it is there")
        .filter_map(|thread| fields(std::fs::read_to_string(thread.ok()?.path().join("stat")).ok()?))
        .collect()
}

/// Waits until all threads of a process have stopped after SIGSTOP or SIGTSTP.
pub(crate) fn wait_until_stopped(pid: Pid) {
    let is_stopped = || threads(pid).iter().all(|fields| fields[0] == "T");
    eventually(|| is_stopped().then_some(()).ok_or_else(|| format!("process {pid} is running")));
}

/// Waits until a process has ended, even if it is not a child.
pub(crate) fn wait_for_end(pid: Pid) {
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    let timeout = Timespec { tv_sec: WAIT_TIMEOUT.as_secs().try_into().expect("small"), tv_nsec: 0 };
    let ended = loop {
        match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&timeout)) {
            // SIGCHLD: a child of another test has ended.
            Err(Errno::INTR) => {}
            ended => break ended.expect("poll works"),
        }
    };
    assert_eq!(ended, 1, "process {pid} is still there");
}
