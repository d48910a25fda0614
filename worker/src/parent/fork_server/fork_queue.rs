//! The fork requests that are not sent yet, in turn by group: the requests of one group hold up those of another by one
//! request at the most. Pure.

use std::collections::{HashMap, VecDeque};

/// A queue for each group, and whose turn it is.
#[derive(Debug)]
pub(super) struct ForkQueue<T> {
    groups: HashMap<u64, VecDeque<(u64, T)>>,
    /// The groups with requests, in the order of their turns.
    waiting_groups: VecDeque<u64>,
}

impl<T> Default for ForkQueue<T> {
    fn default() -> Self {
        Self { groups: HashMap::new(), waiting_groups: VecDeque::new() }
    }
}

impl<T> ForkQueue<T> {
    /// Adds the request with this number.
    pub(super) fn push(&mut self, group: u64, number: u64, request: T) {
        let queue = self.groups.entry(group).or_default();
        if queue.is_empty() {
            self.waiting_groups.push_back(group);
        }
        queue.push_back((number, request));
    }

    /// Takes the request whose turn it is.
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

    /// Takes back a request of a group. Returns false if it does not wait any more.
    pub(super) fn remove(&mut self, group: u64, number: u64) -> bool {
        let Some(queue) = self.groups.get_mut(&group) else { return false };
        let Some(at) = queue.iter().position(|(waiting, _)| *waiting == number) else { return false };
        queue.remove(at);
        if queue.is_empty() {
            self.groups.remove(&group);
            self.waiting_groups.retain(|turn| *turn != group);
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
