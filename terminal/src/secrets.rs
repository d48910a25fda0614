//! Protects the memory of a process that holds passphrases and secret keys from core files and other processes.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Protects the memory and the environment of this process from core files and, on Linux, from all other processes of
/// its user: none can trace it, or read its memory or `/proc/PID/environ`. Call it before the process reads a secret.
///
/// `execve` removes the protection, so a child program can be traced. It inherits the limit for core files, but only as
/// a soft limit, which it can raise again.
///
/// # Errors
///
/// Returns the error of the operating system. The process must not read a secret then.
pub fn protect_process() -> io::Result<()> {
    // For systems without the dumpable flag, and against core files that the kernel does not write.
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
        // It can be called repeatedly.
        protect_process().expect("it is so already");
    }
}
