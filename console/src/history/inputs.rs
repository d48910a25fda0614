//! The inputs of the history in memory.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{HistoryEntry, file::JobCounter};

/// The inputs that Up, hints and the search offer, oldest first.
#[derive(Debug)]
pub struct InputHistory {
    entries: VecDeque<HistoryEntry>,
    capacity: usize,
    /// The number of changes, by which a search knows that its matches are outdated.
    revision: u64,
}

/// The history of a console, which its sessions share.
#[derive(Debug, Clone)]
pub struct SharedHistory {
    inputs: Arc<Mutex<InputHistory>>,
    /// The unfinished jobs of the history's file.
    jobs: Arc<JobCounter>,
}

impl SharedHistory {
    /// Returns an empty history of at most this many inputs.
    pub fn new(capacity: usize) -> Self {
        Self { inputs: Arc::new(Mutex::new(InputHistory::new(capacity))), jobs: Arc::default() }
    }

    /// Locks the history. Hold the guard only for one access: the keyboard waits for it.
    pub fn lock(&self) -> MutexGuard<'_, InputHistory> {
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits a moment for inputs that are being read from the file. Returns false if the disk hangs.
    pub fn wait_until_read(&self) -> bool {
        self.jobs.wait_until_read()
    }

    /// Waits until all inputs are in the file. Returns false if the disk hangs.
    pub fn flush(&self) -> bool {
        self.jobs.wait_until_done()
    }

    pub(super) fn jobs(&self) -> &JobCounter {
        &self.jobs
    }
}

impl Default for SharedHistory {
    fn default() -> Self {
        Self::new(frontend::settings::HISTORY_SIZE)
    }
}

impl InputHistory {
    fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), capacity: capacity.max(1), revision: 0 }
    }

    /// Adds what the file holds. Entries that were made meanwhile stay, each of them once.
    pub fn load(&mut self, stored: Vec<HistoryEntry>) {
        // An input may be stored a moment after it was entered.
        let newest: HashMap<(&str, &str), u64> =
            stored.iter().map(|entry| ((&*entry.origin.circle, &*entry.input), entry.time)).collect();
        let is_new = |entry: &HistoryEntry| {
            newest.get(&(&*entry.origin.circle, &*entry.input)).is_none_or(|stored| *stored < entry.time)
        };
        let own: Vec<HistoryEntry> = self.entries.drain(..).filter(is_new).collect();
        self.entries = stored.into_iter().chain(own).collect();
        self.trim();
    }

    /// Adds an entry. Returns false if it repeats the newest one of its circle.
    pub fn push(&mut self, entry: HistoryEntry) -> bool {
        let last = self.entries.iter().rev().find(|other| other.origin.is_same_circle(&entry.origin.circle));
        if last.is_some_and(|last| last.input == entry.input) {
            return false;
        }
        self.entries.push_back(entry);
        self.trim();
        true
    }

    fn trim(&mut self) {
        self.revision += 1;
        let excess = self.entries.len().saturating_sub(self.capacity);
        self.entries.drain(..excess);
    }

    /// Returns the inputs of a circle, oldest first.
    pub fn inputs_of(&self, circle: &str) -> Vec<Arc<str>> {
        let inputs = self.entries.iter().filter(|entry| entry.origin.is_same_circle(circle));
        inputs.map(|entry| entry.input.clone()).collect()
    }

    /// The number of changes so far.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// Returns an entry by its place, counted from the newest one.
    pub(super) fn nth_newest(&self, place: usize) -> Option<&HistoryEntry> {
        self.entries.get(self.entries.len().checked_sub(place + 1)?)
    }

    /// All entries, newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &HistoryEntry> {
        self.entries.iter().rev()
    }

    /// The different inputs that begin with a prefix, newest first: those of the circle, then those of other circles.
    pub(super) fn with_prefix(&self, circle: &str, prefix: &str) -> Vec<Arc<str>> {
        let mut seen = HashSet::new();
        let mut inputs = Vec::new();
        for is_local in [true, false] {
            for entry in self.newest_first() {
                if entry.input.starts_with(prefix)
                    && entry.origin.is_same_circle(circle) == is_local
                    && seen.insert(&*entry.input)
                {
                    inputs.push(entry.input.clone());
                }
            }
        }
        inputs
    }

    /// Returns how the newest input goes on that begins with a line, from the circle if it has one. Inputs that go on
    /// over several lines give no hint, because a hint of several lines would move what is below.
    pub fn hint(&self, circle: &str, line: &str) -> Option<String> {
        if line.is_empty() {
            return None;
        }
        let mut elsewhere = None;
        for entry in self.newest_first() {
            let Some(rest) = entry.input.strip_prefix(line).filter(|rest| !rest.is_empty() && !rest.contains('\n'))
            else {
                continue;
            };
            if entry.origin.is_same_circle(circle) {
                return Some(rest.to_owned());
            }
            elsewhere = elsewhere.or(Some(rest));
        }
        elsewhere.map(str::to_owned)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::history::InputOrigin;

    /// An entry at a time.
    pub(in crate::history) fn entry(time: u64, circle: &str, input: &str) -> HistoryEntry {
        let origin = InputOrigin { circle: circle.into(), name: String::new(), key: None };
        HistoryEntry { time, origin, input: input.into() }
    }

    /// A history of these inputs, oldest first.
    pub(in crate::history) fn history(inputs: &[(&str, &str)]) -> InputHistory {
        let mut history = InputHistory::new(100);
        for (time, (circle, input)) in (0..).zip(inputs) {
            history.push(entry(time, circle, input));
        }
        history
    }

    fn texts(inputs: &[Arc<str>]) -> Vec<&str> {
        inputs.iter().map(|input| &**input).collect()
    }

    #[test]
    fn inputs_of_the_circle_come_before_those_of_others() {
        let history = history(&[("a", "1"), ("b", "2"), ("a", "3"), ("b", "1"), ("b", "4")]);
        assert_eq!(texts(&history.with_prefix("a", "")), ["3", "1", "4", "2"]);
        assert_eq!(texts(&history.with_prefix("new", "")), ["4", "1", "3", "2"]);
        assert_eq!(texts(&history.inputs_of("b")), ["2", "1", "4"]);
    }

    #[test]
    fn address_of_an_earlier_version_is_the_same_circle() {
        let history = history(&[("127_0_0_1_9001", "old"), ("127.0.0.1:9001", "new")]);
        assert_eq!(texts(&history.inputs_of("127.0.0.1:9001")), ["old", "new"]);
        assert!(history.inputs_of("127.0.0.1:9002").is_empty());
    }

    #[test]
    fn hint_prefers_the_circle_and_is_on_one_line() {
        let history = history(&[("a", "fac(5)"), ("b", "fac(6)"), ("b", "fac(7) {\n}"), ("b", "other")]);
        assert_eq!(history.hint("a", "fac").as_deref(), Some("(5)"));
        assert_eq!(history.hint("b", "fac").as_deref(), Some("(6)"));
        assert_eq!(history.hint("c", "fac").as_deref(), Some("(6)"));
        assert_eq!((history.hint("a", "fac(5)"), history.hint("a", "")), (None, None));
    }

    #[test]
    fn stored_entries_join_those_of_the_session_once() {
        let mut history = history(&[("a", "typed")]);
        history.load(vec![entry(0, "a", "typed"), entry(1, "a", "of another console")]);
        assert_eq!(texts(&history.inputs_of("a")), ["typed", "of another console"]);
        assert!(!history.push(entry(9, "a", "of another console")), "it repeats the newest");
        history.load(vec![entry(1, "a", "of another console")]);
        assert_eq!(texts(&history.inputs_of("a")), ["of another console", "typed"]);
    }

    #[test]
    fn history_is_bounded() {
        let mut history = InputHistory::new(3);
        for number in 0..10 {
            history.push(entry(number, "a", &number.to_string()));
        }
        assert_eq!(texts(&history.inputs_of("a")), ["7", "8", "9"]);
    }
}
