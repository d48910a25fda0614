//! Processor time and memory of a process and its descendants, as the kernel counts them.

use std::{collections::HashMap, time::Duration};

use crate::BoxError;

/// The unit of the kernel's processor times, `USER_HZ`.
const TICKS_PER_SECOND: u64 = 100;

/// Processor time of a process and of all of its descendants.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CpuTime {
    pub(crate) root: Duration,
    pub(crate) descendants: Duration,
}

impl CpuTime {
    /// Returns the time since an earlier reading.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            root: self.root.saturating_sub(earlier.root),
            descendants: self.descendants.saturating_sub(earlier.descendants),
        }
    }
}

/// Returns the processor time that a process and its living descendants have used.
pub(crate) fn cpu_time(root: u32) -> Result<CpuTime, BoxError> {
    let of = |pid: u32| -> Option<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // After the name, which may contain any character: the state, and after ten more fields utime and stime.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        Some(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
    };
    let below = descendants(root)?.into_iter().filter_map(of).sum();
    Ok(CpuTime { root: of(root).ok_or_else(|| format!("process {root} has ended"))?, descendants: below })
}

/// Returns the pids of all descendants of a process.
pub(crate) fn descendants(root: u32) -> Result<Vec<u32>, BoxError> {
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
            Some(parent) if *parent == root => return true,
            Some(parent) => pid = *parent,
            None => return false,
        }
    };
    Ok(parents.keys().copied().filter(|pid| is_below(*pid)).collect())
}

/// Returns the resident memory of a process, in KiB.
pub(crate) fn resident(pid: u32) -> Result<i64, BoxError> {
    field(&format!("/proc/{pid}/status"), &["VmRSS:"])
}

/// Returns the private memory of a process, in KiB.
pub(crate) fn private(pid: u32) -> Result<i64, BoxError> {
    field(&format!("/proc/{pid}/smaps_rollup"), &["Private_Clean:", "Private_Dirty:"])
}

/// Returns the sum of the values of the named lines in a file of the kernel.
pub(crate) fn field(file: &str, names: &[&str]) -> Result<i64, BoxError> {
    let text = std::fs::read_to_string(file)?;
    let mut sum = 0;
    for name in names {
        let value =
            text.lines().find_map(|line| line.strip_prefix(name)).ok_or_else(|| format!("no {name} in {file}"))?;
        sum += value.trim_end_matches("kB").trim().parse::<i64>()?;
    }
    Ok(sum)
}
