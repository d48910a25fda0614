//! Lists of sockets, from which one can be drawn at random, and removed, in constant time.

use std::{collections::HashMap, hash::Hash};

/// A table gives up the room of entries that are gone once it has more room than this.
const MIN_SHRUNK: usize = 1024;

/// One part in so many of a table's room is in use at the least.
const MAX_ROOM_FACTOR: usize = 4;

/// The numbers of sockets in no order.
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

    /// Adds a socket, and returns its position.
    pub(super) fn push(&mut self, number: u64) -> usize {
        self.0.push(number);
        self.0.len() - 1
    }

    /// Removes the socket at a position. Returns the socket that has this position from now on, if any.
    pub(super) fn remove(&mut self, position: usize) -> Option<u64> {
        self.0.swap_remove(position);
        if self.0.capacity() > MIN_SHRUNK.max(self.0.len() * MAX_ROOM_FACTOR) {
            self.0.shrink_to(self.0.len() * 2);
        }
        self.get(position)
    }
}

/// The sockets of one address that have not authenticated.
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

/// The connections of one caller, and the bytes that all of them hold.
#[derive(Debug, Default)]
pub(super) struct CallerConnections {
    pub(super) connections: SocketList,
    pub(super) bytes: u64,
}

/// Gives up most of the room that a map has for entries that are gone.
pub(super) fn shrink<K: Eq + Hash, V>(map: &mut HashMap<K, V>) {
    if map.capacity() > MIN_SHRUNK.max(map.len() * MAX_ROOM_FACTOR) {
        map.shrink_to(map.len() * 2);
    }
}
