//! A circle in a separate process, to measure its resources separately from those of its clients.

use std::{
    collections::HashMap,
    io::Read,
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use server_ws::{Access, Circle, Limits};

use crate::BoxError;

/// The argument that runs this program as a circle.
pub(crate) const FLAG: &str = "--circle";

/// The argument for the default limits.
pub(crate) const DEFAULTS: &str = "--defaults";

/// The argument for a circle that requires a key.
pub(crate) const NEEDS_KEY: &str = "--needs-key";

/// Prints the address of a circle and serves it until standard input ends.
pub(crate) async fn serve() -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    // All attackers share one address and must run concurrently, because the benchmark shows their isolation from
    // others. The circle must parse even the largest hostile scripts instead of rejecting them.
    let (sessions_per_caller, running_per_caller) = (Some(512), Some(128));
    let has_flag = |flag: &str| std::env::args().any(|argument| argument == flag);
    let limits = Limits { sessions_per_caller, running_per_caller, message_kib: 4096, ..Limits::default() };
    let limits = if has_flag(DEFAULTS) { Limits::default() } else { limits };
    let access = if has_flag(NEEDS_KEY) { Access::Authenticated } else { Access::Open };
    let circle = Circle::builder("bench").limits(limits).access(access).build()?;
    let input_ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    server_ws::run(listener, circle, async { drop(input_ended.await) }).await?;
    Ok(())
}

/// A circle in a child process, which ends when this is dropped.
pub(crate) struct CircleProcess {
    child: Child,
    pub(crate) authority: String,
}

impl CircleProcess {
    pub(crate) fn start() -> Result<Self, BoxError> {
        let mut child =
            Command::new(std::env::current_exe()?).arg(FLAG).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut authority = String::new();
        let mut output = std::io::BufReader::new(child.stdout.take().ok_or("it is piped")?);
        std::io::BufRead::read_line(&mut output, &mut authority)?;
        Ok(Self { child, authority: authority.trim().to_owned() })
    }

    /// Resident memory of the process, in KiB.
    pub(crate) fn resident(&self) -> Result<i64, BoxError> {
        field(&format!("/proc/{}/status", self.child.id()), &["VmRSS:"])
    }

    /// Private memory of all descendants of the process, in KiB.
    pub(crate) fn private_below(&self) -> Result<i64, BoxError> {
        let mut parents = HashMap::new();
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
            // After the name, which may contain any character: the state, then the parent.
            let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<u32>().ok());
            parents.insert(pid, parent.unwrap_or(0));
        }
        let is_below = |mut pid: u32| loop {
            match parents.get(&pid) {
                Some(parent) if *parent == self.child.id() => return true,
                Some(parent) => pid = *parent,
                None => return false,
            }
        };
        let below = parents.keys().filter(|pid| is_below(**pid));
        below.map(|pid| field(&format!("/proc/{pid}/smaps_rollup"), &["Private_Clean:", "Private_Dirty:"])).sum()
    }
}

impl Drop for CircleProcess {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // The circle drains and exits.
        let _status = self.child.wait();
    }
}

/// The sum of the values of the named lines in a file of the kernel.
fn field(file: &str, names: &[&str]) -> Result<i64, BoxError> {
    let text = std::fs::read_to_string(file)?;
    let mut sum = 0;
    for name in names {
        let value =
            text.lines().find_map(|line| line.strip_prefix(name)).ok_or_else(|| format!("no {name} in {file}"))?;
        sum += value.trim_end_matches("kB").trim().parse::<i64>()?;
    }
    Ok(sum)
}
