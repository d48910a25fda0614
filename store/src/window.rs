//! The changes that the store remembers to validate the reads of transactions.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
};

use crate::{
    Key, Prefix, Revision,
    reads::{ReadKind, ReadSet},
};

/// Memory of one change beyond the bytes of its key and value, roughly.
const CHANGE_OVERHEAD: usize = 128;

struct RecentChange {
    revision: Revision,
    key: Key,
    size: usize,
}

/// A change of something that a transaction read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conflict {
    pub(crate) key: Key,
    pub(crate) revision: Revision,
    /// The prefix of the scan that covers the key.
    pub(crate) scan: Option<Prefix>,
}

impl Conflict {
    fn new(key: &Key, revision: Revision, kind: ReadKind<'_>) -> Self {
        let scan = match kind {
            ReadKind::Get => None,
            ReadKind::Scan(prefix) => Some(prefix.clone()),
        };
        Self { key: key.clone(), revision, scan }
    }
}

/// All changes since the oldest live snapshot, within a bound.
pub(crate) struct Window {
    last: BTreeMap<Key, Revision>,
    /// In the order of revisions.
    changes: VecDeque<RecentChange>,
    bytes: usize,
    maximum: usize,
    /// The window has every change after this revision.
    floor: Revision,
}

impl Window {
    pub(crate) fn new(revision: Revision, maximum: usize) -> Self {
        Self { last: BTreeMap::new(), changes: VecDeque::new(), bytes: 0, maximum, floor: revision }
    }

    /// The oldest snapshot that the window can validate.
    pub(crate) fn floor(&self) -> Revision {
        self.floor
    }

    /// Size of the changes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a change; revisions do not decrease. `size` is that of the key and its values.
    pub(crate) fn record(&mut self, revision: Revision, key: Key, size: usize) {
        let size = size + CHANGE_OVERHEAD;
        self.bytes += size;
        self.last.insert(key.clone(), revision);
        self.changes.push_back(RecentChange { revision, key, size });
    }

    /// Adds the changes of a later window.
    pub(crate) fn append(&mut self, later: Self) {
        self.bytes += later.bytes;
        self.last.extend(later.last);
        self.changes.extend(later.changes);
    }

    /// Forgets changes that no live snapshot needs, and the oldest ones beyond the bound.
    pub(crate) fn prune(&mut self, oldest_snapshot: Revision) {
        while self
            .changes
            .front()
            .is_some_and(|change| change.revision <= oldest_snapshot.max(self.floor) || self.bytes > self.maximum)
        {
            let change = self.changes.pop_front().expect("a first change");
            self.bytes -= change.size;
            // Other changes of the same revision go, too, in the next rounds.
            self.floor = self.floor.max(change.revision);
            if self.last.get(&change.key) == Some(&change.revision) {
                self.last.remove(&change.key);
            }
        }
    }

    /// A change after `snapshot` of something in `reads`. The snapshot is not older than the floor.
    pub(crate) fn conflict(&self, reads: &ReadSet, snapshot: Revision) -> Option<Conflict> {
        let first = self.changes.partition_point(|change| change.revision <= snapshot);
        let changes = self.changes.len() - first;
        // Both ways find the same: one visits each change since the snapshot, the other each read and all that the
        // window has in the intervals. The intervals are disjoint, so neither visits more than the window has.
        if changes <= reads.count() {
            self.conflict_by_changes(reads, first)
        } else {
            self.conflict_by_reads(reads, snapshot)
        }
    }

    fn conflict_by_changes(&self, reads: &ReadSet, first: usize) -> Option<Conflict> {
        self.changes
            .range(first..)
            .find_map(|change| Some(Conflict::new(&change.key, change.revision, reads.find(&change.key)?)))
    }

    fn conflict_by_reads(&self, reads: &ReadSet, snapshot: Revision) -> Option<Conflict> {
        let by_key = reads.keys().filter_map(|key| Some((self.last.get_key_value(key)?, ReadKind::Get)));
        let by_interval = reads.intervals().flat_map(|(bounds, prefix)| {
            let range = self.last.range::<str, (Bound<&str>, Bound<&str>)>(bounds);
            range.map(move |change| (change, ReadKind::Scan(prefix)))
        });
        let ((key, revision), kind) = by_key.chain(by_interval).find(|((_, revision), _)| **revision > snapshot)?;
        Some(Conflict::new(key, *revision, kind))
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::key::Interval;

    fn key(number: u8) -> Key {
        Key::new(&format!("k/{number:03}")).expect("a key")
    }

    fn bound(number: u8, kind: u8) -> Bound<std::sync::Arc<str>> {
        let text = key(number).as_str().into();
        match kind {
            0 => Bound::Included(text),
            1 => Bound::Excluded(text),
            _ => Bound::Unbounded,
        }
    }

    proptest! {
        #[test]
        fn both_ways_to_find_conflicts_agree(
            changes in vec(0..40u8, 0..60),
            keys in vec(0..40u8, 0..6),
            intervals in vec((0..40u8, 0..3u8, 0..40u8, 0..3u8), 0..4),
            snapshot in 0..60u64,
        ) {
            let mut window = Window::new(Revision::new(0), usize::MAX);
            for (index, number) in changes.iter().enumerate() {
                window.record(Revision::new(index as u64 + 1), key(*number), 1);
            }
            let mut reads = ReadSet::default();
            for number in keys {
                reads.add_key(key(number));
            }
            for (lower, lower_kind, upper, upper_kind) in intervals {
                reads.add_interval(&Interval { lower: bound(lower, lower_kind), upper: bound(upper, upper_kind) }, &Prefix::all());
            }
            let snapshot = Revision::new(snapshot);
            let first = window.changes.partition_point(|change| change.revision <= snapshot);
            let by_changes = window.conflict_by_changes(&reads, first).is_some();
            let by_reads = window.conflict_by_reads(&reads, snapshot).is_some();
            let expected = changes.iter().enumerate().any(|(index, number)| {
                index as u64 + 1 > snapshot.get() && reads.find(&key(*number)).is_some()
            });
            prop_assert_eq!(by_changes, expected);
            prop_assert_eq!(by_reads, expected);
        }
    }

    #[test]
    fn window_forgets_what_no_snapshot_needs() {
        let mut window = Window::new(Revision::new(0), usize::MAX);
        for revision in 1..=9 {
            window.record(Revision::new(revision), key(1), 1);
        }
        window.prune(Revision::new(7));
        assert_eq!(window.changes.len(), 2);
        assert_eq!(window.floor(), Revision::new(7));
        window.prune(Revision::new(9));
        assert_eq!((window.bytes, window.last.len()), (0, 0));
    }

    #[test]
    fn window_raises_its_floor_beyond_the_bound() {
        let mut window = Window::new(Revision::new(0), 3 * (CHANGE_OVERHEAD + 10));
        for revision in 1..=5 {
            for number in 0..2 {
                window.record(Revision::new(revision), key(number), 10);
            }
        }
        window.prune(Revision::new(0));
        // Four changes fit, but those of one revision stay or go together.
        assert_eq!(window.floor(), Revision::new(4));
        assert_eq!(window.changes.len(), 2);
    }
}
