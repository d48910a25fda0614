//! The texts that a machine keeps in memory.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::content::ContentHash;

/// Maximum number of parts.
const MAX_PARTS: usize = 16 << 10;

/// Manifests and texts, of which those that were used last remain.
#[derive(Debug)]
pub(super) struct PartCache {
    /// Each part with the number of its last use.
    by_hash: HashMap<ContentHash, (u64, Bytes)>,
    /// The same parts in the order of their last uses, with the times of these.
    by_use: BTreeMap<u64, (ContentHash, Instant)>,
    bytes: u64,
    max_bytes: u64,
    /// Counts uses.
    uses: u64,
}

impl PartCache {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self { by_hash: HashMap::new(), by_use: BTreeMap::new(), bytes: 0, max_bytes, uses: 0 }
    }

    pub(super) fn get(&mut self, hash: ContentHash, now: Instant) -> Option<Bytes> {
        self.uses += 1;
        let (used, bytes) = self.by_hash.get_mut(&hash)?;
        self.by_use.remove(used);
        self.by_use.insert(self.uses, (hash, now));
        *used = self.uses;
        Some(bytes.clone())
    }

    pub(super) fn insert(&mut self, hash: ContentHash, bytes: Bytes, now: Instant) {
        let size = bytes.len() as u64;
        if size > self.max_bytes || self.by_hash.contains_key(&hash) {
            return;
        }
        while self.bytes + size > self.max_bytes || self.by_hash.len() >= MAX_PARTS {
            if !self.remove_oldest() {
                break;
            }
        }
        self.uses += 1;
        self.bytes += size;
        self.by_use.insert(self.uses, (hash, now));
        self.by_hash.insert(hash, (self.uses, bytes));
    }

    /// Removes the parts without a use for an `idle` time.
    pub(super) fn forget_idle(&mut self, idle: Duration, now: Instant) {
        let is_idle = |used_at: Instant| now.saturating_duration_since(used_at) >= idle;
        while self.by_use.first_key_value().is_some_and(|(_, (_, used_at))| is_idle(*used_at)) {
            self.remove_oldest();
        }
    }

    fn remove_oldest(&mut self) -> bool {
        let oldest = self.by_use.pop_first();
        let Some((_, removed)) = oldest.and_then(|(_, (hash, _))| self.by_hash.remove(&hash)) else { return false };
        self.bytes -= removed.len() as u64;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(byte: u8) -> ContentHash {
        ContentHash::of(&[byte])
    }

    fn part(length: usize) -> Bytes {
        vec![0; length].into()
    }

    #[test]
    fn parts_that_were_used_last_remain() {
        let (mut parts, now) = (PartCache::new(10), Instant::now());
        parts.insert(hash(1), part(4), now);
        parts.insert(hash(2), part(4), now);
        assert!(parts.get(hash(1), now).is_some());
        parts.insert(hash(3), part(4), now);
        assert_eq!([1, 2, 3].map(|byte| parts.get(hash(byte), now).is_some()), [true, false, true]);
        parts.insert(hash(4), part(11), now);
        assert!(parts.get(hash(4), now).is_none());
        parts.insert(hash(5), part(10), now);
        assert_eq!((parts.bytes, parts.by_hash.len(), parts.by_use.len()), (10, 1, 1));
    }

    #[test]
    fn parts_without_use_are_forgotten() {
        let (mut parts, begin, idle) = (PartCache::new(10), Instant::now(), Duration::from_mins(1));
        parts.insert(hash(1), part(4), begin);
        parts.insert(hash(2), part(4), begin);
        assert!(parts.get(hash(1), begin + idle / 2).is_some());
        parts.forget_idle(idle, begin + idle);
        assert_eq!([1, 2].map(|byte| parts.get(hash(byte), begin + idle / 2).is_some()), [true, false]);
        assert_eq!(parts.bytes, 4);
    }
}
