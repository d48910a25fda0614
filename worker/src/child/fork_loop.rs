//! The fork loop: forks workers, executes commands on them, and reports when they end.
//!
//! Only the fork loop kills and reaps workers, so that it never uses a process id that the kernel has reassigned.

use std::{
    collections::{HashMap, VecDeque},
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::net::UnixStream},
    panic::{AssertUnwindSafe, catch_unwind},
};

use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, CreateFlags, EventData, EventFlags},
    io::Errno,
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg},
    process::{Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process, pidfd_open, waitpid},
};

use super::forked_worker::PreparedWorker;
use crate::{
    message::{
        FromForkServer, ProcessCommand, ToForkServer,
        frame::{self, HEADER},
    },
    system::{
        self,
        channels::WorkerChannels,
        os::{self, ForkSide},
    },
};

/// The epoll key of the server's socket. Workers have numbers from 1.
const SERVER: u64 = 0;

/// Maximum number of bytes read at a time.
const CHUNK: usize = 4 << 10;

/// Maximum number of descriptors with one message.
const RIGHTS: usize = 3;

/// A forked worker that is not reaped yet.
struct ForkedProcess {
    pid: Pid,
    /// Readable once the process has ended.
    pidfd: OwnedFd,
}

pub(super) struct ForkLoop {
    server: UnixStream,
    events: OwnedFd,
    workers: HashMap<u64, ForkedProcess>,
    arrived: Vec<u8>,
    rights: VecDeque<OwnedFd>,
    /// Buffer for messages to the server, reused.
    buffer: Vec<u8>,
}

impl ForkLoop {
    pub(super) fn new(server: UnixStream) -> io::Result<Self> {
        let events = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&events, &server, EventData::new_u64(SERVER), EventFlags::IN)?;
        let (workers, rights) = (HashMap::new(), VecDeque::new());
        Ok(Self { server, events, workers, arrived: Vec::new(), rights, buffer: Vec::new() })
    }

    /// Runs until the server closes its socket.
    pub(super) fn run(mut self, mut prepared: PreparedWorker) -> io::Result<()> {
        let mut events = Vec::with_capacity(64);
        loop {
            match epoll::wait(&self.events, spare_capacity(&mut events), None) {
                Err(Errno::INTR) => {}
                waited => drop(waited?),
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    SERVER => {
                        if !self.receive()? {
                            return Ok(());
                        }
                        self.handle_messages(&mut prepared)?;
                    }
                    number => self.reap(number)?,
                }
            }
        }
    }

    /// Receives bytes and descriptors. Returns false at the end of the stream.
    fn receive(&mut self) -> io::Result<bool> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(RIGHTS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let length = self.arrived.len();
        self.arrived.resize(length + CHUNK, 0);
        let mut parts = [IoSliceMut::new(&mut self.arrived[length..])];
        let received = recvmsg(&self.server, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        self.arrived.truncate(length + received.bytes);
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                self.rights.extend(rights);
            }
        }
        if received.flags.contains(ReturnFlags::CTRUNC) {
            return Err(io::Error::other("a descriptor of a message was dropped"));
        }
        Ok(received.bytes > 0)
    }

    /// Handles all complete messages.
    fn handle_messages(&mut self, prepared: &mut PreparedWorker) -> io::Result<()> {
        let arrived = std::mem::take(&mut self.arrived);
        let mut rest = arrived.as_slice();
        while let Some((header, behind)) = rest.split_first_chunk::<HEADER>()
            && let Some((payload, behind)) = behind.split_at_checked(frame::length(*header))
        {
            rest = behind;
            match frame::decode(payload)? {
                ToForkServer::Fork { number, is_spare } => self.fork(number, is_spare, prepared)?,
                ToForkServer::Command { number, command } => self.run_command(number, command),
            }
        }
        self.arrived = rest.to_vec();
        Ok(())
    }

    fn fork(&mut self, number: u64, is_spare: bool, prepared: &mut PreparedWorker) -> io::Result<()> {
        let mut next = || self.rights.pop_front();
        let (Some(plays), Some(results), Some(control)) = (next(), next(), next()) else {
            return Err(io::Error::other("fork request without channels"));
        };
        let channels = WorkerChannels { work: (plays.into(), results.into()), control: control.into() };
        let fork_server = getpid();
        let forked = match os::fork() {
            Ok(ForkSide::Child) => {
                // The child must never return into the fork server's code.
                let ended = catch_unwind(AssertUnwindSafe(|| prepared.run(channels, fork_server, is_spare)));
                os::exit_now(i32::from(!matches!(ended, Ok(Ok(())))));
            }
            Ok(ForkSide::Parent(pid)) => self.watch(number, pid),
            Err(error) => Err(error),
        };
        let message = match forked {
            Ok(pid) => FromForkServer::Forked { number, pid: pid.as_raw_nonzero().get().cast_unsigned() },
            Err(error) => FromForkServer::NotForked { number, error: error.raw_os_error().unwrap_or_default() },
        };
        self.send(message)
    }

    /// Starts to watch for a worker's end. A worker that cannot be watched is killed.
    fn watch(&mut self, number: u64, pid: Pid) -> io::Result<Pid> {
        let watched = pidfd_open(pid, PidfdFlags::empty()).and_then(|pidfd| {
            epoll::add(&self.events, &pidfd, EventData::new_u64(number), EventFlags::IN)?;
            Ok(pidfd)
        });
        match watched {
            Ok(pidfd) => {
                self.workers.insert(number, ForkedProcess { pid, pidfd });
                Ok(pid)
            }
            Err(error) => {
                kill_process(pid, Signal::KILL)?;
                waitpid(Some(pid), WaitOptions::empty())?;
                Err(error.into())
            }
        }
    }

    /// Executes a command on a worker, unless the worker has ended.
    fn run_command(&self, number: u64, command: ProcessCommand) {
        let Some(worker) = self.workers.get(&number) else { return };
        match command {
            ProcessCommand::LowerPriority => system::lower_priority(worker.pid),
            ProcessCommand::Kill => {
                // The worker is not reaped yet, so the pid is still its own.
                let _already_ended = kill_process(worker.pid, Signal::KILL);
            }
        }
    }

    fn reap(&mut self, number: u64) -> io::Result<()> {
        let Some(worker) = self.workers.get(&number) else { return Ok(()) };
        let Some((_, status)) = waitpid(Some(worker.pid), WaitOptions::NOHANG)? else { return Ok(()) };
        // Closing the descriptor is not enough: a new worker may still hold a copy of it.
        epoll::delete(&self.events, &worker.pidfd)?;
        self.workers.remove(&number);
        self.send(FromForkServer::Ended { number, status: status.as_raw() })
    }

    /// Sends a message, and blocks until the server reads it. The server reads at all times, so this cannot deadlock.
    fn send(&mut self, message: FromForkServer) -> io::Result<()> {
        frame::write_frame(&self.server, &message, &mut self.buffer)
    }
}

impl Drop for ForkLoop {
    /// Kills the remaining workers: the server has ended or violated the protocol.
    fn drop(&mut self) {
        for worker in self.workers.values() {
            let _already_ended = kill_process(worker.pid, Signal::KILL);
        }
    }
}
