//! The priority of a process, lowered by its parent.

use rustix::process::{Pid, setpriority_process};

/// The lowest priority that there is.
const LOWEST_NICENESS: i32 = 19;

/// Lowers the priority of all threads of a process, for good. Only its parent may call this, before it reaps the process:
/// until then the id is the process's own.
pub(crate) fn lower_priority(pid: Pid) {
    // On Linux each thread has a niceness of its own.
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let threads = threads.filter_map(|thread| Pid::from_raw(thread.file_name().to_str()?.parse().ok()?));
    for thread in threads.chain([pid]) {
        // A thread may have ended, and a process that keeps its priority is only less polite.
        let _ended = setpriority_process(Some(thread), LOWEST_NICENESS);
    }
}
