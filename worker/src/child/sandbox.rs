//! The sandbox of a worker: it confines even a compromised worker to its pipes, its control socket and its memory.
//!
//! A worker is sealed when both of its threads run and all files have been read, before it evaluates a script.

use super::serve::SealOptions;
use crate::message::Layer;

/// The filter of system calls, compiled once for all workers of a fork server.
#[derive(Debug)]
pub(crate) struct SyscallFilter(system::Filter);

impl SyscallFilter {
    /// Compiles the filter. On a system without filters, it has no effect.
    pub(crate) fn compile() -> Self {
        Self(system::compile())
    }
}

/// Seals the process, and returns the active layers.
pub(crate) fn seal(options: &SealOptions) -> Vec<Layer> {
    let mut layers = Vec::new();
    if options.is_memory_counted {
        layers.push(Layer::Memory);
    }
    if system::apply(&options.filter.0) {
        layers.push(Layer::Syscalls);
    }
    if options.has_left_network {
        layers.push(Layer::Network);
    }
    layers
}

/// Hides the memory of the process from other processes of its user, and makes the process the first candidate of the
/// kernel's OOM killer. Must be called before the seal, which forbids both.
pub(crate) fn make_private() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // First, because a process that is not dumpable cannot write this file.
        let _ignored = std::fs::write("/proc/self/oom_score_adj", "1000");
        // Cannot fail for this value.
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

    /// The allowed system calls: on the process's own sockets, memory and threads, and to exit. Others fail with EPERM.
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

    /// System calls that are allowed without `PROT_EXEC`.
    const WITHOUT_EXEC: &[i64] = &[libc::SYS_mmap, libc::SYS_mprotect];

    /// The index of the protection argument of those system calls.
    const PROTECTION: u8 = 2;

    /// The compiled filter; `None` if this system does not support it.
    pub(super) type Filter = Option<BpfProgram>;

    pub(super) fn compile() -> Filter {
        program().ok()
    }

    /// Applies the filter to all threads. Returns false if it does not apply.
    pub(super) fn apply(filter: &Filter) -> bool {
        filter.as_deref().is_some_and(|program| apply_filter_all_threads(program).is_ok())
    }

    fn program() -> Result<BpfProgram, Error> {
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
    /// There is none: this system has no seccomp.
    pub(super) type Filter = ();

    pub(super) fn compile() -> Filter {}

    /// Does nothing.
    pub(super) fn apply(_filter: &Filter) -> bool {
        false
    }
}
