//! First steps of a process: a worker that is started anew takes them, and so does a fork server.

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    message::{BUILD, Hello, WorkerSetup, frame},
    system::allocator,
};

/// Bytes of native stack for the thread that evaluates; reserved, used only as far as a script goes.
pub(crate) const STACK: usize = 256 << 20;

/// Bytes of address space besides that stack and what scripts may have: what the program and its libraries map.
const MAPPED: u64 = 512 << 20;

/// Bytes that one operation of a script may have at a time beyond its limit, at the least.
const OVERDRAFT: u64 = 32 << 20;

/// Reads the server's first message, from a server of this build.
pub(crate) fn read_hello(frame: &[u8]) -> io::Result<WorkerSetup> {
    let hello: Hello<'_> = frame::decode_borrowed(frame)?;
    if hello.build != BUILD {
        return Err(io::Error::other("the server is of another build"));
    }
    Ok(hello.setup)
}

/// Takes a socket that the server handed over as standard input or output, so that nothing is printed to it.
pub(crate) fn take_socket(standard: impl AsFd) -> io::Result<UnixStream> {
    let fd: OwnedFd = standard.as_fd().try_clone_to_owned()?;
    Ok(fd.into())
}

/// Leads standard input and output nowhere.
pub(crate) fn detach_stdio() -> io::Result<()> {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(())
}

/// Limits what the process may take of the machine, whatever a script does: past a limit the process ends.
pub(crate) fn limit_resources(memory: u64) -> io::Result<()> {
    // Within one operation a script may have its memory twice: a copy of what it has, say.
    let hard = memory.saturating_add(memory.max(OVERDRAFT));
    allocator::set_limit(usize::try_from(hard).unwrap_or(usize::MAX));
    let at_most = |maximum| Rlimit { current: Some(maximum), maximum: Some(maximum) };
    // Twice, for what the circle's own script has beside it.
    let space = (STACK as u64 + MAPPED).saturating_add(hard.saturating_mul(2));
    // A process without privileges can only lower the limit that its system gave it.
    let most = getrlimit(Resource::As).maximum.unwrap_or(u64::MAX);
    setrlimit(Resource::As, at_most(space.min(most)))?;
    setrlimit(Resource::Core, at_most(0))?;
    setrlimit(Resource::Fsize, at_most(0))?;
    Ok(())
}
