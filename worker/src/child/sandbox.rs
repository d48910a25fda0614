//! What keeps a worker from everything but its sockets and its memory, whoever has taken it over.
//!
//! Sealed once both of its threads run and all it needs from the disk has been read, before the first script is.

use super::serve::SealOptions;
use crate::message::Layer;

/// Seals the process; says what holds.
pub(crate) fn seal(options: SealOptions) -> Vec<Layer> {
    let mut layers = Vec::new();
    if options.is_memory_counted {
        layers.push(Layer::Memory);
    }
    if system::seal() {
        layers.push(Layer::Syscalls);
    }
    if options.has_left_network {
        layers.push(Layer::Network);
    }
    layers
}

/// Hides the memory of the process from its user's other processes, and makes the process the kernel's first choice when
/// memory is short. Called before the seal, which forbids both.
pub(crate) fn make_private() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // First, because a process that is not dumpable may not write there any more.
        let _ignored = std::fs::write("/proc/self/oom_score_adj", "1000");
        // It does not fail for this value.
        let _ignored = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
mod system {
    use std::collections::BTreeMap;

    use seccompiler::{
        BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
        apply_filter_all_threads,
    };

    /// On what the process has: its sockets, its memory, its own threads, its end. What is missing fails with EPERM.
    const ALLOWED: &[i64] = &[
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_recvfrom,
        libc::SYS_sendto,
        libc::SYS_close,
        libc::SYS_brk,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_futex,
        libc::SYS_sched_yield,
        libc::SYS_clock_gettime,
        libc::SYS_getrandom,
        libc::SYS_sigaltstack,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];

    /// Memory, but none that could be executed.
    const WITHOUT_EXEC: &[i64] = &[libc::SYS_mmap, libc::SYS_mprotect];

    /// Which argument of these says how memory may be used.
    const PROTECTION: u8 = 2;

    pub(super) fn seal() -> bool {
        filter().and_then(|program| apply_filter_all_threads(&program)).is_ok()
    }

    fn filter() -> Result<BpfProgram, Error> {
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
        for call in WITHOUT_EXEC {
            let exec = u64::from(libc::PROT_EXEC.cast_unsigned());
            let condition =
                SeccompCondition::new(PROTECTION, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(exec), 0)?;
            rules.insert(*call, vec![SeccompRule::new(vec![condition])?]);
        }
        let denied = SeccompAction::Errno(libc::EPERM.cast_unsigned());
        let architecture = std::env::consts::ARCH.try_into()?;
        Ok(SeccompFilter::new(rules, denied, SeccompAction::Allow, architecture)?.try_into()?)
    }
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))))]
mod system {
    /// Nothing here keeps a process from the system.
    pub(super) fn seal() -> bool {
        false
    }
}
