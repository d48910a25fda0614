//! An entry of the history in memory, with its source.

use super::HistoryEntry;

/// An entry, and where it came from.
#[derive(Debug)]
pub(super) struct KnownEntry {
    pub(super) entry: HistoryEntry,
    pub(super) source: EntrySource,
}

/// The source of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntrySource {
    /// The file, when this console read it for the first time.
    Stored,
    /// The user typed it in this console.
    Typed {
        /// Whether the console has written it to the file, or is about to.
        is_stored: bool,
    },
    /// Another console, which ran at the same time.
    OtherConsole,
}

/// What tells an entry from others: the circle, the input, and the time.
pub(super) type EntryIdentity<'a> = (&'a str, &'a str, u64);

/// The distance of an entry from the user who types for a circle; the nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Proximity {
    Here,
    OtherConsole,
    Elsewhere,
}

impl KnownEntry {
    pub(super) fn identity(&self) -> EntryIdentity<'_> {
        identity(&self.entry)
    }

    pub(super) fn proximity(&self, circle: &str) -> Proximity {
        match self.source {
            _ if !self.entry.origin.is_same_circle(circle) => Proximity::Elsewhere,
            EntrySource::OtherConsole => Proximity::OtherConsole,
            EntrySource::Stored | EntrySource::Typed { .. } => Proximity::Here,
        }
    }
}

impl EntrySource {
    pub(super) fn is_typed(self) -> bool {
        matches!(self, Self::Typed { .. })
    }
}

/// Returns what tells an entry from others.
pub(super) fn identity(entry: &HistoryEntry) -> EntryIdentity<'_> {
    (&entry.origin.circle, &entry.input, entry.time)
}
