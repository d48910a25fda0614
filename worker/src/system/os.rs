//! What a worker needs of the system and no safe function offers.

#![expect(unsafe_code, reason = "each is one call, and where it may be made is said beside it")]

#[cfg(target_os = "linux")]
use std::{
    os::fd::{AsRawFd, BorrowedFd},
    sync::atomic::{AtomicI32, Ordering},
};

#[cfg(target_os = "linux")]
use rustix::process::Pid;

/// Ends the process as it is: no destructor, no handler of an exit runs, and nothing is flushed. A forked process has
/// copies of what another one will still clean up, and a thread that is sealed may not be waited for.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: it does not return, and takes nothing but the number.
    unsafe { libc::_exit(code) }
}

/// Has this thread, and all that it starts, take all signals. Whoever started the process may have blocked some, and one
/// that is blocked ends nothing. To be called before there are other threads.
pub fn unblock_signals() {
    let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is initialised by the first call, and the second reads it and writes nothing.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
    }
}

/// Undoes what the program that started this one did to signals: none is blocked, and none is ignored but SIGPIPE, which Rust
/// ignores in each of its programs. Handlers do not outlive the start of a program. To be called first thing in a process.
pub(crate) fn reset_signals() {
    // SAFETY: the pointer lives for the call. A signal that was ignored gets the default action, which no code relies on.
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

/// Standard signals are numbers below this one.
const LAST_SIGNAL: libc::c_int = 32;

/// Which side of a fork this is.
#[cfg(target_os = "linux")]
pub(crate) enum ForkSide {
    /// The process that was there before, with the id of the new one.
    Parent(Pid),
    /// The new one.
    Child,
}

/// Makes a process like this one, which must have no second thread ([`is_single_threaded`]): what another one is in the
/// middle of, a lock that is held, say, would stay so in the child for ever. The child must end with [`exit_now`] and never
/// return into what called this.
#[cfg(target_os = "linux")]
pub(crate) fn fork() -> std::io::Result<ForkSide> {
    // SAFETY: there is one thread, and no lock is held but by it, so the child is as whole as the parent.
    match unsafe { libc::fork() } {
        0 => Ok(ForkSide::Child),
        pid => Pid::from_raw(pid.max(0)).map(ForkSide::Parent).ok_or_else(std::io::Error::last_os_error),
    }
}

#[cfg(target_os = "linux")]
pub(crate) fn is_single_threaded() -> std::io::Result<bool> {
    Ok(std::fs::read_dir("/proc/self/task")?.count() == 1)
}

/// Closes what the program that started this process had open and did not mean to hand on. To be called first thing in a
/// process, which has opened nothing yet.
pub(crate) fn close_inherited() {
    #[cfg(target_os = "linux")]
    close_range(3, u32::MAX);
}

/// Closes everything but those two and the three standard ones. To be called first thing after a fork, in the child, in
/// which whatever owns the others is never used again.
#[cfg(target_os = "linux")]
pub(crate) fn close_all_but(kept: [BorrowedFd<'_>; 2]) {
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
    // SAFETY: it takes no pointer; the callers say why nothing that is closed is owned by anything that is still used.
    unsafe {
        libc::syscall(libc::SYS_close_range, first, last, 0_u32);
    }
}

/// Guard while which this process ends as soon as the other end of a socket is gone, whatever it computes. Not by the death
/// of its parent: for the kernel that is the thread which started it, and may end long before.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(crate) struct ExitWithPeer {
    socket: i32,
    flags: i32,
}

#[cfg(target_os = "linux")]
impl ExitWithPeer {
    /// A guard for the other end of this socket. There must be no other guard at the time.
    pub(crate) fn of(socket: &impl AsRawFd) -> std::io::Result<Self> {
        let socket = socket.as_raw_fd();
        SOCKET.store(socket, Ordering::Relaxed);
        // SAFETY: the handler calls nothing but poll and _exit, which a handler may (signal-safety(7)); the pointers live for
        // the call, and the other calls take none.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = end_if_closed as *const () as libc::sighandler_t;
            action.sa_flags = libc::SA_RESTART;
            checked(libc::sigaction(libc::SIGIO, &raw const action, std::ptr::null_mut()))?;
            checked(libc::fcntl(socket, libc::F_SETOWN, libc::getpid()))?;
            let flags = checked(libc::fcntl(socket, libc::F_GETFL))?;
            checked(libc::fcntl(socket, libc::F_SETFL, flags | libc::O_ASYNC))?;
            // It may be gone by now.
            end_if_closed(libc::SIGIO);
            Ok(Self { socket, flags })
        }
    }
}

#[cfg(target_os = "linux")]
impl Drop for ExitWithPeer {
    fn drop(&mut self) {
        // SAFETY: neither takes a pointer. A signal that is still to come is ignored, as it is by whatever is forked from here.
        unsafe {
            libc::fcntl(self.socket, libc::F_SETFL, self.flags);
            libc::signal(libc::SIGIO, libc::SIG_IGN);
        }
    }
}

/// The socket that [`ExitWithPeer`] is for.
#[cfg(target_os = "linux")]
static SOCKET: AtomicI32 = AtomicI32::new(-1);

/// The signal says that something happened to the socket, and not what.
#[cfg(target_os = "linux")]
extern "C" fn end_if_closed(_signal: libc::c_int) {
    let mut seen = libc::pollfd { fd: SOCKET.load(Ordering::Relaxed), events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: the pointer lives for the call, which waits for nothing; ending takes nothing but a number.
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

/// Keeps what this process was started with, but for the three standard descriptors, from whatever it starts: a lock, say,
/// that a shell script holds is not held by what goes on in the background. To be called first thing in `main`. Only on
/// Linux, from 5.11 on; elsewhere it does nothing.
pub fn keep_descriptors() {
    #[cfg(target_os = "linux")]
    // SAFETY: it takes no pointer and closes nothing: with this flag they are closed where another program is executed.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
}

/// Keeps this process, and what it forks, from interrupting others when it wakes up: plays per second are a third more.
#[cfg(target_os = "linux")]
pub(crate) fn use_batch_scheduling() {
    // SAFETY: a parameter is only its priority, which this policy wants to be 0; the pointer lives for the call.
    unsafe {
        let parameter: libc::sched_param = std::mem::zeroed();
        libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameter);
    }
}
