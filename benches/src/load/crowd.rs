//! A crowd: connections that together send requests at a fixed rate (an open loop), one after the other in turn.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{Load, STALL_TIMEOUT, Throughput, connection::Connection, histogram::Histogram, protocols::Protocol};
use crate::BoxError;

/// Bytes that a connection of a crowd reads at once: responses are small, and connections are many.
const READ_BYTES: usize = 1024;

/// Connections that each have had a response to a first request.
pub(crate) struct Crowd<'a, P> {
    load: Load<'a, P>,
    request: Vec<u8>,
    /// Index of the connection that sends next.
    next: usize,
}

impl<'a, P: Protocol> Crowd<'a, P> {
    /// Opens connections and waits for the response to the first request of each. There may be fewer connections than
    /// `count`, if the server or the system allows no more.
    pub(crate) fn open(address: SocketAddr, count: usize, protocol: &'a P) -> Result<Self, BoxError> {
        let load = Load::open(address, 0, protocol)?;
        let mut crowd = Self { load, request: protocol.request(0), next: 0 };
        while crowd.len() < count {
            if let Err(error) = crowd.add(address) {
                if crowd.len() == 0 {
                    return Err(error);
                }
                eprintln!("{} of {count} connections opened: {error}", crowd.len());
                break;
            }
        }
        Ok(crowd)
    }

    /// Number of connections.
    pub(crate) fn len(&self) -> usize {
        self.load.connections.len()
    }

    /// Sends this many requests each second for a time, and waits for the response to each.
    ///
    /// A latency counts from the time at which the request was sent; if the connection still had a request in flight
    /// when the request was due, from the time at which it was due.
    pub(crate) fn run(&mut self, per_second: u32, time: Duration) -> Result<Throughput, BoxError> {
        self.load.latencies = Histogram::new();
        let interval = Duration::from_secs(1) / per_second;
        let start = Instant::now();
        let (mut due, mut is_late) = (start, false);
        while due < start + time {
            let left = due.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                self.load.turn(left, None, true)?;
                continue;
            }
            let connection = &mut self.load.connections[self.next];
            if connection.in_flight() > 0 {
                is_late = true;
                self.load.turn(STALL_TIMEOUT, None, false)?;
                continue;
            }
            connection.send(&self.request, if is_late { due } else { Instant::now() })?;
            is_late = false;
            self.next = (self.next + 1) % self.load.connections.len();
            due += interval;
        }
        self.load.drain()?;
        let latencies = &self.load.latencies;
        let count = u32::try_from(latencies.total())?;
        Ok(Throughput {
            per_second: f64::from(count) / start.elapsed().as_secs_f64(),
            p50: latencies.percentile(50),
            p99: latencies.percentile(99),
            cpu: None,
        })
    }

    /// Opens a connection and waits for the response to its first request.
    fn add(&mut self, address: SocketAddr) -> Result<(), BoxError> {
        self.load.add(Connection::open(address, self.load.protocol, READ_BYTES)?)?;
        let opened = self.load.connections.last_mut().ok_or("a connection was added")?;
        let answered = opened.send(&self.request, Instant::now()).and_then(|()| self.load.drain());
        if answered.is_err() {
            self.load.connections.pop();
        }
        answered
    }
}
