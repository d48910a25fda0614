//! The entries of a store that a tree knows.

use std::{
    collections::BTreeMap,
    ops::Bound,
    time::{Duration, Instant},
};

use client_ws::EventEntry;

/// Largest number of entries of a subscription, and their bytes.
pub(super) const MAX_WATCH_ENTRIES: usize = 2_000;
const MAX_WATCH_BYTES: usize = 2 << 20;

/// Largest number of entries of a tree, and their bytes.
pub(super) const MAX_ENTRIES: usize = 5_000;
const MAX_BYTES: usize = 8 << 20;

/// Largest key of a store. An entry with a larger key is ignored.
pub(super) const MAX_KEY_BYTES: usize = 512;

/// How long a changed entry is highlighted.
pub(super) const HIGHLIGHT_DURATION: Duration = Duration::from_secs(2);

/// An entry of the store.
#[derive(Debug)]
pub(super) struct StoredEntry {
    /// The value as JSON.
    pub(super) value: Box<str>,
    /// When the value changed while it was shown.
    pub(super) changed_at: Option<Instant>,
    /// The reading of all entries that had the entry last.
    reading: u64,
}

/// Entries by their keys, within bounds.
#[derive(Debug, Default)]
pub(super) struct StoredEntries {
    entries: BTreeMap<String, StoredEntry>,
    bytes: usize,
    /// When an entry changed last.
    changed_at: Option<Instant>,
}

impl StoredEntries {
    /// The entries whose keys begin with a prefix, in the order of their keys.
    pub(super) fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a StoredEntry)> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let entries = self.entries.range::<str, _>(from).take_while(move |(key, _)| key.starts_with(prefix));
        entries.map(|(key, entry)| (key.as_str(), entry))
    }

    /// Returns a value as JSON.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(|entry| &*entry.value)
    }

    /// When an entry changed last.
    pub(super) fn changed_at(&self) -> Option<Instant> {
        self.changed_at
    }

    /// Puts entries with a prefix. Returns whether there was room for all of them. `changed_at` is the time of the
    /// changes, if differences are changes.
    pub(super) fn put_all(
        &mut self,
        prefix: &str,
        entries: Vec<EventEntry>,
        reading: u64,
        changed_at: Option<Instant>,
    ) -> bool {
        let size = |(count, bytes), (key, entry): (&str, &StoredEntry)| (count + 1, bytes + cost(key, &entry.value));
        let (mut count, mut bytes) = self.below(prefix).fold((0, 0), size);
        for entry in entries.into_iter().filter(|entry| entry.key.starts_with(prefix)) {
            let before = self.remove(&entry.key);
            if let Some(before) = &before {
                (count, bytes) = (count - 1, bytes - cost(&entry.key, &before.value));
            }
            let Some(value) = entry.value.filter(|_| !entry.deleted && entry.key.len() <= MAX_KEY_BYTES) else {
                continue;
            };
            let cost = cost(&entry.key, value.get());
            let has_watch_room = count < MAX_WATCH_ENTRIES && bytes + cost <= MAX_WATCH_BYTES;
            if !has_watch_room || self.entries.len() >= MAX_ENTRIES || self.bytes + cost > MAX_BYTES {
                return false;
            }
            (count, bytes, self.bytes) = (count + 1, bytes + cost, self.bytes + cost);
            let unchanged = before.filter(|before| *before.value == *value.get());
            let changed_at = unchanged.map_or(changed_at, |before| before.changed_at);
            self.changed_at = self.changed_at.max(changed_at);
            self.entries.insert(entry.key, StoredEntry { value: value.get().into(), changed_at, reading });
        }
        true
    }

    /// Forgets the entries with a prefix that a reading of all entries did not have.
    pub(super) fn drop_unread(&mut self, prefix: &str, reading: u64) {
        let unread = self.below(prefix).filter(|(_, entry)| entry.reading != reading);
        let unread: Vec<String> = unread.map(|(key, _)| key.to_owned()).collect();
        for key in unread {
            self.remove(&key);
        }
    }

    /// Forgets the entries with other keys.
    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(&str) -> bool) {
        let Self { entries, bytes, .. } = self;
        entries.retain(|key, entry| {
            let is_kept = is_kept(key);
            if !is_kept {
                *bytes -= cost(key, &entry.value);
            }
            is_kept
        });
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    #[cfg(test)]
    pub(super) fn counted_bytes(&self) -> usize {
        self.entries.iter().map(|(key, entry)| cost(key, &entry.value)).sum()
    }

    fn remove(&mut self, key: &str) -> Option<StoredEntry> {
        let entry = self.entries.remove(key)?;
        self.bytes -= cost(key, &entry.value);
        Some(entry)
    }
}

/// Whether a change is so recent that it is highlighted.
pub(super) fn is_recent(changed_at: Option<Instant>, now: Instant) -> bool {
    changed_at.is_some_and(|at| now.saturating_duration_since(at) < HIGHLIGHT_DURATION)
}

/// The memory of an entry, about.
fn cost(key: &str, value: &str) -> usize {
    key.len() + value.len() + 64
}
