//! What a process does first, a worker that is started anew as well as a fork server.

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::{
    message::{BUILD, Hello, Setup, frame},
    system::allocator,
};

/// Bytes of native stack for the thread that evaluates; reserved, used only as far as a script goes.
pub(crate) const STACK: usize = 256 << 20;

/// Bytes of address space besides that stack and what scripts may have: what the program and its libraries map.
const MAPPED: u64 = 512 << 20;

/// Bytes that one operation of a script may have at a time beyond its limit, at the least.
const OVERDRAFT: u64 = 32 << 20;

/// What the server says first, once it is known to be of this build.
pub(crate) fn hello(frame: &[u8]) -> io::Result<Setup> {
    let hello: Hello<'_> = frame::decode_borrowed(frame)?;
    if hello.build != BUILD {
        return Err(io::Error::other("the server is of another build"));
    }
    Ok(hello.setup)
}

/// The server hands over its sockets as standard input and output; taken from there, they cannot be printed to.
pub(crate) fn take(standard: impl AsFd) -> io::Result<UnixStream> {
    let fd: OwnedFd = standard.as_fd().try_clone_to_owned()?;
    Ok(fd.into())
}

/// Leads standard input and output nowhere.
pub(crate) fn leave_standard() -> io::Result<()> {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(())
}

/// Bounds what the process may take of the machine, whatever a script does: a process that wants more ends.
pub(crate) fn bound(memory: u64) -> io::Result<()> {
    // Within one operation a script may have its memory twice: a copy of what it has, say.
    let hard = memory.saturating_add(memory.max(OVERDRAFT));
    allocator::bound(usize::try_from(hard).unwrap_or(usize::MAX));
    let at_most = |maximum| Rlimit { current: Some(maximum), maximum: Some(maximum) };
    // Twice, for what the circle's own script has beside it.
    setrlimit(Resource::As, at_most((STACK as u64 + MAPPED).saturating_add(hard.saturating_mul(2))))?;
    setrlimit(Resource::Core, at_most(0))?;
    setrlimit(Resource::Fsize, at_most(0))?;
    Ok(())
}
