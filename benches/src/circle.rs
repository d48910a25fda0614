//! A circle in a process of its own, so that what it takes is told apart from what its clients take.

use std::{
    collections::HashMap,
    io::Read,
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use server_ws::{Access, Circle, Limits};

use crate::BoxError;

/// The argument that makes this program a circle.
pub(crate) const FLAG: &str = "--circle";

/// The argument for a circle with the default limits.
pub(crate) const DEFAULTS: &str = "--defaults";

/// The argument for a circle that needs a key.
pub(crate) const NEEDS_KEY: &str = "--needs-key";

/// Serves a circle until standard input ends; says first where.
pub(crate) async fn serve() -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    // All attackers come from one address and are to run at once: what is shown is what keeps them apart when they do.
    // The largest of the hostile scripts are to be parsed, not refused.
    let (sessions_per_caller, running_per_caller) = (Some(512), Some(128));
    let is_asked = |wanted: &str| std::env::args().any(|argument| argument == wanted);
    let limits = Limits { sessions_per_caller, running_per_caller, message_kib: 4096, ..Limits::default() };
    let limits = if is_asked(DEFAULTS) { Limits::default() } else { limits };
    let access = if is_asked(NEEDS_KEY) { Access::Authenticated } else { Access::Open };
    let circle = Circle::builder("bench").limits(limits).access(access).build()?;
    let input_ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    server_ws::run(listener, circle, async { drop(input_ended.await) }).await?;
    Ok(())
}

/// One that was started; it ends when this is dropped.
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

    /// KiB that the process has in memory.
    pub(crate) fn resident(&self) -> Result<i64, BoxError> {
        field(&format!("/proc/{}/status", self.child.id()), &["VmRSS:"])
    }

    /// KiB that belong to the processes below it alone, however deep they are.
    pub(crate) fn private_below(&self) -> Result<i64, BoxError> {
        let mut parents = HashMap::new();
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
            // Behind the name, which may hold anything: the state, then the parent.
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
        // It drains, and ends then.
        let _status = self.child.wait();
    }
}

/// The sum of these lines of a file of the kernel's.
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
