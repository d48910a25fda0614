//! The part of one connection in the quota of connections.
//!
//! The counters of a slot are used by the thread that serves its connection, so they need no order between them.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{
            AtomicU8, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    task::Context,
};

use super::{super::caller::Caller, CloseSignal, ConnectionRefusal, Connections};

/// Bytes of a message of a stranger: enough for everything that it may call.
pub(crate) const MAX_STRANGER_MESSAGE: usize = 16 << 10;

/// Bytes that are read from a stranger before what they ask for is done: the fragments of one message, and one frame that
/// completes or exceeds it.
const MAX_STRANGER_INBOUND: u64 = 2 * MAX_STRANGER_MESSAGE as u64 + 1024;

/// Bytes that a stranger has not taken, with which the circle takes no request of it.
const MAX_STRANGER_OUTBOUND: u64 = 8 << 10;

/// Bytes of memory for each byte that arrived: buffers have room for more than what is in them.
const INBOUND_FACTOR: u64 = 2;

/// A change of held bytes that is smaller than this is not reported, so that short messages take no lock.
const REPORTED_CHANGE: u64 = 8 << 10;

const REQUEST: u8 = 0;
const STRANGER: u8 = 1;
const ADMITTED: u8 = 2;

/// The slot of a socket, which is free again once whoever serves the connection has dropped it.
#[derive(Debug)]
pub(crate) struct Slot {
    connections: Connections,
    number: u64,
    close: Arc<CloseSignal>,
    stage: AtomicU8,
    /// Bytes that were read and are not done with.
    inbound: AtomicU64,
    /// Bytes of queued plays and of replies that wait.
    session: AtomicU64,
    /// Bytes that the session has sent and the socket has not taken.
    outbound: AtomicU64,
    /// The sum of those when it was last reported.
    reported: AtomicU64,
}

impl Slot {
    pub(super) fn new(connections: Connections, number: u64, close: Arc<CloseSignal>) -> Self {
        Self {
            connections,
            number,
            close,
            stage: AtomicU8::new(REQUEST),
            inbound: AtomicU64::new(0),
            session: AtomicU64::new(0),
            outbound: AtomicU64::new(0),
            reported: AtomicU64::new(0),
        }
    }

    /// The number of the socket, by which the log tells sockets apart.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Makes the socket a connection of a client at `address`.
    pub(crate) fn upgrade(&self, address: IpAddr) -> Result<(), ConnectionRefusal> {
        let address = Caller::anonymous(address);
        let caller = (!self.connections.needs_key).then_some(address);
        self.connections.lock().upgrade(self.number, address, caller)?;
        // The request is all that was read.
        self.inbound.store(0, Relaxed);
        self.outbound.store(0, Relaxed);
        self.stage.store(if caller.is_some() { ADMITTED } else { STRANGER }, Release);
        self.close.wake_socket();
        Ok(())
    }

    /// Notes whose connection it is, once it has authenticated.
    pub(crate) fn admit(&self, caller: Caller) {
        self.connections.lock().admit(self.number, caller);
        self.stage.store(ADMITTED, Release);
        // The socket is read without a bound from now on.
        self.close.wake_socket();
    }

    /// Whether it is a WebSocket.
    pub(crate) fn is_upgraded(&self) -> bool {
        self.stage.load(Acquire) != REQUEST
    }

    /// Whether it is a connection that has to authenticate.
    pub(crate) fn is_stranger(&self) -> bool {
        self.stage.load(Acquire) == STRANGER
    }

    /// Whether it is a connection that may play.
    pub(crate) fn is_admitted(&self) -> bool {
        self.stage.load(Acquire) == ADMITTED
    }

    /// Ends the connection, whatever its client does.
    pub(crate) fn close(&self) {
        self.close.set();
    }

    #[cfg(test)]
    pub(super) fn is_closed(&self) -> bool {
        self.close.is_set()
    }

    /// Whether the connection is to end. From now on the task of the socket is woken once it is, and once
    /// [`allowance`](Self::allowance) is no longer 0.
    pub(crate) fn poll_closed(&self, cx: &Context<'_>) -> bool {
        self.close.poll(cx)
    }

    /// Waits until the connection is to end. For its session alone.
    pub(crate) async fn closed(&self) {
        self.close.wait().await;
    }

    /// Bytes of a WebSocket that are to be read now: from a stranger what one message takes, until it is done with.
    pub(crate) fn allowance(&self) -> usize {
        if !self.is_stranger() {
            return usize::MAX;
        }
        usize::try_from(MAX_STRANGER_INBOUND.saturating_sub(self.inbound.load(Relaxed))).unwrap_or(usize::MAX)
    }

    /// Notes bytes that were read from the socket.
    pub(crate) fn hold_inbound(&self, bytes: usize) {
        self.inbound.fetch_add(bytes as u64, Relaxed);
        self.report();
    }

    /// Notes bytes of those that are done with.
    pub(crate) fn release_inbound(&self, bytes: usize) {
        let is_paused = self.allowance() == 0;
        subtract(&self.inbound, bytes);
        if is_paused {
            self.close.wake_socket();
        }
        self.report();
    }

    /// Notes bytes that the session sends.
    pub(crate) fn hold_outbound(&self, bytes: usize) {
        self.outbound.fetch_add(bytes as u64, Relaxed);
        self.report();
    }

    /// Notes bytes that the socket has taken, also such as the session did not send.
    pub(crate) fn release_outbound(&self, bytes: usize) {
        let may_take = self.may_take();
        subtract(&self.outbound, bytes);
        if !may_take && self.may_take() {
            self.close.wake_session();
        }
        self.report();
    }

    fn may_take(&self) -> bool {
        !self.is_stranger() || self.outbound.load(Relaxed) < MAX_STRANGER_OUTBOUND
    }

    /// Waits until the circle takes another request: at once, unless a stranger has not taken the answer to the last. For the
    /// session alone.
    pub(crate) async fn ready_for_request(&self) {
        while !self.may_take() {
            self.close.wait_for_client().await;
        }
    }

    /// Notes how many bytes the session itself holds.
    pub(crate) fn set_session_bytes(&self, bytes: usize) {
        self.session.store(bytes as u64, Relaxed);
        self.report();
    }

    fn report(&self) {
        let held =
            INBOUND_FACTOR * self.inbound.load(Relaxed) + self.session.load(Relaxed) + self.outbound.load(Relaxed);
        if held.abs_diff(self.reported.load(Relaxed)) >= REPORTED_CHANGE {
            self.reported.store(held, Relaxed);
            self.connections.lock().hold(self.number, held);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        tracing::debug!(socket = self.number, "connection closed");
        self.connections.lock().remove(self.number);
    }
}

/// Some of the inbound bytes of a connection, which are done with when this is dropped.
#[derive(Debug)]
pub(crate) struct HeldBytes {
    slot: Arc<Slot>,
    bytes: usize,
}

impl HeldBytes {
    pub(crate) fn new(slot: Arc<Slot>, bytes: usize) -> Self {
        Self { slot, bytes }
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.slot.release_inbound(self.bytes);
    }
}

fn subtract(counter: &AtomicU64, bytes: usize) {
    // The socket takes bytes that nobody counted, too: the answers of HTTP.
    let _before = counter.fetch_update(Relaxed, Relaxed, |held| Some(held.saturating_sub(bytes as u64)));
}
