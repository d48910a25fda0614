//! Memory of the machine and of processes, and the time that a process has computed, as the kernel states them in
//! `/proc` and in control groups. On another system than Linux nothing is known.

use std::{path::Path, time::Duration};

use rustix::process::{Resource, getrlimit};

/// Bytes of the machine's memory, or what the control groups of this process (version 2) leave of them.
pub(crate) fn machine_memory() -> Option<u64> {
    let total = field(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")?;
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"));
    let own = path.map(|path| Path::new("/sys/fs/cgroup").join(path));
    // The group of a container is the root that it sees; a service's is below, and each above it counts, too.
    let bounds = own.iter().flat_map(|own| own.ancestors().take_while(|group| group.starts_with("/sys/fs/cgroup")));
    let bounds = bounds.filter_map(|group| std::fs::read_to_string(group.join("memory.max")).ok()?.trim().parse().ok());
    bounds.chain([total]).min()
}

/// Bytes of memory that this process may have: those of the machine, within its address space.
pub(crate) fn memory_limit() -> Option<u64> {
    let address_space = getrlimit(Resource::As).current;
    machine_memory().into_iter().chain(address_space).min()
}

/// Bytes of memory that a process has of its own, in memory or swapped out: what files and others share with it is left
/// out. What it inherited by a fork and has not changed is not.
pub(crate) fn process_bytes(pid: u32) -> Option<u64> {
    // Unlike `smaps`, readable also of a process that is not dumpable, and nothing waits for anything meanwhile.
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(field(&status, "RssAnon:")? + field(&status, "VmSwap:").unwrap_or_default())
}

/// How long the first thread of a process has had a processor. In a worker, that thread evaluates.
pub(crate) fn cpu_time(pid: u32) -> Option<Duration> {
    let nanoseconds = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    Some(Duration::from_nanos(nanoseconds.split(' ').next()?.parse().ok()?))
}

/// The bytes of a line like `RssAnon:     152 kB`.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn process_bytes_are_read() {
        let before = process_bytes(std::process::id()).expect("Linux");
        let taken = std::hint::black_box(vec![1_u8; 64 << 20]);
        let with = process_bytes(std::process::id()).expect("Linux");
        assert!(with >= before + (60 << 20), "{before} {with}");
        assert!(machine_memory() > Some(with));
        drop(taken);
        assert_eq!(process_bytes(u32::MAX), None);
    }

    #[test]
    fn cpu_time_is_read() {
        let before = cpu_time(std::process::id()).expect("Linux");
        assert_eq!(cpu_time(u32::MAX), None);
        assert!(cpu_time(std::process::id()) >= Some(before));
    }

    #[test]
    fn status_field_is_parsed() {
        let text = "VmRSS:\t    2032 kB\nRssAnon:\t     152 kB\nThreads:\t1\n";
        assert_eq!(field(text, "RssAnon:"), Some(152 << 10));
        assert_eq!((field(text, "Threads:"), field(text, "VmSwap:")), (None, None));
    }
}
