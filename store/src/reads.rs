use std::{
    collections::{BTreeMap, HashSet},
    ops::Bound,
    sync::Arc,
};

use crate::{Key, Prefix, key::Interval};

/// How a transaction read a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadKind<'reads> {
    Get,
    /// In a scan of a prefix.
    Scan(&'reads Prefix),
}

/// A position between keys: before or after a text.
type Position = (Arc<str>, bool);

/// A scanned interval from its position on: up to where, or to the end of all keys.
#[derive(Debug)]
struct Scanned {
    end: Option<Position>,
    prefix: Prefix,
}

/// What a transaction read: single keys, absent ones included, and the intervals that it scanned, which are disjoint.
#[derive(Debug, Default)]
pub(crate) struct ReadSet {
    keys: HashSet<Key>,
    intervals: BTreeMap<Position, Scanned>,
    bytes: usize,
}

/// Memory of a key or interval beyond its texts, roughly.
const READ_OVERHEAD: usize = 64;

impl ReadSet {
    pub(crate) fn add_key(&mut self, key: Key) {
        let bytes = key.as_str().len() + READ_OVERHEAD;
        if self.keys.insert(key) {
            self.bytes += bytes;
        }
    }

    /// Adds an interval that a scan of a prefix passed, and merges it with those that it touches.
    pub(crate) fn add_interval(&mut self, interval: &Interval, prefix: &Prefix) {
        if interval.is_empty() {
            return;
        }
        let (mut start, mut end) = positions(interval);
        let mut prefix = prefix.clone();
        let before = self.intervals.range(..=&start).next_back();
        if let Some((earlier, scanned)) = before.filter(|(_, scanned)| reaches(scanned.end.as_ref(), &start)) {
            start = earlier.clone();
            prefix = scanned.prefix.clone();
        }
        // Intervals are disjoint, so those that the new one touches follow each other.
        while let Some((next, _)) =
            self.intervals.range(&start..).next().filter(|(next, _)| reaches(end.as_ref(), next))
        {
            let next = next.clone();
            let merged = self.intervals.remove(&next).expect("an interval that was found");
            self.bytes -= interval_bytes(&next, merged.end.as_ref());
            end = later(end, merged.end);
        }
        self.bytes += interval_bytes(&start, end.as_ref());
        self.intervals.insert(start, Scanned { end, prefix });
    }

    pub(crate) fn contains_key(&self, key: &Key) -> bool {
        self.keys.contains(key)
    }

    /// How the transaction read a key, if it did.
    pub(crate) fn find(&self, key: &Key) -> Option<ReadKind<'_>> {
        if self.contains_key(key) {
            return Some(ReadKind::Get);
        }
        if self.intervals.is_empty() {
            return None;
        }
        let position = (key.text(), false);
        let (_, scanned) = self.intervals.range(..=&position).next_back()?;
        let is_inside = scanned.end.as_ref().is_none_or(|end| position < *end);
        is_inside.then_some(ReadKind::Scan(&scanned.prefix))
    }

    /// Number of keys and intervals.
    pub(crate) fn count(&self) -> usize {
        self.keys.len() + self.intervals.len()
    }

    /// Memory of the set, in bytes, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter()
    }

    /// The intervals with their prefixes. They are disjoint.
    pub(crate) fn intervals(&self) -> impl Iterator<Item = ((Bound<&str>, Bound<&str>), &Prefix)> {
        self.intervals.iter().map(|((lower, is_after), Scanned { end, prefix })| {
            let lower = if *is_after { Bound::Excluded(&**lower) } else { Bound::Included(&**lower) };
            let upper = match end {
                None => Bound::Unbounded,
                Some((upper, true)) => Bound::Included(&**upper),
                Some((upper, false)) => Bound::Excluded(&**upper),
            };
            ((lower, upper), prefix)
        })
    }

    /// Forgets the intervals, to show that the proof notices.
    pub(crate) fn forget_intervals(&mut self) {
        self.intervals.clear();
    }
}

fn positions(interval: &Interval) -> (Position, Option<Position>) {
    let start = match &interval.lower {
        Bound::Included(lower) => (Arc::clone(lower), false),
        Bound::Excluded(lower) => (Arc::clone(lower), true),
        Bound::Unbounded => ("".into(), false),
    };
    let end = match &interval.upper {
        Bound::Included(upper) => Some((Arc::clone(upper), true)),
        Bound::Excluded(upper) => Some((Arc::clone(upper), false)),
        Bound::Unbounded => None,
    };
    (start, end)
}

/// Whether an interval with this end reaches a position, which it may do by touching it.
fn reaches(end: Option<&Position>, position: &Position) -> bool {
    end.is_none_or(|end| end >= position)
}

fn later(end: Option<Position>, other: Option<Position>) -> Option<Position> {
    Some(end?.max(other?))
}

fn interval_bytes(start: &Position, end: Option<&Position>) -> usize {
    start.0.len() + end.map_or(0, |(text, _)| text.len()) + READ_OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(lower: &str, upper: &str) -> Interval {
        Interval { lower: Bound::Included(lower.into()), upper: Bound::Excluded(upper.into()) }
    }

    #[test]
    fn overlapping_intervals_are_one() {
        let mut reads = ReadSet::default();
        for number in 0..1000 {
            reads.add_interval(&interval(&format!("{number:04}"), &format!("{:04}", number + 500)), &Prefix::all());
        }
        assert_eq!(reads.count(), 1);
        let bytes = reads.bytes();
        reads.add_interval(&interval("5", "6"), &Prefix::all());
        assert_eq!(reads.count(), 2);
        reads.add_interval(&interval("0", "9"), &Prefix::all());
        assert_eq!(reads.count(), 1);
        assert!(reads.bytes() <= bytes);
    }
}
