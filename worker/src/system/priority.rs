//! The priority of a process, lowered by its parent.

use rustix::process::{Pid, setpriority_process};

/// The least of all claims on a processor.
const LEAST: i32 = 19;

/// Has all threads of a process leave the processor to others. By its parent, which has not reaped it: so the id is still
/// its own.
pub(crate) fn lower_priority(pid: Pid) {
    // On Linux each thread has a niceness of its own.
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let threads = threads.filter_map(|thread| Pid::from_raw(thread.file_name().to_str()?.parse().ok()?));
    for thread in threads.chain([pid]) {
        // A thread may have ended, and a process that keeps its priority is only less polite.
        let _ended = setpriority_process(Some(thread), LEAST);
    }
}
