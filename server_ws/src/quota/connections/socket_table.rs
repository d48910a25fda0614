//! The table of all sockets of a circle, and the choice of sockets to evict.

use std::{collections::HashMap, sync::Arc};

use super::{
    super::caller::Caller,
    CloseSignal, ConnectionBounds, ConnectionRefusal, ConnectionTotals, IDLE_BYTES,
    groups::{AddressSockets, CallerConnections, SocketList, shrink},
};

/// The number of randomly sampled sockets, of which the largest is evicted. So an attacker cannot choose the victim, a
/// socket that holds much is soon found, and the time does not depend on the number of sockets.
const SAMPLE_SIZE: usize = 8;

/// The stage of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SocketStage {
    /// The socket is not a WebSocket yet.
    Request,
    /// The socket is a WebSocket that has to authenticate.
    Stranger,
    /// The socket is a WebSocket of a caller that may play.
    Admitted(Caller),
}

#[derive(Debug)]
struct SocketEntry {
    stage: SocketStage,
    address: Option<Caller>,
    held: u64,
    /// The position in the list of its stage, unless the socket is admitted.
    position: usize,
    /// The position in the list of its caller, or of its address and stage.
    group_position: usize,
    close: Arc<CloseSignal>,
}

impl SocketEntry {
    fn bytes(&self) -> u64 {
        IDLE_BYTES + self.held
    }
}

/// Why a socket is evicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EvictReason {
    Room,
    Memory,
    CallerMemory,
}

#[derive(Debug)]
pub(super) struct SocketTable {
    bounds: ConnectionBounds,
    accepted: u64,
    sockets: HashMap<u64, SocketEntry>,
    /// The sockets that have not upgraded to a WebSocket yet.
    requests: SocketList,
    strangers: SocketList,
    addresses: HashMap<Caller, AddressSockets>,
    callers: HashMap<Caller, CallerConnections>,
    bytes: u64,
    /// The part of `bytes` that belongs to unauthenticated sockets.
    stranger_bytes: u64,
    /// The bytes of evicted sockets that are not gone yet, by socket. The next field is their sum.
    closing: HashMap<u64, u64>,
    closing_bytes: u64,
    closed_for_room: u64,
    closed_for_memory: u64,
    callers_closed_for_memory: u64,
    ended: u64,
}

impl SocketTable {
    pub(super) fn new(bounds: ConnectionBounds) -> Self {
        Self {
            bounds,
            accepted: 0,
            sockets: HashMap::new(),
            requests: SocketList::default(),
            strangers: SocketList::default(),
            addresses: HashMap::new(),
            callers: HashMap::new(),
            bytes: 0,
            stranger_bytes: 0,
            closing: HashMap::new(),
            closing_bytes: 0,
            closed_for_room: 0,
            closed_for_memory: 0,
            callers_closed_for_memory: 0,
            ended: 0,
        }
    }

    pub(super) fn set_bounds(&mut self, bounds: ConnectionBounds) {
        self.bounds = bounds;
    }

    pub(super) fn close_all(&self) {
        self.sockets.values().for_each(|socket| socket.close.set());
    }

    pub(super) fn wake_sessions(&self) {
        self.sockets.values().for_each(|socket| socket.close.wake_session());
    }

    pub(super) fn totals(&self) -> ConnectionTotals {
        ConnectionTotals {
            bytes: self.bytes,
            closed_for_room: self.closed_for_room,
            closed_for_memory: self.closed_for_memory,
            callers_closed_for_memory: self.callers_closed_for_memory,
            ended: self.ended,
        }
    }

    /// Adds a new socket, if there is room for it, and returns its number.
    pub(super) fn accept(
        &mut self,
        address: Option<Caller>,
        close: Arc<CloseSignal>,
    ) -> Result<u64, ConnectionRefusal> {
        // An evicted socket keeps its memory for a moment.
        if self.closing_bytes >= self.bounds.stranger_bytes {
            return Err(ConnectionRefusal::Full);
        }
        let max = self.bounds.sockets_per_address;
        if let Some(address) = address
            && self.addresses.get(&address).map_or(0, AddressSockets::len) as u64 >= max
            && !self.evict_of_address(address, false)
        {
            return Err(ConnectionRefusal::Address { max });
        }
        if self.sockets.len() as u64 >= self.bounds.sockets && !self.evict_unauthenticated(EvictReason::Room) {
            return Err(ConnectionRefusal::Full);
        }
        self.accepted += 1;
        let number = self.accepted;
        self.insert(
            number,
            SocketEntry { stage: SocketStage::Request, address, held: 0, position: 0, group_position: 0, close },
        );
        self.make_room();
        Ok(number)
    }

    /// Upgrades a socket to a WebSocket. `caller` is `None` for a stranger.
    pub(super) fn upgrade(
        &mut self,
        number: u64,
        address: Caller,
        caller: Option<Caller>,
    ) -> Result<(), ConnectionRefusal> {
        // A socket that was evicted meanwhile will be gone soon, and needs no room.
        if !self.sockets.contains_key(&number) {
            return Err(ConnectionRefusal::Full);
        }
        let max = self.bounds.per_address;
        if caller.is_none()
            && self.addresses.get(&address).map_or(0, |address| address.strangers.len()) as u64 >= max
            && !self.evict_of_address(address, true)
        {
            return Err(ConnectionRefusal::Address { max });
        }
        let is_crowded = caller.is_none() && self.strangers.len() as u64 >= self.bounds.strangers;
        let is_full = (self.sockets.len() - self.requests.len()) as u64 >= self.bounds.connections;
        if (is_crowded || is_full) && !self.evict_stranger() {
            return Err(ConnectionRefusal::Full);
        }
        let entry = self.take(number).ok_or(ConnectionRefusal::Full)?;
        let stage = caller.map_or(SocketStage::Stranger, SocketStage::Admitted);
        self.insert(number, SocketEntry { stage, address: Some(address), ..entry });
        self.make_room();
        Ok(())
    }

    pub(super) fn admit(&mut self, number: u64, caller: Caller) {
        if let Some(entry) = self.take(number) {
            self.insert(number, SocketEntry { stage: SocketStage::Admitted(caller), ..entry });
        }
    }

    /// Sets the bytes that a socket holds.
    pub(super) fn hold(&mut self, number: u64, held: u64) {
        let Some(entry) = self.sockets.get_mut(&number) else { return };
        let before = entry.bytes();
        entry.held = held;
        let bytes = entry.bytes();
        let sum = match entry.stage {
            SocketStage::Admitted(caller) => &mut self.callers.entry(caller).or_default().bytes,
            SocketStage::Request | SocketStage::Stranger => &mut self.stranger_bytes,
        };
        *sum = *sum - before + bytes;
        self.bytes = self.bytes - before + bytes;
        self.make_room();
    }

    pub(super) fn remove(&mut self, number: u64) {
        self.ended += 1;
        self.closing_bytes -= self.closing.remove(&number).unwrap_or_default();
        shrink(&mut self.closing);
        // An evicted socket has already been removed from the table.
        drop(self.take(number));
    }

    /// Inserts a socket into the table, its lists and the sums. [`take`](Self::take) is the only counterpart.
    fn insert(&mut self, number: u64, mut entry: SocketEntry) {
        let bytes = entry.bytes();
        self.bytes += bytes;
        if let SocketStage::Admitted(caller) = entry.stage {
            let group = self.callers.entry(caller).or_default();
            group.bytes += bytes;
            entry.group_position = group.connections.push(number);
        } else {
            self.stranger_bytes += bytes;
            let is_stranger = entry.stage == SocketStage::Stranger;
            if let Some(address) = entry.address {
                let group = self.addresses.entry(address).or_default();
                let list = if is_stranger { &mut group.strangers } else { &mut group.requests };
                entry.group_position = list.push(number);
            }
            let list = if is_stranger { &mut self.strangers } else { &mut self.requests };
            entry.position = list.push(number);
        }
        self.sockets.insert(number, entry);
    }

    /// Removes a socket from the table, its lists and the sums.
    fn take(&mut self, number: u64) -> Option<SocketEntry> {
        let entry = self.sockets.remove(&number)?;
        shrink(&mut self.sockets);
        self.bytes -= entry.bytes();
        if let SocketStage::Admitted(caller) = entry.stage {
            self.leave_caller(&entry, caller);
            return Some(entry);
        }
        self.stranger_bytes -= entry.bytes();
        let is_stranger = entry.stage == SocketStage::Stranger;
        if let Some(address) = entry.address {
            self.leave_address(&entry, address);
        }
        let list = if is_stranger { &mut self.strangers } else { &mut self.requests };
        let moved = list.remove(entry.position);
        if let Some(moved) = moved.and_then(|moved| self.sockets.get_mut(&moved)) {
            moved.position = entry.position;
        }
        Some(entry)
    }

    fn leave_caller(&mut self, entry: &SocketEntry, caller: Caller) {
        let Some(group) = self.callers.get_mut(&caller) else { return };
        group.bytes -= entry.bytes();
        let moved = group.connections.remove(entry.group_position);
        if group.connections.len() == 0 {
            self.callers.remove(&caller);
            shrink(&mut self.callers);
        }
        self.note_group_position(moved, entry.group_position);
    }

    fn leave_address(&mut self, entry: &SocketEntry, address: Caller) {
        let Some(group) = self.addresses.get_mut(&address) else { return };
        let list = if entry.stage == SocketStage::Stranger { &mut group.strangers } else { &mut group.requests };
        let moved = list.remove(entry.group_position);
        if group.len() == 0 {
            self.addresses.remove(&address);
            shrink(&mut self.addresses);
        }
        self.note_group_position(moved, entry.group_position);
    }

    fn note_group_position(&mut self, moved: Option<u64>, position: usize) {
        if let Some(moved) = moved.and_then(|moved| self.sockets.get_mut(&moved)) {
            moved.group_position = position;
        }
    }

    /// Evicts sockets until the bytes are within their bounds. Callers may use the part of the strangers' share that
    /// strangers do not use. A new stranger gets it back, so callers that hold much keep nobody out.
    fn make_room(&mut self) {
        while self.stranger_bytes > self.bounds.stranger_bytes {
            if !self.evict_unauthenticated(EvictReason::Memory) {
                break;
            }
        }
        while self.bytes > self.bounds.bytes {
            let of_callers = self.bytes - self.stranger_bytes;
            let callers_have_too_much = of_callers > self.bounds.bytes - self.bounds.stranger_bytes;
            let has_evicted = (callers_have_too_much && self.evict_of_largest_caller())
                || self.evict_unauthenticated(EvictReason::Memory)
                || self.evict_of_largest_caller();
            if !has_evicted {
                return;
            }
        }
    }

    /// Evicts an unauthenticated socket. Returns false if there is none.
    fn evict_unauthenticated(&mut self, reason: EvictReason) -> bool {
        let (requests, strangers) = (&self.requests, &self.strangers);
        let number = |index: usize| requests.get(index).or_else(|| strangers.get(index - requests.len()));
        let sampled = sample_indices(requests.len() + strangers.len()).filter_map(number);
        self.evict_largest(sampled.collect::<Vec<_>>(), reason)
    }

    /// Evicts a stranger. Returns false if there is none.
    fn evict_stranger(&mut self) -> bool {
        let sampled = sample_indices(self.strangers.len()).filter_map(|index| self.strangers.get(index));
        self.evict_largest(sampled.collect::<Vec<_>>(), EvictReason::Room)
    }

    /// Evicts a random unauthenticated socket of an address, so that clients that hold connections do not keep new ones
    /// out. Returns false if there is none.
    fn evict_of_address(&mut self, address: Caller, strangers_only: bool) -> bool {
        let Some(group) = self.addresses.get(&address) else { return false };
        let requests = if strangers_only { 0 } else { group.requests.len() };
        let number = |index: usize| match index.checked_sub(requests) {
            Some(index) => group.strangers.get(index),
            None => group.requests.get(index),
        };
        let sampled = sample_indices(requests + group.strangers.len()).next().and_then(number);
        self.evict_largest(sampled.into_iter().collect(), EvictReason::Room)
    }

    /// Evicts the largest connection of the caller that holds most bytes. Returns false if no caller has a connection.
    fn evict_of_largest_caller(&mut self) -> bool {
        let Some(largest) = self.callers.values().max_by_key(|group| group.bytes) else { return false };
        let candidates = largest.connections.as_slice().to_vec();
        self.evict_largest(candidates, EvictReason::CallerMemory)
    }

    fn evict_largest(&mut self, candidates: Vec<u64>, reason: EvictReason) -> bool {
        let bytes = |number: &u64| self.sockets.get(number).map_or(0, SocketEntry::bytes);
        let largest = candidates.into_iter().max_by_key(bytes);
        let Some((number, entry)) = largest.and_then(|number| Some((number, self.take(number)?))) else { return false };
        tracing::debug!(socket = number, bytes = entry.bytes(), ?reason, "closing connection to make room");
        match reason {
            EvictReason::Room => self.closed_for_room += 1,
            EvictReason::Memory => self.closed_for_memory += 1,
            EvictReason::CallerMemory => self.callers_closed_for_memory += 1,
        }
        self.closing_bytes += entry.bytes();
        self.closing.insert(number, entry.bytes());
        entry.close.set();
        true
    }
}

/// Returns random indices of a list with this length.
fn sample_indices(length: usize) -> impl Iterator<Item = usize> {
    let mut random = [[0; size_of::<usize>()]; SAMPLE_SIZE];
    if let Err(error) = getrandom::fill(random.as_flattened_mut()) {
        tracing::error!(%error, "cannot get random bytes from the operating system");
    }
    random.into_iter().filter_map(move |bytes| usize::from_ne_bytes(bytes).checked_rem(length))
}

#[cfg(test)]
impl SocketTable {
    pub(super) fn recounted_bytes(&self) -> u64 {
        let of = |is_counted: &dyn Fn(&SocketEntry) -> bool| {
            self.sockets.values().filter(|entry| is_counted(entry)).map(SocketEntry::bytes).sum::<u64>()
        };
        let admitted = of(&|entry| matches!(entry.stage, SocketStage::Admitted(_)));
        assert_eq!(admitted, self.callers.values().map(|group| group.bytes).sum::<u64>());
        assert_eq!(of(&|entry| !matches!(entry.stage, SocketStage::Admitted(_))), self.stranger_bytes);
        for (list, stage) in [(&self.requests, SocketStage::Request), (&self.strangers, SocketStage::Stranger)] {
            assert_eq!(list.len(), self.sockets.values().filter(|entry| entry.stage == stage).count());
            for (position, number) in list.as_slice().iter().enumerate() {
                assert_eq!(self.sockets[number].position, position);
            }
        }
        let by_caller = self.callers.values().map(|group| &group.connections);
        let by_address = self.addresses.values().flat_map(|group| [&group.requests, &group.strangers]);
        for list in by_caller.chain(by_address) {
            for (position, number) in list.as_slice().iter().enumerate() {
                assert_eq!(self.sockets[number].group_position, position);
            }
        }
        of(&|_| true)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sockets.is_empty()
            && (self.requests.len(), self.strangers.len()) == (0, 0)
            && self.addresses.is_empty()
            && self.callers.is_empty()
            && self.closing.is_empty()
            && self.closing_bytes == 0
            && (self.bytes, self.stranger_bytes) == (0, 0)
    }
}
