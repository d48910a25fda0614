//! The memory of a process that holds passphrases and secret keys: kept from core files and from other processes.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Keeps the memory and the environment of this process from core files and, on Linux, from all other processes of its user:
/// none can trace it, read its memory or its `/proc/PID/environ`. Called before the first secret is read.
///
/// A program that the process starts is as traceable as any other, because `execve` takes the protection away. It inherits
/// the limit for core files. That is only the soft limit, so that such a program, or a shell in it, can raise the limit again.
///
/// # Errors
///
/// What the operating system says. The process is not to read a secret then.
pub fn protect_process() -> io::Result<()> {
    // Also where a process can be dumpable only, and against a core file that is not written by the kernel.
    setrlimit(Resource::Core, Rlimit { current: Some(0), ..getrlimit(Resource::Core) })?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rustix::process::{Resource, getrlimit};

    use super::protect_process;

    #[test]
    fn protected_process_leaves_no_core_file_and_children_can_raise_the_limit() {
        let before = getrlimit(Resource::Core);
        protect_process().expect("no process needs a privilege for it");
        let after = getrlimit(Resource::Core);
        assert_eq!((after.current, after.maximum), (Some(0), before.maximum));
        #[cfg(target_os = "linux")]
        assert_eq!(
            rustix::process::dumpable_behavior().expect("it can be asked"),
            rustix::process::DumpableBehavior::NotDumpable
        );
        // As often as somebody likes.
        protect_process().expect("it is so already");
    }
}
