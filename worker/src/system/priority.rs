//! The scheduling priority of a process.

use rustix::process::{Pid, setpriority_process};

/// The niceness of the lowest priority.
const LOWEST_NICENESS: i32 = 19;

/// Lowers the priority of all threads of a process permanently. Only its parent may call this, before it reaps the
/// process: until then, the pid cannot be reassigned.
pub(crate) fn lower_priority(pid: Pid) {
    // On Linux, each thread has its own niceness.
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let threads = threads.filter_map(|thread| Pid::from_raw(thread.file_name().to_str()?.parse().ok()?));
    for thread in threads.chain([pid]) {
        // A thread may have ended. A failure is harmless: the process keeps its priority.
        let _ended = setpriority_process(Some(thread), LOWEST_NICENESS);
    }
}
