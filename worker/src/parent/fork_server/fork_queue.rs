//! A fair queue of fork requests: groups take turns, so that one group delays another by at most one request. No I/O.

use std::collections::{HashMap, VecDeque};

/// A queue for each group, and the order of the groups.
#[derive(Debug)]
pub(super) struct ForkQueue<T> {
    groups: HashMap<u64, VecDeque<(u64, T)>>,
    /// The groups with requests, next one first.
    waiting_groups: VecDeque<u64>,
}

impl<T> Default for ForkQueue<T> {
    fn default() -> Self {
        Self { groups: HashMap::new(), waiting_groups: VecDeque::new() }
    }
}

impl<T> ForkQueue<T> {
    /// Adds a request with its number.
    pub(super) fn push(&mut self, group: u64, number: u64, request: T) {
        let queue = self.groups.entry(group).or_default();
        if queue.is_empty() {
            self.waiting_groups.push_back(group);
        }
        queue.push_back((number, request));
    }

    /// Removes the next request.
    pub(super) fn pop(&mut self) -> Option<(u64, T)> {
        let group = self.waiting_groups.pop_front()?;
        let queue = self.groups.get_mut(&group)?;
        let next = queue.pop_front();
        if queue.is_empty() {
            self.groups.remove(&group);
        } else {
            self.waiting_groups.push_back(group);
        }
        next
    }

    /// Removes a request of a group. Returns false if the request is no longer in the queue.
    pub(super) fn remove(&mut self, group: u64, number: u64) -> bool {
        let Some(queue) = self.groups.get_mut(&group) else { return false };
        let Some(at) = queue.iter().position(|(waiting, _)| *waiting == number) else { return false };
        queue.remove(at);
        if queue.is_empty() {
            self.groups.remove(&group);
            self.waiting_groups.retain(|waiting| *waiting != group);
        }
        true
    }

    pub(super) fn clear(&mut self) {
        self.groups.clear();
        self.waiting_groups.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_served_in_turn() {
        let mut queue = ForkQueue::default();
        (0..64).for_each(|number| queue.push(1, number, ()));
        queue.push(2, 100, ());
        queue.push(3, 101, ());
        queue.push(2, 102, ());
        let first: Vec<u64> = (0..6).filter_map(|_| queue.pop()).map(|(number, ())| number).collect();
        assert_eq!(first, [0, 100, 101, 1, 102, 2]);
    }

    #[test]
    fn removed_requests_leave_nothing() {
        let mut queue = ForkQueue::default();
        queue.push(1, 1, ());
        queue.push(1, 2, ());
        queue.push(2, 3, ());
        assert!(queue.remove(1, 1) && !queue.remove(1, 1) && !queue.remove(2, 2) && queue.remove(2, 3));
        assert_eq!(queue.pop(), Some((2, ())));
        assert_eq!(queue.pop(), None);
        assert!(queue.groups.is_empty() && queue.waiting_groups.is_empty());
    }
}
