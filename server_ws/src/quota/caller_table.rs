//! A table with an entry for each caller, of bounded size. Pure.

use std::collections::HashMap;

use super::caller::Caller;

/// Entries of callers. Callers beyond the maximum share one entry.
#[derive(Debug)]
pub(crate) struct CallerTable<T> {
    max_callers: usize,
    entries: HashMap<Option<Caller>, T>,
}

impl<T> CallerTable<T> {
    /// Makes an empty table for this many callers.
    pub(crate) fn new(max_callers: usize) -> Self {
        Self { max_callers, entries: HashMap::new() }
    }

    /// Returns the entry of a caller, or `new` if it has none. A full table first drops the entries that are `idle`.
    pub(crate) fn entry(&mut self, caller: Caller, idle: impl Fn(&T) -> bool, new: T) -> &mut T {
        let mut caller = Some(caller);
        if self.entries.len() >= self.max_callers && !self.entries.contains_key(&caller) {
            self.entries.retain(|_, entry| !idle(entry));
            if self.entries.len() >= self.max_callers {
                caller = None;
            }
        }
        self.entries.entry(caller).or_insert(new)
    }

    /// Returns the number of entries, with the shared one.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}
