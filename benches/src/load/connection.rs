//! One connection of the load generator: requests out, responses in.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use super::{
    histogram::Histogram,
    protocols::{Incoming, Protocol},
};
use crate::BoxError;

/// How long a new connection may take to open.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection with a fixed number of requests in flight.
pub(super) struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    /// Number of bytes of `input` that are filled.
    filled: usize,
    output: Vec<u8>,
    /// Number of bytes of `output` that are written.
    written: usize,
    /// When the request of each slot was sent.
    sent_at: Vec<Instant>,
    /// Slot of the oldest request, for protocols that answer in order.
    oldest: usize,
    in_flight: usize,
}

impl Connection {
    /// Opens a connection that reads this many bytes at once. The buffer grows if one message is larger.
    pub(super) fn open(address: SocketAddr, protocol: &impl Protocol, read_bytes: usize) -> Result<Self, BoxError> {
        let mut stream = TcpStream::connect_timeout(&address, OPEN_TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(OPEN_TIMEOUT))?;
        protocol.open(&mut stream)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            input: vec![0; read_bytes],
            filled: 0,
            output: Vec::new(),
            written: 0,
            sent_at: Vec::new(),
            oldest: 0,
            in_flight: 0,
        })
    }

    /// Sends the first request of each slot.
    pub(super) fn start(&mut self, requests: &[Vec<u8>]) -> Result<(), BoxError> {
        self.sent_at = vec![Instant::now(); requests.len()];
        self.in_flight = requests.len();
        self.output.extend(requests.iter().flatten());
        self.flush()
    }

    /// Sends one request on a connection that has none in flight. Its latency counts from `since`.
    pub(super) fn send(&mut self, request: &[u8], since: Instant) -> Result<(), BoxError> {
        self.sent_at.clear();
        self.sent_at.push(since);
        self.in_flight = 1;
        self.output.extend_from_slice(request);
        self.flush()
    }

    /// Reads what there is, sends a new request for each response if there is one to send, and writes what it can.
    pub(super) fn advance(
        &mut self,
        protocol: &impl Protocol,
        requests: Option<&[Vec<u8>]>,
        latencies: &mut Histogram,
    ) -> Result<(), BoxError> {
        match self.stream.read(&mut self.input[self.filled..]) {
            Ok(0) => return Err("the server ended the connection".into()),
            Ok(count) => self.filled += count,
            Err(error) if is_transient(&error) => {}
            Err(error) => return Err(error.into()),
        }
        let now = Instant::now();
        let mut taken = 0;
        while let Some((count, incoming)) = protocol.first_message(&self.input[taken..self.filled])? {
            taken += count;
            let slot = match incoming {
                Incoming::Response(slot) => slot,
                Incoming::OldestResponse => {
                    let slot = self.oldest;
                    self.oldest = (slot + 1) % self.sent_at.len();
                    slot
                }
                Incoming::Notification => continue,
                Incoming::Ping(pong) => {
                    self.output.extend(pong);
                    continue;
                }
            };
            latencies.record(now - self.sent_at[slot]);
            match requests {
                Some(requests) => {
                    self.sent_at[slot] = now;
                    self.output.extend_from_slice(&requests[slot]);
                }
                None => self.in_flight -= 1,
            }
        }
        self.input.copy_within(taken..self.filled, 0);
        self.filled -= taken;
        if self.filled == self.input.len() {
            self.input.resize(2 * self.filled, 0);
        }
        self.flush()
    }

    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Whether some output is still unwritten.
    pub(super) fn is_blocked(&self) -> bool {
        self.written < self.output.len()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn flush(&mut self) -> Result<(), BoxError> {
        while self.is_blocked() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if is_transient(&error) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn is_transient(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
