//! The connections of a circle: how many there are, and the bytes that the server keeps for them.
//!
//! A *stranger* is a connection of a circle that needs a key, before the connection has authenticated. Where there is no
//! room, the server closes sockets that have not upgraded and strangers first, so that they keep no member away.

mod close_signal;
mod groups;
mod slot;
mod socket_table;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use protocol::Limits;

use super::{caller::Caller, derived_limits};
use close_signal::CloseSignal;
pub(crate) use slot::{HeldBytes, MAX_STRANGER_MESSAGE, Slot};
use socket_table::SocketTable;

/// Bytes that the server keeps for a connection without a message: its task, its session, the buffers of HTTP.
pub(super) const IDLE_BYTES: u64 = 32 << 10;

/// Strangers have one in so many of the bytes.
const STRANGER_BYTES_SHARE: u64 = 4;

/// One in so many connections stays free of strangers. Beyond the others a random stranger is closed for each new one.
const MEMBER_RESERVE_SHARE: u64 = 4;

/// One address has so many times the sockets that it has connections without authentication, so that a client can still
/// ask over HTTP, and hears why one more connection is refused.
const SOCKETS_PER_CONNECTION: u64 = 4;

/// Why a connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionRefusal {
    /// The circle has as many connections as it may have, and no stranger among them.
    Full,
    /// The address has as many connections without authentication as it may have.
    Address {
        /// How many.
        max: u64,
    },
}

/// What the connections of a circle are held to.
#[derive(Debug, Clone, Copy)]
struct ConnectionBounds {
    sockets: u64,
    connections: u64,
    /// Of those, the strangers'.
    strangers: u64,
    /// Strangers of one address.
    per_address: u64,
    /// Sockets of one address that have not authenticated.
    sockets_per_address: u64,
    bytes: u64,
    /// Of those, the bytes of sockets that have not authenticated.
    stranger_bytes: u64,
}

impl ConnectionBounds {
    fn new(limits: &Limits, needs_key: bool) -> Self {
        let bytes = limits.connection_mib.map_or(u64::MAX, |mib| mib.saturating_mul(1 << 20));
        let sockets_per_address = limits.unauthenticated_per_address.saturating_mul(SOCKETS_PER_CONNECTION);
        Self {
            // A socket that has not upgraded takes a descriptor, too.
            sockets: limits.connections.saturating_add(derived_limits::spare_sockets(limits.connections)),
            connections: limits.connections,
            strangers: limits.connections - limits.connections / MEMBER_RESERVE_SHARE,
            per_address: limits.unauthenticated_per_address,
            // Nobody authenticates to an open circle, so an address has as many connections as there are.
            sockets_per_address: if needs_key { sockets_per_address } else { u64::MAX },
            bytes,
            stranger_bytes: bytes / STRANGER_BYTES_SHARE,
        }
    }
}

/// What the table holds, and what it has closed so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionTotals {
    pub(crate) bytes: u64,
    /// Sockets that were closed for others, because there were too many.
    pub(crate) closed_for_room: u64,
    /// Sockets without authentication that were closed because all held too many bytes.
    pub(crate) closed_for_memory: u64,
    /// The same, of callers that may play.
    pub(crate) callers_closed_for_memory: u64,
    /// Sockets that have ended, for whatever reason.
    pub(crate) ended: u64,
}

/// The connections of a circle, shared by all who use them.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    table: Arc<Mutex<SocketTable>>,
    needs_key: bool,
}

impl Connections {
    /// `needs_key` says whether a connection has to authenticate before it may play.
    pub(crate) fn new(limits: &Limits, needs_key: bool) -> Self {
        Self { table: Arc::new(Mutex::new(SocketTable::new(ConnectionBounds::new(limits, needs_key)))), needs_key }
    }

    fn lock(&self) -> MutexGuard<'_, SocketTable> {
        // No code panics while it holds the lock.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies other bounds from now on. Connections beyond a lower number stay.
    pub(crate) fn apply(&self, limits: &Limits) {
        self.lock().set_bounds(ConnectionBounds::new(limits, self.needs_key));
    }

    pub(crate) fn totals(&self) -> ConnectionTotals {
        self.lock().totals()
    }

    /// Takes a socket that was accepted, if there is room for it. The address is `None` where others share it, because it is
    /// a proxy's.
    pub(crate) fn accept(&self, address: Option<IpAddr>) -> Result<Arc<Slot>, ConnectionRefusal> {
        let close = Arc::<CloseSignal>::default();
        let number = self.lock().accept(address.map(Caller::anonymous), close.clone())?;
        Ok(Arc::new(Slot::new(self.clone(), number, close)))
    }
}

#[cfg(test)]
mod tests;
