//! Lists of sockets that support sampling and removal in constant time.

use std::{collections::HashMap, hash::Hash};

/// The capacity above which a table is shrunk after removals.
const MIN_SHRUNK: usize = 1024;

/// The maximum ratio of a table's capacity to its entries.
const MAX_ROOM_FACTOR: usize = 4;

/// The numbers of sockets, in no particular order.
#[derive(Debug, Default)]
pub(super) struct SocketList(Vec<u64>);

impl SocketList {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, position: usize) -> Option<u64> {
        self.0.get(position).copied()
    }

    pub(super) fn as_slice(&self) -> &[u64] {
        &self.0
    }

    /// Adds a socket and returns its position.
    pub(super) fn push(&mut self, number: u64) -> usize {
        self.0.push(number);
        self.0.len() - 1
    }

    /// Removes the socket at a position. Returns the socket that moves to this position, if any.
    pub(super) fn remove(&mut self, position: usize) -> Option<u64> {
        self.0.swap_remove(position);
        if self.0.capacity() > MIN_SHRUNK.max(self.0.len() * MAX_ROOM_FACTOR) {
            self.0.shrink_to(self.0.len() * 2);
        }
        self.get(position)
    }
}

/// The unauthenticated sockets of one address.
#[derive(Debug, Default)]
pub(super) struct AddressSockets {
    pub(super) requests: SocketList,
    pub(super) strangers: SocketList,
}

impl AddressSockets {
    pub(super) fn len(&self) -> usize {
        self.requests.len() + self.strangers.len()
    }
}

/// The connections of one caller, and the bytes that they hold together.
#[derive(Debug, Default)]
pub(super) struct CallerConnections {
    pub(super) connections: SocketList,
    pub(super) bytes: u64,
}

/// Shrinks a map whose capacity is much larger than its number of entries.
pub(super) fn shrink<K: Eq + Hash, V>(map: &mut HashMap<K, V>) {
    if map.capacity() > MIN_SHRUNK.max(map.len() * MAX_ROOM_FACTOR) {
        map.shrink_to(map.len() * 2);
    }
}
