//! The quota of connections of a circle: their number, and the bytes that the server holds for them.
//!
//! A *stranger* is a connection that has not authenticated yet, on a circle that needs a key. If there is no room, the
//! server first closes sockets without a WebSocket and strangers, so that they do not keep members out.

mod close_signal;
mod groups;
mod slot;
mod socket_table;

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use protocol::Limits;

use super::{caller::Caller, derived_limits};
use close_signal::CloseSignal;
pub(crate) use slot::{HeldBytes, MAX_STRANGER_MESSAGE, Slot};
use socket_table::SocketTable;

/// Bytes that the server holds for an idle connection: its task, its session and the buffers of HTTP.
pub(super) const IDLE_BYTES: u64 = 32 << 10;

/// Strangers may hold one in this many of the bytes.
const STRANGER_BYTES_SHARE: u64 = 4;

/// One in this many connections is reserved for members. If strangers hold all others, a random stranger is closed for
/// each new one.
const MEMBER_RESERVE_SHARE: u64 = 4;

/// One address may have this many sockets for each of its unauthenticated connections, so that a client can still make
/// HTTP requests and learn why a further connection is refused.
const SOCKETS_PER_CONNECTION: u64 = 4;

/// Why a connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionRefusal {
    /// The circle has no room and nothing more to evict, evicted sockets still hold too much memory, or this very socket
    /// was evicted.
    Full,
    /// The address has as many unauthenticated connections as it may have.
    Address {
        /// The maximum number for the address.
        max: u64,
    },
}

/// The bounds of a circle's connections.
#[derive(Debug, Clone, Copy)]
struct ConnectionBounds {
    sockets: u64,
    connections: u64,
    /// The maximum number of strangers among them.
    strangers: u64,
    /// The maximum number of strangers at one address.
    per_address: u64,
    /// The maximum number of unauthenticated sockets of one address.
    sockets_per_address: u64,
    bytes: u64,
    /// The part of `bytes` for unauthenticated sockets.
    stranger_bytes: u64,
}

impl ConnectionBounds {
    fn new(limits: &Limits, needs_key: bool) -> Self {
        let bytes = limits.connection_mib.map_or(u64::MAX, |mib| mib.saturating_mul(1 << 20));
        let sockets_per_address = limits.unauthenticated_per_address.saturating_mul(SOCKETS_PER_CONNECTION);
        Self {
            // A socket without a WebSocket takes a descriptor, too.
            sockets: limits.connections.saturating_add(derived_limits::spare_sockets(limits.connections)),
            connections: limits.connections,
            strangers: limits.connections - limits.connections / MEMBER_RESERVE_SHARE,
            per_address: limits.unauthenticated_per_address,
            // Nobody needs to authenticate to an open circle, so the number of connections of an address has no bound
            // of its own.
            sockets_per_address: if needs_key { sockets_per_address } else { u64::MAX },
            bytes,
            stranger_bytes: bytes / STRANGER_BYTES_SHARE,
        }
    }
}

/// The totals of the table: its bytes, and the sockets closed so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionTotals {
    pub(crate) bytes: u64,
    /// Sockets closed because there were too many.
    pub(crate) closed_for_room: u64,
    /// Unauthenticated sockets closed because all sockets held too many bytes.
    pub(crate) closed_for_memory: u64,
    /// Connections of callers that may play, closed because all sockets held too many bytes.
    pub(crate) callers_closed_for_memory: u64,
    /// Sockets that have ended for any reason.
    pub(crate) ended: u64,
}

/// The connections of a circle; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    table: Arc<Mutex<SocketTable>>,
    needs_key: Arc<AtomicBool>,
}

impl Connections {
    /// Makes the quota of a circle. `needs_key` states whether a connection has to authenticate before it may play.
    pub(crate) fn new(limits: &Limits, needs_key: bool) -> Self {
        let table = SocketTable::new(ConnectionBounds::new(limits, needs_key));
        Self { table: Arc::new(Mutex::new(table)), needs_key: Arc::new(AtomicBool::new(needs_key)) }
    }

    fn lock(&self) -> MutexGuard<'_, SocketTable> {
        // No code panics while it holds the lock.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a connection has to authenticate before it may do anything.
    fn needs_key(&self) -> bool {
        self.needs_key.load(Relaxed)
    }

    /// Sets whether later connections have to authenticate. [`apply`](Self::apply) adapts the bounds.
    pub(crate) fn set_needs_key(&self, needs_key: bool) {
        self.needs_key.store(needs_key, Relaxed);
    }

    /// Applies new bounds. Connections beyond a lower number stay open.
    pub(crate) fn apply(&self, limits: &Limits) {
        self.lock().set_bounds(ConnectionBounds::new(limits, self.needs_key()));
    }

    /// Wakes all sessions, because something that concerns each of them has changed.
    pub(crate) fn wake_sessions(&self) {
        self.lock().wake_sessions();
    }

    /// Closes all sockets, whatever their clients do.
    pub(crate) fn close_all(&self) {
        self.lock().close_all();
    }

    pub(crate) fn totals(&self) -> ConnectionTotals {
        self.lock().totals()
    }

    /// Admits an accepted socket, if there is room for it. The address is `None` for a proxy, whose address many
    /// clients share.
    pub(crate) fn accept(&self, address: Option<IpAddr>) -> Result<Arc<Slot>, ConnectionRefusal> {
        let close = Arc::<CloseSignal>::default();
        let number = self.lock().accept(address.map(Caller::anonymous), close.clone())?;
        Ok(Arc::new(Slot::new(self.clone(), number, close)))
    }
}

#[cfg(test)]
mod tests;
