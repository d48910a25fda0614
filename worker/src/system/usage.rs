//! The memory of the machine and of processes, and the CPU time of processes, from `/proc` and control groups. On
//! systems other than Linux, all of this is unknown.

use std::{fs::File, io::Read, path::Path, time::Duration};

/// Size of the buffer for a file of a process, in bytes. The files are shorter.
const FILE_BYTES: usize = 8 << 10;

/// The memory of the machine in bytes, or the limit of this process's control groups (version 2) if that is lower;
/// `None` on systems other than Linux.
pub fn machine_memory() -> Option<u64> {
    let total = field(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")?;
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"));
    let own = path.map(|path| Path::new("/sys/fs/cgroup").join(path));
    // A container sees its own group as the root. The group of a service is below the root, and the limits of its
    // ancestors apply, too.
    let bounds = own.iter().flat_map(|own| own.ancestors().take_while(|group| group.starts_with("/sys/fs/cgroup")));
    let bounds = bounds.filter_map(|group| std::fs::read_to_string(group.join("memory.max")).ok()?.trim().parse().ok());
    bounds.chain([total]).min()
}

/// The private memory of a process in bytes, resident or swapped out; `None` if there is no such process, or on systems
/// other than Linux. Memory shared with files or other processes is not counted; unchanged memory inherited by a fork
/// is.
pub fn process_memory(pid: u32) -> Option<u64> {
    // Unlike `smaps`, this file is readable even if the process is not dumpable, and reading it takes no lock.
    let status = read(&format!("/proc/{pid}/status"))?;
    Some(field(&status, "RssAnon:")? + field(&status, "VmSwap:").unwrap_or_default())
}

/// The CPU time of the first thread of a process. In a forked worker, that thread evaluates scripts.
pub(crate) fn cpu_time(pid: u32) -> Option<Duration> {
    let nanoseconds = read(&format!("/proc/{pid}/schedstat"))?;
    Some(Duration::from_nanos(nanoseconds.split(' ').next()?.parse().ok()?))
}

/// Reads a file of the kernel about a process. The kernel makes the text anew for each read, so this reads once.
fn read(path: &str) -> Option<String> {
    let mut buffer = [0; FILE_BYTES];
    let count = File::open(path).ok()?.read(&mut buffer).ok()?;
    Some(String::from_utf8_lossy(&buffer[..count]).into_owned())
}

/// Returns the bytes in a line like `RssAnon: 152 kB`.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn process_memory_is_read() {
        let before = process_memory(std::process::id()).expect("Linux");
        let taken = std::hint::black_box(vec![1_u8; 64 << 20]);
        let with = process_memory(std::process::id()).expect("Linux");
        assert!(with >= before + (60 << 20), "{before} {with}");
        assert!(machine_memory() > Some(with));
        drop(taken);
        assert_eq!(process_memory(u32::MAX), None);
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
