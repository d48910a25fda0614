//! System calls that have no safe wrapper.

#![expect(unsafe_code, reason = "each use is a single call with a safety comment")]

use std::sync::Once;
#[cfg(target_os = "linux")]
use std::{
    os::fd::{AsRawFd, BorrowedFd},
    sync::atomic::{AtomicI32, Ordering},
};

#[cfg(target_os = "linux")]
use rustix::process::Pid;

/// Exits the process immediately: runs no destructors or exit handlers, and flushes nothing.
///
/// A forked process has copies of resources that its parent will still clean up, and a sealed process cannot wait for
/// its threads.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit does not return and takes only a number.
    unsafe { libc::_exit(code) }
}

/// Unblocks all signals for this thread and the threads that it starts.
///
/// The parent process may have blocked signals, and a blocked signal does not end a process. Call it before the process
/// has other threads.
pub fn unblock_signals() {
    let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the first call initialises the set, and the second one only reads it.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
    }
}

/// Resets the signal dispositions inherited from the parent process: unblocks all signals, and ignores none except
/// SIGPIPE, which Rust ignores in every program. Call it first in a process.
pub(crate) fn reset_signals() {
    // SAFETY: the pointer is valid for the call. No code relies on the disposition of a signal that was ignored.
    unsafe {
        for signal in 1..LAST_SIGNAL {
            let mut action: libc::sigaction = std::mem::zeroed();
            let is_ignored =
                libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0 && action.sa_sigaction == libc::SIG_IGN;
            if is_ignored && signal != libc::SIGPIPE {
                libc::signal(signal, libc::SIG_DFL);
            }
        }
    }
    unblock_signals();
}

/// Makes this process ignore SIGPIPE, so that a write to a pipe without a reader fails with an error. Rust does so in
/// every program, but a program may have restored the default.
pub(crate) fn ignore_broken_pipes() {
    static IGNORED: Once = Once::new();
    // SAFETY: the call takes no pointer.
    IGNORED.call_once(|| unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
    });
}

/// Upper bound (exclusive) of the numbers of standard signals.
const LAST_SIGNAL: libc::c_int = 32;

/// The side of a fork.
#[cfg(target_os = "linux")]
pub(crate) enum ForkSide {
    /// The parent process, with the id of the child.
    Parent(Pid),
    /// The child process.
    Child,
}

/// Forks this process, which must be [single-threaded](is_single_threaded): a lock held by another thread would stay
/// locked in the child for ever. The child must end with [`exit_now`] and never return into the caller's code.
#[cfg(target_os = "linux")]
pub(crate) fn fork() -> std::io::Result<ForkSide> {
    // SAFETY: there is only one thread, so no other thread holds a lock and the child's state is consistent.
    match unsafe { libc::fork() } {
        0 => Ok(ForkSide::Child),
        pid => Pid::from_raw(pid.max(0)).map(ForkSide::Parent).ok_or_else(std::io::Error::last_os_error),
    }
}

#[cfg(target_os = "linux")]
pub(crate) fn is_single_threaded() -> std::io::Result<bool> {
    Ok(std::fs::read_dir("/proc/self/task")?.count() == 1)
}

/// Closes all inherited descriptors except the three standard ones. Call it first in a process, before it opens
/// anything.
pub(crate) fn close_inherited() {
    #[cfg(target_os = "linux")]
    close_range(3, u32::MAX);
}

/// Closes all descriptors except those three and the three standard ones. Call it in the child directly after a fork: the
/// owners of the other descriptors must never be used again.
#[cfg(target_os = "linux")]
pub(crate) fn close_all_but(kept: [BorrowedFd<'_>; 3]) {
    let mut kept = kept.map(|fd| fd.as_raw_fd().cast_unsigned());
    kept.sort_unstable();
    let mut from = 3;
    for fd in kept {
        if fd > from {
            close_range(from, fd - 1);
        }
        from = fd + 1;
    }
    close_range(from, u32::MAX);
}

#[cfg(target_os = "linux")]
fn close_range(first: u32, last: u32) {
    // SAFETY: the call takes no pointer; the callers ensure that no owner of a closed descriptor is still in use.
    unsafe {
        libc::syscall(libc::SYS_close_range, first, last, 0_u32);
    }
}

/// A guard that makes this process exit as soon as the peer of a socket closes it, even during a computation.
///
/// It does not use the parent-death signal: for the kernel, the parent is the thread that started the process, which
/// may end much earlier.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(crate) struct ExitWithPeer {
    socket: i32,
    flags: i32,
}

#[cfg(target_os = "linux")]
impl ExitWithPeer {
    /// Creates the guard for a socket. There must be no other guard at the same time.
    pub(crate) fn of(socket: &impl AsRawFd) -> std::io::Result<Self> {
        let socket = socket.as_raw_fd();
        SOCKET.store(socket, Ordering::Relaxed);
        // SAFETY: the handler calls only poll and _exit, which are async-signal-safe (signal-safety(7)); the pointers
        // are valid for the calls.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = end_if_closed as *const () as libc::sighandler_t;
            action.sa_flags = libc::SA_RESTART;
            checked(libc::sigaction(libc::SIGIO, &raw const action, std::ptr::null_mut()))?;
            checked(libc::fcntl(socket, libc::F_SETOWN, libc::getpid()))?;
            let flags = checked(libc::fcntl(socket, libc::F_GETFL))?;
            checked(libc::fcntl(socket, libc::F_SETFL, flags | libc::O_ASYNC))?;
            // The peer may have closed the socket already.
            end_if_closed(libc::SIGIO);
            Ok(Self { socket, flags })
        }
    }
}

#[cfg(target_os = "linux")]
impl Drop for ExitWithPeer {
    fn drop(&mut self) {
        // SAFETY: the calls take no pointers. A late signal is ignored, in forked processes too.
        unsafe {
            libc::fcntl(self.socket, libc::F_SETFL, self.flags);
            libc::signal(libc::SIGIO, libc::SIG_IGN);
        }
    }
}

/// The socket of [`ExitWithPeer`].
#[cfg(target_os = "linux")]
static SOCKET: AtomicI32 = AtomicI32::new(-1);

/// Signal handler: checks whether the peer has closed the socket, because the signal itself does not say what happened.
#[cfg(target_os = "linux")]
extern "C" fn end_if_closed(_signal: libc::c_int) {
    let mut seen = libc::pollfd { fd: SOCKET.load(Ordering::Relaxed), events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: the pointer is valid for the call, which does not wait; _exit takes only a number.
    unsafe {
        if libc::poll(&raw mut seen, 1, 0) == 1 {
            libc::_exit(0);
        }
    }
}

#[cfg(target_os = "linux")]
fn checked(result: libc::c_int) -> std::io::Result<libc::c_int> {
    if result == -1 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
}

/// Keeps the inherited descriptors, except the three standard ones, from the processes that this process starts.
///
/// For example, background processes do not hold on to a file lock of the calling shell script. Call it first in
/// `main`. It has an effect only on Linux 5.11 and later.
pub fn keep_descriptors() {
    #[cfg(target_os = "linux")]
    // SAFETY: the call takes no pointer. With this flag, it closes nothing now but marks the descriptors close-on-exec.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
}

/// Selects batch scheduling for this process and its forks, so that they do not preempt others when they wake up. It
/// increases the plays per second by a third. A process that serves short calls beside scripts should not select it: under
/// load, its calls would wait for the next tick of the scheduler (measured: p99 2.2 ms in place of 0.25 ms).
#[cfg(target_os = "linux")]
pub(crate) fn use_batch_scheduling() {
    // SAFETY: the parameter is a priority, which must be 0 for this policy; the pointer is valid for the call.
    unsafe {
        let parameter: libc::sched_param = std::mem::zeroed();
        libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameter);
    }
}
