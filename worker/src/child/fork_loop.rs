//! The loop of the template: forks, orders, and the ends of workers. It alone kills and reaps them, so that no process id
//! is used that could be another's by now.

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

use super::forked_worker::{Warm, live};
use crate::{
    message::{
        FromForkServer, Order, ToForkServer,
        frame::{self, HEADER},
    },
    system::{
        self,
        os::{self, Forked},
    },
};

/// Stands for the server where events are told apart; workers have numbers from 1.
const SERVER: u64 = 0;

/// Bytes that are read at a time.
const CHUNK: usize = 4 << 10;

/// Descriptors that come with one message.
const RIGHTS: usize = 2;

/// A worker that has not been reaped.
struct Worker {
    pid: Pid,
    /// Says when it has ended.
    watched: OwnedFd,
}

pub(super) struct Nursery {
    server: UnixStream,
    events: OwnedFd,
    workers: HashMap<u64, Worker>,
    arrived: Vec<u8>,
    rights: VecDeque<OwnedFd>,
    /// For what is said.
    buffer: Vec<u8>,
}

impl Nursery {
    pub(super) fn new(server: UnixStream) -> io::Result<Self> {
        let events = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&events, &server, EventData::new_u64(SERVER), EventFlags::IN)?;
        let (workers, rights) = (HashMap::new(), VecDeque::new());
        Ok(Self { server, events, workers, arrived: Vec::new(), rights, buffer: Vec::new() })
    }

    /// Until the server goes away.
    pub(super) fn run(mut self, mut warm: Warm) -> io::Result<()> {
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
                        self.obey(&mut warm)?;
                    }
                    number => self.reap(number)?,
                }
            }
        }
    }

    /// Takes what has arrived; false at the end.
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
            return Err(io::Error::other("no room for a descriptor"));
        }
        Ok(received.bytes > 0)
    }

    /// Does what the messages say that have wholly arrived.
    fn obey(&mut self, warm: &mut Warm) -> io::Result<()> {
        let arrived = std::mem::take(&mut self.arrived);
        let mut rest = arrived.as_slice();
        while let Some((header, behind)) = rest.split_first_chunk::<HEADER>()
            && let Some((payload, behind)) = behind.split_at_checked(frame::length(*header))
        {
            rest = behind;
            match frame::decode(payload)? {
                ToForkServer::Fork { number } => self.fork(number, warm)?,
                ToForkServer::Order { number, order } => self.order(number, order),
            }
        }
        self.arrived = rest.to_vec();
        Ok(())
    }

    fn fork(&mut self, number: u64, warm: &mut Warm) -> io::Result<()> {
        let (Some(work), Some(control)) = (self.rights.pop_front(), self.rights.pop_front()) else {
            return Err(io::Error::other("a worker without sockets"));
        };
        let template = getpid();
        let forked = match os::fork() {
            Ok(Forked::Child) => {
                // Whatever happens here, nothing may come back into the template's own code.
                let lived = catch_unwind(AssertUnwindSafe(|| live(warm, work, control, template)));
                os::end(i32::from(!matches!(lived, Ok(Ok(())))));
            }
            Ok(Forked::Parent(pid)) => self.watch(number, pid),
            Err(error) => Err(error),
        };
        let said = match forked {
            Ok(pid) => FromForkServer::Forked { number, pid: pid.as_raw_nonzero().get().cast_unsigned() },
            Err(error) => FromForkServer::NotForked { number, error: error.raw_os_error().unwrap_or_default() },
        };
        self.say(said)
    }

    /// Learns of a worker's end from now on. A worker of which that is not possible is none.
    fn watch(&mut self, number: u64, pid: Pid) -> io::Result<Pid> {
        let watched = pidfd_open(pid, PidfdFlags::empty()).and_then(|watched| {
            epoll::add(&self.events, &watched, EventData::new_u64(number), EventFlags::IN)?;
            Ok(watched)
        });
        match watched {
            Ok(watched) => {
                self.workers.insert(number, Worker { pid, watched });
                Ok(pid)
            }
            Err(error) => {
                kill_process(pid, Signal::KILL)?;
                waitpid(Some(pid), WaitOptions::empty())?;
                Err(error.into())
            }
        }
    }

    /// One that has ended takes no orders.
    fn order(&self, number: u64, order: Order) {
        let Some(worker) = self.workers.get(&number) else { return };
        match order {
            Order::LowerPriority => system::lower_priority(worker.pid),
            Order::Kill => {
                // It is not reaped, so there is something to be killed, if only what is left of it.
                let _there = kill_process(worker.pid, Signal::KILL);
            }
        }
    }

    fn reap(&mut self, number: u64) -> io::Result<()> {
        let Some(worker) = self.workers.get(&number) else { return Ok(()) };
        let Some((_, status)) = waitpid(Some(worker.pid), WaitOptions::NOHANG)? else { return Ok(()) };
        // By name: closing it is not enough while a worker that was just forked has not closed its copy.
        epoll::delete(&self.events, &worker.watched)?;
        self.workers.remove(&number);
        self.say(FromForkServer::Ended { number, status: status.as_raw() })
    }

    /// Waits until the server takes it, which it does whatever it waits for itself.
    fn say(&mut self, said: FromForkServer) -> io::Result<()> {
        frame::write_frame(&self.server, &said, &mut self.buffer)
    }
}

impl Drop for Nursery {
    /// The server is gone, or what it says makes no sense.
    fn drop(&mut self) {
        for worker in self.workers.values() {
            let _there = kill_process(worker.pid, Signal::KILL);
        }
    }
}
