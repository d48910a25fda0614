//! The startup steps that fresh workers and fork servers share.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    message::{BUILD, Hello, WorkerSetup, frame},
    system::allocator,
};

/// Size of the native stack of the evaluating thread, in bytes. The system reserves it and allocates only what is used.
pub(crate) const STACK: usize = 256 << 20;

/// Bytes of address space for the program and its libraries, besides the stack and the memory of scripts.
const MAPPED: u64 = 512 << 20;

/// Minimum number of bytes by which one operation of a script may exceed the memory limit.
const OVERDRAFT: u64 = 32 << 20;

/// Parses the server's first message, and checks that the server is the same build.
pub(crate) fn read_hello(frame: &[u8]) -> io::Result<WorkerSetup> {
    let hello: Hello<'_> = frame::decode_borrowed(frame)?;
    if hello.build != BUILD {
        return Err(io::Error::other("the server is a different build"));
    }
    Ok(hello.setup)
}

/// Duplicates a descriptor that the server passed as a standard one, so that no output goes to it.
pub(crate) fn take_standard(standard: impl AsFd) -> io::Result<OwnedFd> {
    standard.as_fd().try_clone_to_owned()
}

/// Redirects the three standard descriptors to `/dev/null`.
pub(crate) fn detach_stdio() -> io::Result<()> {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

/// Limits the resources of the process, whatever a script does. A process that exceeds a limit ends.
pub(crate) fn limit_resources(memory: u64) -> io::Result<()> {
    // One operation may double a script's memory, for example by copying a value.
    let hard = memory.saturating_add(memory.max(OVERDRAFT));
    allocator::set_limit(usize::try_from(hard).unwrap_or(usize::MAX));
    let at_most = |maximum| Rlimit { current: Some(maximum), maximum: Some(maximum) };
    // Twice, because the memory of the init script is not part of the limit.
    let space = (STACK as u64 + MAPPED).saturating_add(hard.saturating_mul(2));
    // An unprivileged process can only lower its limit.
    let most = getrlimit(Resource::As).maximum.unwrap_or(u64::MAX);
    setrlimit(Resource::As, at_most(space.min(most)))?;
    setrlimit(Resource::Core, at_most(0))?;
    setrlimit(Resource::Fsize, at_most(0))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hello_of_another_build_is_rejected() {
        let read = |build| {
            let hello = Hello { build, setup: WorkerSetup::default() };
            read_hello(&frame::encode(&hello, Vec::new())[frame::HEADER..])
        };
        assert_eq!(read(BUILD).expect("the same build"), WorkerSetup::default());
        // The version alone does not identify a build.
        for other in [env!("CARGO_PKG_VERSION"), "", &BUILD.replace(' ', " 0")] {
            assert_eq!(read(other).expect_err(other).to_string(), "the server is a different build");
        }
    }
}
