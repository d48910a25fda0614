//! Values in memory, so that reading them again does not wait for the disk.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{Key, Revision};

/// Memory of an entry beyond its key and value, roughly.
const ENTRY_OVERHEAD: usize = 128;

/// The encoded value of a key; nothing if the key is absent.
pub(crate) type CachedValue = Option<Arc<[u8]>>;

/// The values of keys that were read not long ago. The committer tells the cache about each group before a snapshot
/// shows the group, so an entry is right for every snapshot from its revision on.
pub(crate) struct ValueCache(Mutex<Entries>);

type Half = HashMap<Key, Entry>;

/// Entries in two halves: what is used moves to the recent half, and once that is full, the older half is dropped.
struct Entries {
    recent: Half,
    older: Half,
    /// Memory of the recent half, in bytes.
    recent_bytes: usize,
    /// Maximum memory of one half, in bytes.
    half: usize,
    /// The cache knows of all changes up to this revision.
    revision: Revision,
}

#[derive(Clone)]
struct Entry {
    /// The first revision for which the value is known.
    since: Revision,
    value: CachedValue,
}

impl ValueCache {
    /// Makes a cache of at most `bytes`, for a store whose newest revision is `revision`.
    pub(crate) fn new(bytes: usize, revision: Revision) -> Self {
        let (recent, older) = (Half::new(), Half::new());
        Self(Mutex::new(Entries { recent, older, recent_bytes: 0, half: bytes / 2, revision }))
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of a key in a snapshot, if the cache has it.
    pub(crate) fn find(&self, key: &Key, snapshot: Revision) -> Option<CachedValue> {
        let mut dropped = Half::new();
        let mut entries = self.lock();
        let found = if let Some(entry) = entries.recent.get(key) {
            entry.clone()
        } else {
            let entry = entries.older.remove(key)?;
            dropped = entries.insert(key.clone(), entry.clone());
            entry
        };
        drop(entries);
        drop(dropped);
        (found.since <= snapshot).then_some(found.value)
    }

    /// Keeps what a snapshot has for a key, unless something was committed since.
    pub(crate) fn add(&self, key: &Key, snapshot: Revision, value: CachedValue) {
        let mut dropped = Half::new();
        let mut entries = self.lock();
        if snapshot == entries.revision {
            entries.older.remove(key);
            dropped = entries.insert(key.clone(), Entry { since: snapshot, value });
        }
        drop(entries);
        drop(dropped);
    }

    /// Replaces the values of keys that a group changed. `revision` is that of the group.
    pub(crate) fn commit<'batch>(
        &self,
        changes: impl IntoIterator<Item = (&'batch [u8], Option<&'batch [u8]>)>,
        revision: Revision,
    ) {
        let mut changed = Vec::new();
        let mut entries = self.lock();
        // From here on, no value of an older snapshot is added. Nobody reads the new revision yet.
        entries.revision = revision;
        if !(entries.recent.is_empty() && entries.older.is_empty()) {
            for (key, value) in changes {
                // Keys are text.
                let Ok(key) = std::str::from_utf8(key) else { continue };
                changed.extend(entries.remove(key).map(|key| (key, value)));
            }
        }
        drop(entries);
        for (key, value) in changed {
            // The copy is made without the lock.
            let entry = Entry { since: revision, value: value.map(Arc::from) };
            let dropped = self.lock().insert(key, entry);
            drop(dropped);
        }
    }
}

impl Entries {
    /// Removes an entry, and returns its key.
    fn remove(&mut self, key: &str) -> Option<Key> {
        if let Some((key, _)) = self.older.remove_entry(key) {
            return Some(key);
        }
        let (key, entry) = self.recent.remove_entry(key)?;
        self.recent_bytes -= memory(&key, &entry);
        Some(key)
    }

    /// Inserts an entry in the recent half. Returns entries that have no room any more, to drop without the lock.
    fn insert(&mut self, key: Key, entry: Entry) -> Half {
        let bytes = memory(&key, &entry);
        if let Some(before) = self.recent.remove(&key) {
            self.recent_bytes -= memory(&key, &before);
        }
        let mut dropped = Half::new();
        if bytes > self.half {
            return dropped;
        }
        if self.recent_bytes + bytes > self.half {
            dropped = std::mem::replace(&mut self.older, std::mem::take(&mut self.recent));
            self.recent_bytes = 0;
        }
        self.recent_bytes += bytes;
        self.recent.insert(key, entry);
        dropped
    }
}

fn memory(key: &Key, entry: &Entry) -> usize {
    key.as_str().len() + entry.value.as_ref().map_or(0, |value| value.len()) + ENTRY_OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::new(text).expect("a key")
    }

    fn revision(number: u64) -> Revision {
        Revision::new(number)
    }

    fn value(text: &str) -> Arc<[u8]> {
        text.as_bytes().into()
    }

    #[test]
    fn value_is_found_from_its_revision_on() {
        let cache = ValueCache::new(4096, revision(5));
        cache.add(&key("a"), revision(5), Some(value("five")));
        cache.commit([(&b"b"[..], Some(&b"six"[..]))], revision(6));
        assert_eq!(cache.find(&key("a"), revision(4)), None);
        assert_eq!(cache.find(&key("a"), revision(5)), Some(Some(value("five"))));
        assert_eq!(cache.find(&key("a"), revision(6)), Some(Some(value("five"))));
        assert_eq!(cache.find(&key("b"), revision(6)), None, "nobody has read it");
    }

    #[test]
    fn commit_replaces_value() {
        let cache = ValueCache::new(4096, revision(1));
        cache.add(&key("a"), revision(1), Some(value("one")));
        cache.commit([(&b"a"[..], Some(&b"two"[..]))], revision(2));
        assert_eq!(cache.find(&key("a"), revision(1)), None);
        assert_eq!(cache.find(&key("a"), revision(2)), Some(Some(value("two"))));
        cache.commit([(&b"a"[..], None)], revision(3));
        assert_eq!(cache.find(&key("a"), revision(3)), Some(None));
    }

    #[test]
    fn value_of_older_snapshot_is_not_kept() {
        let cache = ValueCache::new(4096, revision(1));
        cache.commit([(&b"a"[..], Some(&b"two"[..]))], revision(2));
        cache.add(&key("a"), revision(1), Some(value("one")));
        assert_eq!(cache.find(&key("a"), revision(2)), None);
    }

    #[test]
    fn used_values_stay_within_the_bound() {
        let cache = ValueCache::new(20 * (ENTRY_OVERHEAD + 20), revision(1));
        for number in 0..1000 {
            cache.add(&key(&format!("{number:04}")), revision(1), Some(value("0123456789abcdef")));
            assert!(cache.find(&key("0000"), revision(1)).is_some(), "{number}");
            let entries = cache.lock();
            assert!(entries.recent_bytes <= entries.half && entries.recent.len() + entries.older.len() <= 20);
        }
        assert_eq!(cache.find(&key("0001"), revision(1)), None);
        cache.add(&key("large"), revision(1), Some(value(&"x".repeat(4096))));
        assert_eq!(cache.find(&key("large"), revision(1)), None);
        // A value that grows beyond the bound is gone, and so is the one before.
        cache.add(&key("a"), revision(1), Some(value("one")));
        cache.commit([(&b"a"[..], Some(&[0; 4096][..]))], revision(2));
        assert_eq!(cache.find(&key("a"), revision(2)), None);
    }
}
