//! The slot of a socket in the quota of connections.
//!
//! Only the thread that serves the connection uses the counters of a slot, so they need no memory ordering.

use std::{
    future::poll_fn,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{
            AtomicU8, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    task::{Context, Poll},
};

use super::{super::caller::Caller, CloseSignal, ConnectionRefusal, Connections};

/// The maximum size of a stranger's message in bytes: enough for every method that a stranger may call.
pub(crate) const MAX_STRANGER_MESSAGE: usize = 16 << 10;

/// Bytes that are read from a stranger before its request is done: the fragments of one message, and one frame that
/// completes or exceeds it.
const MAX_STRANGER_INBOUND: u64 = 2 * MAX_STRANGER_MESSAGE as u64 + 1024;

/// The number of unread bytes at which the circle accepts no further request of a stranger.
const MAX_STRANGER_OUTBOUND: u64 = 8 << 10;

/// Bytes of memory for each received byte, because buffers have spare capacity.
const INBOUND_FACTOR: u64 = 2;

/// Smaller changes of the held bytes are not reported, so that short messages take no lock.
const REPORTED_CHANGE: u64 = 8 << 10;

const REQUEST: u8 = 0;
const STRANGER: u8 = 1;
const ADMITTED: u8 = 2;

/// The slot of a socket. It is released once the connection's task has dropped it.
#[derive(Debug)]
pub(crate) struct Slot {
    connections: Connections,
    number: u64,
    close: Arc<CloseSignal>,
    stage: AtomicU8,
    /// Bytes that were read and not processed yet.
    inbound: AtomicU64,
    /// Bytes of the buffers of TLS.
    tls: AtomicU64,
    /// Bytes of queued plays and of waiting replies.
    session: AtomicU64,
    /// Bytes that the session has sent and the socket has not accepted.
    outbound: AtomicU64,
    /// The last reported sum of these counters.
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
            tls: AtomicU64::new(0),
            session: AtomicU64::new(0),
            outbound: AtomicU64::new(0),
            reported: AtomicU64::new(0),
        }
    }

    /// Returns the number of the socket, which identifies it in the log.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Upgrades the socket to a WebSocket of a client at `address`.
    pub(crate) fn upgrade(&self, address: IpAddr) -> Result<(), ConnectionRefusal> {
        let address = Caller::anonymous(address);
        let caller = (!self.connections.needs_key()).then_some(address);
        self.connections.lock().upgrade(self.number, address, caller)?;
        // Only the request has been read, and it is processed.
        self.inbound.store(0, Relaxed);
        self.outbound.store(0, Relaxed);
        self.stage.store(if caller.is_some() { ADMITTED } else { STRANGER }, Release);
        self.close.wake_socket();
        Ok(())
    }

    /// Assigns the connection to its authenticated caller.
    pub(crate) fn admit(&self, caller: Caller) {
        self.connections.lock().admit(self.number, caller);
        self.stage.store(ADMITTED, Release);
        // From now on the socket is read without a bound.
        self.close.wake_socket();
    }

    /// Whether the connection has to authenticate.
    pub(crate) fn is_stranger(&self) -> bool {
        self.stage.load(Acquire) == STRANGER
    }

    /// Whether the connection may play.
    pub(crate) fn is_admitted(&self) -> bool {
        self.stage.load(Acquire) == ADMITTED
    }

    /// Closes the connection, whatever its client does.
    pub(crate) fn close(&self) {
        self.close.set();
    }

    #[cfg(test)]
    pub(super) fn is_closed(&self) -> bool {
        self.close.is_set()
    }

    /// Whether the connection is to be closed. If not, the socket's task is woken once it is, and once
    /// [`allowance`](Self::allowance) is no longer 0.
    pub(crate) fn poll_closed(&self, cx: &Context<'_>) -> bool {
        self.close.poll(cx)
    }

    /// Like [`poll_closed`](Self::poll_closed), for the session's task, which is also woken by
    /// [`Connections::wake_sessions`].
    pub(crate) fn poll_session_closed(&self, cx: &Context<'_>) -> bool {
        self.close.poll_session(cx)
    }

    /// Returns how many bytes of a WebSocket may be read now: from a stranger one message, until it is processed.
    pub(crate) fn allowance(&self) -> usize {
        if !self.is_stranger() {
            return usize::MAX;
        }
        usize::try_from(MAX_STRANGER_INBOUND.saturating_sub(self.inbound.load(Relaxed))).unwrap_or(usize::MAX)
    }

    /// Counts bytes that were read from the socket.
    pub(crate) fn hold_inbound(&self, bytes: usize) {
        self.inbound.fetch_add(bytes as u64, Relaxed);
        self.report();
    }

    /// Releases read bytes that have been processed.
    pub(crate) fn release_inbound(&self, bytes: usize) {
        let is_paused = self.allowance() == 0;
        subtract(&self.inbound, bytes);
        if is_paused {
            self.close.wake_socket();
        }
        self.report();
    }

    /// Counts bytes that the session sends.
    pub(crate) fn hold_outbound(&self, bytes: usize) {
        self.outbound.fetch_add(bytes as u64, Relaxed);
        self.report();
    }

    /// Releases bytes that the socket has accepted, including bytes that the session did not send.
    pub(crate) fn release_outbound(&self, bytes: usize) {
        let accepted_request = self.accepts_request();
        subtract(&self.outbound, bytes);
        if !accepted_request && self.accepts_request() {
            self.close.wake_session();
        }
        self.report();
    }

    fn accepts_request(&self) -> bool {
        !self.is_stranger() || self.outbound.load(Relaxed) < MAX_STRANGER_OUTBOUND
    }

    /// Waits until the circle may accept another request: at once, unless a stranger has not read the last response.
    /// Only the session may call this.
    pub(crate) async fn ready_for_request(&self) {
        poll_fn(|cx| {
            if self.accepts_request() {
                return Poll::Ready(());
            }
            self.close.poll_session(cx);
            if self.accepts_request() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Counts the buffers of TLS, which a client can fill.
    #[cfg(any(feature = "tls", test))]
    pub(crate) fn hold_tls(&self, bytes: u64) {
        self.tls.store(bytes, Relaxed);
        self.report();
    }

    /// Sets how many bytes the session itself holds.
    pub(crate) fn set_session_bytes(&self, bytes: usize) {
        self.session.store(bytes as u64, Relaxed);
        self.report();
    }

    fn report(&self) {
        let held = INBOUND_FACTOR * self.inbound.load(Relaxed)
            + self.tls.load(Relaxed)
            + self.session.load(Relaxed)
            + self.outbound.load(Relaxed);
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

/// Some of the inbound bytes of a connection, which are released when this is dropped.
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
    // The socket also accepts bytes that nobody counted: HTTP responses.
    let _before = counter.fetch_update(Relaxed, Relaxed, |held| Some(held.saturating_sub(bytes as u64)));
}
