//! The inputs of the history in memory.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    HistoryEntry, HistoryUpdate, InputOrigin,
    file::JobCounter,
    is_kept,
    known_entry::{EntrySource, KnownEntry, Proximity, identity},
};
use crate::commands::shorthand;

/// The inputs that Up, hints and the search offer, oldest first.
#[derive(Debug)]
pub struct InputHistory {
    entries: VecDeque<KnownEntry>,
    capacity: usize,
    /// The number of changes, by which a search knows that its matches are outdated.
    revision: u64,
    /// Whether the file was read, or missing.
    is_read: bool,
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
        Self { entries: VecDeque::new(), capacity: capacity.max(1), revision: 0, is_read: false }
    }

    /// Takes in what was read from the file. Entries of this console stay, each of them once.
    pub fn update(&mut self, update: HistoryUpdate) {
        let is_first = !std::mem::replace(&mut self.is_read, true);
        if update.is_whole {
            self.load(update.entries, is_first);
        } else {
            self.extend(update.entries);
        }
    }

    /// Replaces the entries by all that the file holds, and those of this console that are not in the file.
    fn load(&mut self, stored: Vec<HistoryEntry>, is_first: bool) {
        let before = std::mem::take(&mut self.entries);
        let sources: HashMap<_, _> = before.iter().map(|known| (known.identity(), known.source)).collect();
        let source_of = |entry: &HistoryEntry| match sources.get(&identity(entry)) {
            Some(source) => *source,
            None if is_first => EntrySource::Stored,
            None => EntrySource::OtherConsole,
        };
        let mut entries: Vec<_> =
            stored.into_iter().map(|entry| KnownEntry { source: source_of(&entry), entry }).collect();
        let stored: HashSet<_> = entries.iter().map(KnownEntry::identity).collect();
        let is_missing = |known: &KnownEntry| known.source.is_typed() && !stored.contains(&known.identity());
        let missing: Vec<_> = before.iter().map(is_missing).collect();
        drop((sources, stored));
        let missing = before.into_iter().zip(missing).filter_map(|(known, is_missing)| is_missing.then_some(known));
        let present = entries.len();
        entries.extend(missing);
        if entries.len() > present {
            // Stable: entries of the same second stay in order.
            entries.sort_by_key(|known| known.entry.time);
        }
        self.entries = entries.into();
        self.trim();
    }

    /// Adds what consoles have appended to the file.
    fn extend(&mut self, appended: Vec<HistoryEntry>) {
        if appended.is_empty() {
            return;
        }
        let typed: HashSet<_> =
            self.entries.iter().filter(|known| known.source.is_typed()).map(KnownEntry::identity).collect();
        let is_own: Vec<_> = appended.iter().map(|entry| typed.contains(&identity(entry))).collect();
        for (entry, is_own) in appended.into_iter().zip(is_own) {
            if !is_own {
                // The user may have typed a newer input here since, also in the same second.
                let is_before = |known: &KnownEntry| {
                    known.entry.time < entry.time || (known.entry.time == entry.time && !known.source.is_typed())
                };
                let place = self.entries.iter().rposition(is_before);
                let known = KnownEntry { entry, source: EntrySource::OtherConsole };
                self.entries.insert(place.map_or(0, |place| place + 1), known);
            }
        }
        self.trim();
    }

    /// Adds an entry that the user typed. Returns false if it repeats the newest one of its circle, apart from those of
    /// other consoles.
    pub fn push(&mut self, entry: HistoryEntry) -> bool {
        let is_before = |known: &&KnownEntry| {
            known.source != EntrySource::OtherConsole && known.entry.origin.is_same_circle(&entry.origin.circle)
        };
        if self.entries.iter().rev().find(is_before).is_some_and(|last| last.entry.input == entry.input) {
            return false;
        }
        self.entries.push_back(KnownEntry { entry, source: EntrySource::Typed { is_stored: false } });
        self.trim();
        true
    }

    /// Finds the newest typed entry of an input that starts now, and returns the entry to store: with the time at which
    /// the user entered the input, and with the circle and the key that it is played with. Adds an entry if there is
    /// none; `None` if the history has the input already.
    pub fn store(&mut self, origin: &InputOrigin, input: &str) -> Option<HistoryEntry> {
        let is_input = |known: &KnownEntry| {
            known.source == EntrySource::Typed { is_stored: false }
                && (*known.entry.input == *input || shorthand::question(&known.entry.input).as_deref() == Some(input))
        };
        let is_here = |known: &KnownEntry| known.entry.origin.is_same_circle(&origin.circle) && is_input(known);
        // Before the first connection, the circle is known by another name.
        let found = self.entries.iter().rposition(is_here).or_else(|| self.entries.iter().rposition(is_input));
        let place = match found {
            Some(place) => place,
            None if is_kept(input) && self.push(HistoryEntry::now(origin.clone(), input)) => self.entries.len() - 1,
            None => return None,
        };
        let known = self.entries.get_mut(place)?;
        known.source = EntrySource::Typed { is_stored: true };
        known.entry.origin = origin.clone();
        self.revision += 1;
        Some(known.entry.clone())
    }

    fn trim(&mut self) {
        self.revision += 1;
        let excess = self.entries.len().saturating_sub(self.capacity);
        self.entries.drain(..excess);
    }

    /// Returns the inputs of a circle, oldest first.
    pub fn inputs_of(&self, circle: &str) -> Vec<Arc<str>> {
        let entries = self.entries.iter().map(|known| &known.entry);
        entries.filter(|entry| entry.origin.is_same_circle(circle)).map(|entry| entry.input.clone()).collect()
    }

    /// The number of changes so far.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// Returns an entry by its place, counted from the newest one.
    pub(super) fn nth_newest(&self, place: usize) -> Option<&HistoryEntry> {
        self.entries.get(self.entries.len().checked_sub(place + 1)?).map(|known| &known.entry)
    }

    /// All entries, newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &HistoryEntry> {
        self.entries.iter().rev().map(|known| &known.entry)
    }

    /// The different inputs that begin with a prefix, newest first: those of the circle, then those that other consoles
    /// have played there meanwhile, then those of other circles.
    pub(super) fn with_prefix(&self, circle: &str, prefix: &str) -> Vec<Arc<str>> {
        let mut seen = HashSet::new();
        let mut inputs = Vec::new();
        for proximity in [Proximity::Here, Proximity::OtherConsole, Proximity::Elsewhere] {
            for known in self.entries.iter().rev() {
                let entry = &known.entry;
                if entry.input.starts_with(prefix) && known.proximity(circle) == proximity && seen.insert(&*entry.input)
                {
                    inputs.push(entry.input.clone());
                }
            }
        }
        inputs
    }

    /// Returns how the newest input goes on that begins with a line: from the circle if it has one, of this console rather
    /// than of another one. Inputs that go on over several lines give no hint, because a hint of several lines would move
    /// what is below.
    pub fn hint(&self, circle: &str, line: &str) -> Option<String> {
        if line.is_empty() {
            return None;
        }
        let mut farther: Option<(Proximity, &str)> = None;
        for known in self.entries.iter().rev() {
            let rest = known.entry.input.strip_prefix(line);
            let Some(rest) = rest.filter(|rest| !rest.is_empty() && !rest.contains('\n')) else { continue };
            let proximity = known.proximity(circle);
            if proximity == Proximity::Here {
                return Some(rest.to_owned());
            }
            if farther.is_none_or(|(found, _)| proximity < found) {
                farther = Some((proximity, rest));
            }
        }
        farther.map(|(_, rest)| rest.to_owned())
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

    fn whole(entries: Vec<HistoryEntry>) -> HistoryUpdate {
        HistoryUpdate { entries, is_whole: true }
    }

    fn appended(entries: Vec<HistoryEntry>) -> HistoryUpdate {
        HistoryUpdate { entries, is_whole: false }
    }

    #[test]
    fn stored_entries_join_those_of_the_session_once() {
        let mut history = InputHistory::new(100);
        history.push(entry(5, "a", "typed"));
        history.update(whole(vec![entry(1, "a", "stored"), entry(5, "a", "typed")]));
        assert_eq!(texts(&history.inputs_of("a")), ["stored", "typed"]);
        assert!(!history.push(entry(9, "a", "typed")), "it repeats the newest");
        // The file does not have it any more, or not yet.
        history.update(whole(vec![entry(1, "a", "stored"), entry(7, "a", "of another console")]));
        assert_eq!(texts(&history.inputs_of("a")), ["stored", "typed", "of another console"]);
        // What was cut off the file is gone here, too.
        history.update(whole(vec![entry(7, "a", "of another console")]));
        assert_eq!(texts(&history.inputs_of("a")), ["typed", "of another console"]);
    }

    #[test]
    fn appended_entries_of_other_consoles_come_in_the_order_of_time_and_own_ones_not_again() {
        let mut history = InputHistory::new(100);
        history.update(whole(vec![entry(1, "a", "stored")]));
        for (time, input) in [(2, "one"), (5, "two")] {
            history.push(entry(time, "a", input));
        }
        let others = [entry(2, "a", "one"), entry(3, "b", "other"), entry(5, "a", "two"), entry(6, "a", "two")];
        history.update(appended(others.into()));
        let all: Vec<_> = history.newest_first().map(|entry| (entry.time, &*entry.input)).collect();
        assert_eq!(all, [(6, "two"), (5, "two"), (3, "other"), (2, "one"), (1, "stored")]);
    }

    #[test]
    fn own_input_that_has_no_room_does_not_replace_a_newer_one() {
        let mut history = InputHistory::new(1);
        for input in ["one", "two"] {
            history.push(entry(1, "a", input));
        }
        // The file has it, with the same second.
        history.update(appended(vec![entry(1, "a", "one")]));
        assert_eq!(texts(&history.inputs_of("a")), ["two"]);
    }

    #[test]
    fn inputs_of_another_console_come_after_those_of_the_circle() {
        let mut history = InputHistory::new(100);
        history.update(whole(vec![entry(1, "a", "stored"), entry(2, "b", "stored elsewhere")]));
        history.push(entry(3, "a", "typed"));
        history.update(appended(vec![entry(4, "a", "stranger"), entry(5, "b", "stranger elsewhere")]));
        let order = ["typed", "stored", "stranger", "stranger elsewhere", "stored elsewhere"];
        assert_eq!(texts(&history.with_prefix("a", "")), order);
        assert_eq!(history.hint("a", "st").as_deref(), Some("ored"));
        assert_eq!(history.hint("a", "str").as_deref(), Some("anger"));
        // The same input, typed here, is the newest of this console.
        assert!(history.push(entry(6, "a", "stranger")));
        assert_eq!(texts(&history.with_prefix("a", ""))[0], "stranger");
        // Another console has made the file shorter.
        history.update(whole(vec![entry(3, "a", "typed"), entry(4, "a", "stranger"), entry(7, "a", "last")]));
        assert_eq!(texts(&history.with_prefix("a", "")), ["stranger", "typed", "last"]);
    }

    #[test]
    fn stored_entry_has_the_time_at_which_it_was_typed_and_the_circle_it_is_played_on() {
        let mut history = InputHistory::new(100);
        for (circle, input) in [("name", "1"), ("name", "?push"), ("name", "unplayed")] {
            history.push(entry(7, circle, input));
        }
        let origin = entry(0, "address", "").origin;
        assert_eq!(history.store(&origin, "1"), Some(entry(7, "address", "1")));
        assert_eq!(history.store(&origin, ":doc push"), Some(entry(7, "address", "?push")));
        assert_eq!(texts(&history.inputs_of("address")), ["1", "?push"]);
        // An input that nobody typed.
        let other = history.store(&origin, "2").expect("it is new");
        assert!(other.time > 7 && &*other.input == "2");
        assert_eq!(history.store(&origin, "2"), None);
        history.update(appended(vec![entry(7, "address", "1"), other]));
        assert_eq!(history.newest_first().count(), 4);
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
