//! The tree of a store: which folders are unfolded, which of them to follow, and the entries that are known.
//!
//! The tree opens no subscription. [`StoreTree::plan`] says which ones to open and to close, and [`StoreTree::apply`]
//! takes their events.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    time::Instant,
};

use client_ws::{SubscriptionEnd, SubscriptionEvent};

use super::entries::StoredEntries;

/// Largest number of subscriptions. One of the session's subscriptions is left for `:watch`.
pub(super) const MAX_WATCHES: usize = 15;

/// Largest number of folders that the user has named.
const MAX_NAMED_FOLDERS: usize = 32;

/// Largest number of unfolded folders that are remembered while they have no entries.
const MAX_UNFOLDED: usize = 1_000;

/// The state of the subscription of an unfolded folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WatchState {
    /// It is not open: there is no connection.
    Waiting,
    /// The circle sends the entries that exist.
    Loading,
    /// The entries are those of the store.
    Live,
    /// There are more entries than the tree keeps, and changes are not followed.
    Cut,
    /// The session has no subscription left.
    Crowded,
    /// The circle has refused or ended it, for this reason.
    Failed(String),
}

#[derive(Debug)]
struct Watch {
    /// Number of the open subscription.
    number: Option<u64>,
    state: WatchState,
    reading: u64,
    /// Whether all entries were known once, so that a difference is a change.
    was_live: bool,
}

/// News of a subscription.
#[derive(Debug)]
pub(crate) enum WatchNews {
    Event(SubscriptionEvent),
    /// It has ended for this reason.
    Failed(String),
}

/// Subscriptions to open and to close.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct WatchPlan {
    /// Numbers and prefixes.
    pub(super) opened: Vec<(u64, String)>,
    pub(super) closed: Vec<u64>,
}

/// The tree.
#[derive(Debug, Default)]
pub(super) struct StoreTree {
    /// Prefixes that the role of the caller grants.
    granted: Vec<String>,
    /// Folders that the user has named.
    named: Vec<String>,
    unfolded: BTreeSet<String>,
    watches: BTreeMap<String, Watch>,
    entries: StoredEntries,
    numbers: u64,
    readings: u64,
}

impl StoreTree {
    /// Sets the prefixes that the role of the caller grants. The only one is unfolded.
    pub(super) fn set_granted(&mut self, granted: Vec<String>) {
        if self.granted == granted {
            return;
        }
        if let [only] = &*granted {
            self.unfolded.insert(only.clone());
        }
        self.granted = granted;
        // The circle may grant now what it refused.
        self.retry();
    }

    /// Has the next plan open subscriptions again that have failed.
    fn retry(&mut self) {
        for watch in self.watches.values_mut().filter(|watch| matches!(watch.state, WatchState::Failed(_))) {
            watch.state = WatchState::Waiting;
        }
    }

    /// The folders at the top of the tree, without those below others.
    pub(super) fn roots(&self) -> impl Iterator<Item = &str> {
        let all: BTreeSet<&str> = self.granted.iter().chain(&self.named).map(String::as_str).collect();
        all.into_iter()
    }

    fn is_root(&self, folder: &str) -> bool {
        self.granted.iter().chain(&self.named).any(|root| root == folder)
    }

    /// Adds a folder to the top of the tree unless it is there, and unfolds it with the folders above it. Returns whether
    /// there is room for it.
    pub(super) fn show_folder(&mut self, folder: &str) -> bool {
        let above: Vec<String> = self.roots().filter(|root| folder.starts_with(root)).map(str::to_owned).collect();
        // A folder without known entries has no row below a root.
        if above.is_empty() || !self.has_entries(folder) && !self.is_root(folder) {
            if self.named.len() >= MAX_NAMED_FOLDERS {
                return false;
            }
            self.named.push(folder.to_owned());
        }
        for root in above {
            let ends = folder.match_indices('/').map(|(at, _)| at + 1).filter(|end| *end >= root.len());
            self.unfolded.extend(ends.map(|end| folder[..end].to_owned()));
        }
        self.unfold(folder);
        true
    }

    pub(super) fn is_unfolded(&self, folder: &str) -> bool {
        self.unfolded.contains(folder)
    }

    pub(super) fn unfold(&mut self, folder: &str) {
        if self.unfolded.len() >= MAX_UNFOLDED {
            let mut unfolded = std::mem::take(&mut self.unfolded);
            unfolded.retain(|folder| self.is_root(folder) || self.has_entries(folder));
            self.unfolded = unfolded;
        }
        if self.unfolded.len() < MAX_UNFOLDED {
            self.unfolded.insert(folder.to_owned());
        }
    }

    pub(super) fn fold(&mut self, folder: &str) {
        self.unfolded.remove(folder);
    }

    /// Removes a folder that the user has named from the top of the tree. Returns whether there was one.
    pub(super) fn forget_folder(&mut self, folder: &str) -> bool {
        let count = self.named.len();
        self.named.retain(|named| named != folder);
        if self.named.len() == count {
            return false;
        }
        self.fold(folder);
        true
    }

    /// The entries that are known.
    pub(super) fn entries(&self) -> &StoredEntries {
        &self.entries
    }

    fn has_entries(&self, prefix: &str) -> bool {
        self.entries.below(prefix).next().is_some()
    }

    /// The state of the subscription of a folder, if it has one of its own.
    pub(super) fn watch_state(&self, folder: &str) -> Option<&WatchState> {
        self.watches.get(folder).map(|watch| &watch.state)
    }

    /// The states of all subscriptions.
    pub(super) fn watch_states(&self) -> impl Iterator<Item = &WatchState> {
        self.watches.values().map(|watch| &watch.state)
    }

    /// Returns which subscriptions to open and to close so that the unfolded folders are followed. Without a connection
    /// nothing is open, and the entries stay.
    pub(super) fn plan(&mut self, is_connected: bool) -> WatchPlan {
        let mut plan = WatchPlan::default();
        let wanted = self.wanted();
        let unwanted: Vec<String> = self.watches.keys().filter(|prefix| !wanted.contains(*prefix)).cloned().collect();
        for prefix in unwanted {
            plan.closed.extend(self.watches.remove(&prefix).and_then(|watch| watch.number));
        }
        // Entries below no followed folder would be outdated soon.
        let watches = &self.watches;
        self.entries.retain(|key| key.match_indices('/').any(|(at, _)| watches.contains_key(&key[..=at])));
        for prefix in &wanted {
            self.watches.entry(prefix.clone()).or_insert(Watch {
                number: None,
                state: WatchState::Waiting,
                reading: 0,
                was_live: false,
            });
        }
        for watch in self.watches.values_mut() {
            let is_over = matches!(watch.state, WatchState::Waiting | WatchState::Cut | WatchState::Failed(_));
            if !is_connected || is_over {
                plan.closed.extend(watch.number.take());
            }
            if !is_connected || watch.state == WatchState::Crowded {
                watch.state = WatchState::Waiting;
            }
        }
        if !is_connected {
            return plan;
        }
        let mut open = self.watches.values().filter(|watch| watch.number.is_some()).count();
        for (prefix, watch) in self.watches.iter_mut().filter(|(_, watch)| watch.state == WatchState::Waiting) {
            if open >= MAX_WATCHES {
                watch.state = WatchState::Crowded;
                continue;
            }
            open += 1;
            self.numbers += 1;
            self.readings += 1;
            (watch.number, watch.state, watch.reading) = (Some(self.numbers), WatchState::Loading, self.readings);
            plan.opened.push((self.numbers, prefix.clone()));
        }
        plan
    }

    /// Returns the subscriptions that are open, and forgets the entries: the tree is not shown any more.
    pub(super) fn close(&mut self) -> Vec<u64> {
        let open = std::mem::take(&mut self.watches).into_values().filter_map(|watch| watch.number).collect();
        self.entries = StoredEntries::default();
        open
    }

    /// The unfolded folders that need a subscription of their own, because none above follows them.
    fn wanted(&self) -> BTreeSet<String> {
        let mut visible: BTreeSet<&str> = BTreeSet::new();
        for root in self.roots().filter(|root| self.is_unfolded(root)) {
            let from = (Bound::Included(root), Bound::Unbounded);
            for folder in self.unfolded.range::<str, _>(from).take_while(|folder| folder.starts_with(root)) {
                let above = parent(folder).filter(|above| above.len() >= root.len());
                if folder == root || above.is_some_and(|above| visible.contains(above)) {
                    visible.insert(folder);
                }
            }
        }
        let mut wanted: BTreeSet<String> = BTreeSet::new();
        // Folders come after those above them.
        for folder in visible {
            let mut above = std::iter::successors(parent(folder), |folder| parent(folder));
            let follows = |prefix: &str| {
                let state = self.watch_state(prefix);
                let is_over = matches!(state, Some(WatchState::Cut | WatchState::Failed(_)));
                wanted.contains(prefix) && !is_over
            };
            if !above.any(follows) {
                wanted.insert(folder.to_owned());
            }
        }
        wanted
    }

    /// Takes news of a subscription. Returns whether the plan may be another one.
    pub(super) fn apply(&mut self, number: u64, news: WatchNews, now: Instant) -> bool {
        let found = self.watches.iter().find(|(_, watch)| watch.number == Some(number));
        let Some((prefix, watch)) = found else { return false };
        let (prefix, reading) = (prefix.clone(), watch.reading);
        // Before all entries were known once, a difference is no change.
        let changed_at = watch.was_live.then_some(now);
        let mut is_gap = false;
        let state = match news {
            WatchNews::Failed(reason) => WatchState::Failed(reason),
            WatchNews::Event(SubscriptionEvent::Snapshot { entries, is_complete }) => {
                if !self.entries.put_all(&prefix, entries, reading, changed_at) {
                    WatchState::Cut
                } else if is_complete {
                    self.entries.drop_unread(&prefix, reading);
                    WatchState::Live
                } else {
                    WatchState::Loading
                }
            }
            WatchNews::Event(SubscriptionEvent::Changes { entries }) => {
                let has_room = self.entries.put_all(&prefix, entries, reading, Some(now));
                if has_room { WatchState::Live } else { WatchState::Cut }
            }
            WatchNews::Event(SubscriptionEvent::Gap) => {
                is_gap = true;
                WatchState::Loading
            }
            WatchNews::Event(SubscriptionEvent::Ended { reason }) => WatchState::Failed(end_text(reason).to_owned()),
            WatchNews::Event(_) => return false,
        };
        self.readings += u64::from(is_gap);
        let Some(watch) = self.watches.get_mut(&prefix) else { return false };
        if is_gap {
            watch.reading = self.readings;
        }
        watch.was_live |= state == WatchState::Live;
        let has_changed = watch.state != state;
        watch.state = state;
        if self.watch_state(&prefix) == Some(&WatchState::Live) && !self.is_root(&prefix) && !self.has_entries(&prefix)
        {
            // It has no row any more.
            self.fold(&prefix);
            return true;
        }
        has_changed
    }
}

/// The folder above a folder.
pub(super) fn parent(folder: &str) -> Option<&str> {
    let end = folder.strip_suffix('/')?.rfind('/')?;
    Some(&folder[..=end])
}

fn end_text(reason: SubscriptionEnd) -> &'static str {
    match reason {
        SubscriptionEnd::Forbidden => "your role does not grant it any more",
        SubscriptionEnd::Closed => "the store is closed or has failed",
        _ => "the circle ended the subscription",
    }
}
