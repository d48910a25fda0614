//! The table of all sockets of a circle, and the choice of those that make room.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use super::{super::caller::Caller, Bounds, CloseSignal, ConnectionRefusal, ConnectionTotals, IDLE_BYTES};

/// So many sockets are drawn at random where one has to make room, and the largest of those does. So an attacker cannot
/// choose which, who holds much is found soon, and it takes the same time however many sockets there are.
const DRAWN: usize = 8;

/// What a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No WebSocket yet.
    Request,
    /// A WebSocket that has to authenticate.
    Stranger,
    /// A WebSocket of a caller that may play.
    Admitted(Caller),
}

#[derive(Debug)]
struct Entry {
    stage: Stage,
    address: Option<Caller>,
    held: u64,
    /// Where it is in the list of its stage, unless it is admitted.
    position: usize,
    close: Arc<CloseSignal>,
}

impl Entry {
    fn bytes(&self) -> u64 {
        IDLE_BYTES + self.held
    }
}

/// Why a socket is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Room,
    Memory,
}

#[derive(Debug)]
pub(super) struct Table {
    bounds: Bounds,
    accepted: u64,
    sockets: HashMap<u64, Entry>,
    /// The sockets that have not upgraded.
    requests: Vec<u64>,
    strangers: Vec<u64>,
    /// How many sockets of each address have not authenticated.
    unauthenticated: HashMap<Caller, u64>,
    /// Of those, the strangers.
    strangers_by_address: HashMap<Caller, u64>,
    bytes: u64,
    /// Of those, the bytes of sockets that have not authenticated.
    stranger_bytes: u64,
    bytes_by_caller: HashMap<Caller, u64>,
    /// The bytes of sockets that were told to close and are not gone yet, and their sum.
    closing: HashMap<u64, u64>,
    closing_bytes: u64,
    closed_for_room: u64,
    closed_for_memory: u64,
    ended: u64,
}

impl Table {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            accepted: 0,
            sockets: HashMap::new(),
            requests: Vec::new(),
            strangers: Vec::new(),
            unauthenticated: HashMap::new(),
            strangers_by_address: HashMap::new(),
            bytes: 0,
            stranger_bytes: 0,
            bytes_by_caller: HashMap::new(),
            closing: HashMap::new(),
            closing_bytes: 0,
            closed_for_room: 0,
            closed_for_memory: 0,
            ended: 0,
        }
    }

    pub(super) fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    pub(super) fn totals(&self) -> ConnectionTotals {
        ConnectionTotals {
            bytes: self.bytes,
            closed_for_room: self.closed_for_room,
            closed_for_memory: self.closed_for_memory,
            ended: self.ended,
        }
    }

    /// The number of the new socket, if there is room for it.
    pub(super) fn accept(&mut self, address: Option<Caller>, close: Arc<CloseSignal>) -> Option<u64> {
        // What is being closed has its memory for a moment still.
        if self.closing_bytes >= self.bounds.stranger_bytes {
            return None;
        }
        if let Some(address) = address
            && count(&self.unauthenticated, &address) >= self.bounds.sockets_per_address
            && !self.evict_of_address(address, false)
        {
            return None;
        }
        if self.sockets.len() as u64 >= self.bounds.sockets && !self.evict_unauthenticated(Reason::Room) {
            return None;
        }
        self.accepted += 1;
        let number = self.accepted;
        self.insert(number, Entry { stage: Stage::Request, address, held: 0, position: 0, close });
        self.make_room();
        Some(number)
    }

    /// Makes a socket a connection. `caller` is `None` for a stranger.
    pub(super) fn upgrade(
        &mut self,
        number: u64,
        address: Caller,
        caller: Option<Caller>,
    ) -> Result<(), ConnectionRefusal> {
        let max = self.bounds.per_address;
        if caller.is_none()
            && count(&self.strangers_by_address, &address) >= max
            && !self.evict_of_address(address, true)
        {
            return Err(ConnectionRefusal::Address { max });
        }
        let is_crowded = caller.is_none() && self.strangers.len() as u64 >= self.bounds.strangers;
        let is_full = (self.sockets.len() - self.requests.len()) as u64 >= self.bounds.connections;
        if (is_crowded || is_full) && !self.evict_stranger() {
            return Err(ConnectionRefusal::Full);
        }
        // A socket that has been closed meanwhile is gone in a moment.
        let entry = self.take(number).ok_or(ConnectionRefusal::Full)?;
        let stage = caller.map_or(Stage::Stranger, Stage::Admitted);
        self.insert(number, Entry { stage, address: Some(address), ..entry });
        self.make_room();
        Ok(())
    }

    pub(super) fn admit(&mut self, number: u64, caller: Caller) {
        if let Some(entry) = self.take(number) {
            self.insert(number, Entry { stage: Stage::Admitted(caller), ..entry });
        }
    }

    pub(super) fn hold(&mut self, number: u64, held: u64) {
        if let Some(entry) = self.take(number) {
            self.insert(number, Entry { held, ..entry });
            self.make_room();
        }
    }

    pub(super) fn remove(&mut self, number: u64) {
        self.ended += 1;
        self.closing_bytes -= self.closing.remove(&number).unwrap_or_default();
        // A socket that was closed for others has been taken before.
        drop(self.take(number));
    }

    /// Puts a socket into the table, and counts it. The one counterpart of [`take`](Self::take).
    fn insert(&mut self, number: u64, mut entry: Entry) {
        let bytes = entry.bytes();
        self.bytes += bytes;
        if let Stage::Admitted(caller) = entry.stage {
            *self.bytes_by_caller.entry(caller).or_default() += bytes;
        } else {
            self.stranger_bytes += bytes;
            let is_stranger = entry.stage == Stage::Stranger;
            if let Some(address) = entry.address {
                *self.unauthenticated.entry(address).or_default() += 1;
                if is_stranger {
                    *self.strangers_by_address.entry(address).or_default() += 1;
                }
            }
            let list = if is_stranger { &mut self.strangers } else { &mut self.requests };
            entry.position = list.len();
            list.push(number);
        }
        self.sockets.insert(number, entry);
    }

    /// Takes a socket out of the table and of all counts.
    fn take(&mut self, number: u64) -> Option<Entry> {
        let entry = self.sockets.remove(&number)?;
        let bytes = entry.bytes();
        self.bytes -= bytes;
        if let Stage::Admitted(caller) = entry.stage {
            subtract(&mut self.bytes_by_caller, &caller, bytes);
            return Some(entry);
        }
        self.stranger_bytes -= bytes;
        let is_stranger = entry.stage == Stage::Stranger;
        if let Some(address) = &entry.address {
            subtract(&mut self.unauthenticated, address, 1);
            if is_stranger {
                subtract(&mut self.strangers_by_address, address, 1);
            }
        }
        let list = if is_stranger { &mut self.strangers } else { &mut self.requests };
        list.swap_remove(entry.position);
        // The last of the list stands there now.
        let moved = list.get(entry.position).and_then(|moved| self.sockets.get_mut(moved));
        if let Some(moved) = moved {
            moved.position = entry.position;
        }
        Some(entry)
    }

    /// Closes sockets until the bytes are within their bounds: those that have not authenticated first.
    fn make_room(&mut self) {
        while self.stranger_bytes > self.bounds.stranger_bytes || self.bytes > self.bounds.bytes {
            if !self.evict_unauthenticated(Reason::Memory) && !self.evict_of_largest_caller() {
                return;
            }
        }
    }

    /// Closes a socket that has not authenticated. Returns false if there is none.
    fn evict_unauthenticated(&mut self, reason: Reason) -> bool {
        let (requests, strangers) = (&self.requests, &self.strangers);
        let number = |index: usize| requests.get(index).or_else(|| strangers.get(index - requests.len())).copied();
        let drawn = draw(requests.len() + strangers.len()).filter_map(number);
        self.evict_largest(drawn.collect::<Vec<_>>(), reason)
    }

    /// Closes a stranger. Returns false if there is none.
    fn evict_stranger(&mut self) -> bool {
        let drawn = draw(self.strangers.len()).filter_map(|index| self.strangers.get(index).copied());
        self.evict_largest(drawn.collect::<Vec<_>>(), Reason::Room)
    }

    /// Closes a random socket of an address that has not authenticated, so that who connects anew is not kept out by who
    /// keeps connections. Returns false if there is none.
    fn evict_of_address(&mut self, address: Caller, strangers_only: bool) -> bool {
        let requests: &[u64] = if strangers_only { &[] } else { &self.requests };
        let of_address = |number: &&u64| self.sockets.get(number).is_some_and(|entry| entry.address == Some(address));
        let own: Vec<u64> = requests.iter().chain(&self.strangers).filter(of_address).copied().collect();
        let drawn = draw(own.len()).next().map(|index| own[index]);
        self.evict_largest(drawn.into_iter().collect(), Reason::Room)
    }

    /// Closes the largest connection of the caller who has most bytes. Returns false if no caller has a connection.
    fn evict_of_largest_caller(&mut self) -> bool {
        let most = self.bytes_by_caller.iter().max_by_key(|(_, bytes)| **bytes);
        let Some(caller) = most.map(|(caller, _)| *caller) else { return false };
        let own = self.sockets.iter().filter(|(_, entry)| entry.stage == Stage::Admitted(caller));
        self.evict_largest(own.map(|(number, _)| *number).collect(), Reason::Memory)
    }

    fn evict_largest(&mut self, candidates: Vec<u64>, reason: Reason) -> bool {
        let bytes = |number: &u64| self.sockets.get(number).map_or(0, Entry::bytes);
        let largest = candidates.into_iter().max_by_key(bytes);
        let Some((number, entry)) = largest.and_then(|number| Some((number, self.take(number)?))) else { return false };
        tracing::debug!(socket = number, bytes = entry.bytes(), ?reason, "closing a connection to make room");
        match reason {
            Reason::Room => self.closed_for_room += 1,
            Reason::Memory => self.closed_for_memory += 1,
        }
        self.closing_bytes += entry.bytes();
        self.closing.insert(number, entry.bytes());
        entry.close.set();
        true
    }
}

fn count<K: Hash + Eq>(counts: &HashMap<K, u64>, key: &K) -> u64 {
    counts.get(key).copied().unwrap_or_default()
}

/// Subtracts from a count of the table. What is 0 takes no memory.
fn subtract<K: Hash + Eq>(counts: &mut HashMap<K, u64>, key: &K, amount: u64) {
    if let Some(count) = counts.get_mut(key) {
        *count -= amount;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// Random indices of a list of that length.
fn draw(length: usize) -> impl Iterator<Item = usize> {
    let mut random = [[0; size_of::<usize>()]; DRAWN];
    if let Err(error) = getrandom::fill(random.as_flattened_mut()) {
        tracing::error!(%error, "the operating system gives no random bytes");
    }
    random.into_iter().filter_map(move |bytes| usize::from_ne_bytes(bytes).checked_rem(length))
}

#[cfg(test)]
impl Table {
    pub(super) fn recounted_bytes(&self) -> u64 {
        let of = |is_counted: &dyn Fn(&Entry) -> bool| {
            self.sockets.values().filter(|entry| is_counted(entry)).map(Entry::bytes).sum::<u64>()
        };
        let admitted = of(&|entry| matches!(entry.stage, Stage::Admitted(_)));
        assert_eq!(admitted, self.bytes_by_caller.values().sum::<u64>());
        assert_eq!(of(&|entry| !matches!(entry.stage, Stage::Admitted(_))), self.stranger_bytes);
        for (list, stage) in [(&self.requests, Stage::Request), (&self.strangers, Stage::Stranger)] {
            assert_eq!(list.len(), self.sockets.values().filter(|entry| entry.stage == stage).count());
            for (position, number) in list.iter().enumerate() {
                assert_eq!(self.sockets[number].position, position);
            }
        }
        of(&|_| true)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sockets.is_empty()
            && self.requests.is_empty()
            && self.strangers.is_empty()
            && self.unauthenticated.is_empty()
            && self.strangers_by_address.is_empty()
            && self.bytes_by_caller.is_empty()
            && self.closing.is_empty()
            && self.closing_bytes == 0
            && (self.bytes, self.stranger_bytes) == (0, 0)
    }
}
