use std::collections::HashSet;

use crate::{Key, key::Interval};

/// What a transaction read: single keys, absent ones included, and the intervals that it scanned.
#[derive(Debug, Default)]
pub(crate) struct ReadSet {
    keys: HashSet<Key>,
    intervals: HashSet<Interval>,
}

impl ReadSet {
    pub(crate) fn add_key(&mut self, key: Key) {
        self.keys.insert(key);
    }

    pub(crate) fn add_interval(&mut self, interval: Interval) {
        if !interval.is_empty() {
            self.intervals.insert(interval);
        }
    }

    pub(crate) fn contains_key(&self, key: &Key) -> bool {
        self.keys.contains(key)
    }

    /// Whether the key was read, or is in a scanned interval.
    pub(crate) fn contains(&self, key: &Key) -> bool {
        self.contains_key(key) || self.intervals.iter().any(|interval| interval.contains(key.as_str()))
    }

    pub(crate) fn key_count(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn interval_count(&self) -> usize {
        self.intervals.len()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter()
    }

    pub(crate) fn intervals(&self) -> impl Iterator<Item = &Interval> {
        self.intervals.iter()
    }

    /// Forgets the intervals, to show that the proof notices.
    pub(crate) fn forget_intervals(&mut self) {
        self.intervals.clear();
    }
}
