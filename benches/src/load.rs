//! The load generator: one thread that keeps a fixed number of requests in flight on each of its connections, as a closed
//! loop; and a crowd that sends at a fixed rate, as an open loop. It must cost far less than the servers, which share the
//! machine with it.

mod connection;
mod crowd;
mod histogram;
mod login;
mod protocols;
mod websocket;

use std::{
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use rustix::{
    event::{Timespec, epoll},
    io::Errno,
};

use crate::{
    BoxError,
    process_tree::{CpuTime, cpu_time},
};
use connection::Connection;
pub(crate) use crowd::Crowd;
pub(crate) use histogram::Histogram;
pub(crate) use protocols::{JsonRpc, Protocol, Redis};

/// How long the load generator waits for any response before it gives up.
const STALL_TIMEOUT: Duration = Duration::from_mins(1);

/// Bytes that a connection reads at once.
const READ_BYTES: usize = 64 * 1024;

/// Number of events that the kernel reports at once.
const EVENTS: usize = 64;

/// Number of connections, and of requests in flight on each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) connections: usize,
    pub(crate) depth: usize,
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "C={} D={}", self.connections, self.depth)
    }
}

/// A server under load, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// The process whose processor time counts, with its descendants.
    pub(crate) pid: u32,
    pub(crate) warm_up: Duration,
    pub(crate) time: Duration,
}

/// What one run measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Throughput {
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Processor time of the server for each response, if it was read.
    pub(crate) cpu: Option<CpuTime>,
}

/// Puts a server under load and measures it. There is at least one response, even if it takes longer than the target's
/// time.
pub(crate) fn run(target: Target, shape: Shape, protocol: &impl Protocol) -> Result<Throughput, BoxError> {
    let requests: Vec<_> = (0..shape.depth).map(|slot| protocol.request(slot)).collect();
    let mut load = Load::open(target.address, shape.connections, protocol)?;
    for connection in &mut load.connections {
        connection.start(&requests)?;
    }
    load.run_for(target.warm_up, &requests)?;
    let cpu_before = cpu_time(target.pid)?;
    load.latencies = Histogram::new();
    let start = Instant::now();
    load.run_for(target.time, &requests)?;
    let elapsed = start.elapsed();
    let cpu = cpu_time(target.pid)?.since(cpu_before);
    let latencies = load.latencies.clone();
    load.drain()?;
    let count = u32::try_from(latencies.total())?;
    Ok(Throughput {
        per_second: f64::from(count) / elapsed.as_secs_f64(),
        p50: latencies.percentile(50),
        p99: latencies.percentile(99),
        cpu: Some(CpuTime { root: cpu.root / count, descendants: cpu.descendants / count }),
    })
}

/// Puts a server under load until it has answered at least `count` requests. Returns the number of its responses.
pub(crate) fn exchange(
    address: SocketAddr,
    shape: Shape,
    protocol: &impl Protocol,
    count: u64,
) -> Result<u64, BoxError> {
    let requests: Vec<_> = (0..shape.depth).map(|slot| protocol.request(slot)).collect();
    let mut load = Load::open(address, shape.connections, protocol)?;
    for connection in &mut load.connections {
        connection.start(&requests)?;
    }
    while load.latencies.total() < count {
        load.turn(STALL_TIMEOUT, Some(&requests), false)?;
    }
    load.drain()?;
    Ok(load.latencies.total())
}

/// Opens a connection and returns the time from there to the response to its first request, and the connection.
pub(crate) fn first_response(
    address: SocketAddr,
    protocol: &impl Protocol,
) -> Result<(Duration, OpenConnection), BoxError> {
    let mut load = Load::open(address, 1, protocol)?;
    for connection in &mut load.connections {
        connection.start(&[protocol.request(0)])?;
    }
    load.drain()?;
    let stream = load.connections.pop().ok_or("there is one connection")?.into_stream();
    Ok((load.latencies.percentile(50), OpenConnection { _stream: stream }))
}

/// Opens a connection that sends nothing.
pub(crate) fn open(address: SocketAddr, protocol: &impl Protocol) -> Result<OpenConnection, BoxError> {
    Ok(OpenConnection { _stream: Connection::open(address, protocol, READ_BYTES)?.into_stream() })
}

/// A connection that stays open until this is dropped.
pub(crate) struct OpenConnection {
    _stream: TcpStream,
}

struct Load<'a, P> {
    protocol: &'a P,
    epoll: std::os::fd::OwnedFd,
    connections: Vec<Connection>,
    latencies: Histogram,
}

impl<'a, P: Protocol> Load<'a, P> {
    fn open(address: SocketAddr, count: usize, protocol: &'a P) -> Result<Self, BoxError> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut load = Self { protocol, epoll, connections: Vec::new(), latencies: Histogram::new() };
        for _ in 0..count {
            load.add(Connection::open(address, protocol, READ_BYTES)?)?;
        }
        Ok(load)
    }

    fn add(&mut self, connection: Connection) -> Result<(), BoxError> {
        let index = self.connections.len() as u64;
        epoll::add(&self.epoll, &connection, epoll::EventData::new_u64(index), epoll::EventFlags::IN)?;
        self.connections.push(connection);
        Ok(())
    }

    /// Answers responses with new requests until the time is over and there was a response.
    fn run_for(&mut self, time: Duration, requests: &[Vec<u8>]) -> Result<(), BoxError> {
        let end = Instant::now() + time;
        let before = self.latencies.total();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let is_answered = self.latencies.total() > before;
            if left.is_zero() && is_answered {
                return Ok(());
            }
            self.turn(if is_answered { left } else { STALL_TIMEOUT }, Some(requests), is_answered)?;
        }
    }

    /// Waits for the responses to the requests in flight.
    fn drain(&mut self) -> Result<(), BoxError> {
        while self.connections.iter().any(|connection| connection.in_flight() > 0) {
            self.turn(STALL_TIMEOUT, None, false)?;
        }
        Ok(())
    }

    /// Waits for events and lets their connections advance.
    fn turn(
        &mut self,
        timeout: Duration,
        requests: Option<&[Vec<u8>]>,
        is_timeout_expected: bool,
    ) -> Result<(), BoxError> {
        let mut events = Vec::with_capacity(EVENTS);
        let timeout = Timespec::try_from(timeout)?;
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if events.is_empty() && !is_timeout_expected {
            return Err(format!("no response within {} s", STALL_TIMEOUT.as_secs()).into());
        }
        for event in events {
            let index = event.data.u64();
            let connection = &mut self.connections[usize::try_from(index)?];
            let was_blocked = connection.is_blocked();
            connection.advance(self.protocol, requests, &mut self.latencies)?;
            if connection.is_blocked() != was_blocked {
                let writable = if was_blocked { epoll::EventFlags::empty() } else { epoll::EventFlags::OUT };
                let flags = epoll::EventFlags::IN | writable;
                epoll::modify(&self.epoll, &*connection, epoll::EventData::new_u64(index), flags)?;
            }
        }
        Ok(())
    }
}
