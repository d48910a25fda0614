//! What is known of one circle, and how that changes with what happens to it. Pure: the time is handed in.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// How a circle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CircleState {
    /// Nobody wants it up, or it ended and its `restart` says that this is all right.
    Down,
    /// Its process was started and takes no connections yet.
    Starting,
    /// It takes connections.
    Ready,
    /// It ended, and is started again in a moment.
    BackingOff,
    /// It ends: no new connections, running plays get their grace.
    Draining,
    /// It ended too often, or in a way after which its `restart` does not want it back.
    Failed,
}

impl std::fmt::Display for CircleState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Down => "down",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::BackingOff => "backing-off",
            Self::Draining => "draining",
            Self::Failed => "failed",
        })
    }
}

/// What can happen to a circle, as far as its state is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is wanted up, and nothing of it runs.
    Wanted,
    /// It is not wanted any more, or anew: it has been told to drain.
    Unwanted,
    /// A process of it was started.
    Started { pid: u32 },
    /// It takes connections.
    Ready,
    /// Its process ended; it is started again, or not.
    Ended { why: String, is_tried_again: bool },
    /// Nothing of it runs any more, and nothing will by itself.
    Over { has_failed: bool },
}

/// The state of a circle, with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Book {
    pub(crate) state: CircleState,
    pub(crate) pid: Option<u32>,
    pub(crate) restarts: u32,
    /// Why it ended last, while that is why it is not ready.
    pub(crate) why: Option<String>,
    ready_since: Option<Instant>,
}

impl Default for Book {
    fn default() -> Self {
        Self { state: CircleState::Down, pid: None, restarts: 0, why: None, ready_since: None }
    }
}

impl Book {
    /// How long it has taken connections.
    pub(crate) fn uptime(&self, now: Instant) -> Option<Duration> {
        self.ready_since.map(|since| now.saturating_duration_since(since))
    }

    pub(crate) fn note(&mut self, change: Change, now: Instant) {
        let is_draining = self.state == CircleState::Draining;
        match change {
            Change::Wanted => *self = Self { state: CircleState::Starting, ..Self::default() },
            Change::Unwanted => self.state = CircleState::Draining,
            Change::Started { pid } => {
                self.pid = Some(pid);
                if self.state == CircleState::BackingOff {
                    self.restarts += 1;
                }
                if !is_draining {
                    self.state = CircleState::Starting;
                }
            }
            Change::Ready => {
                self.ready_since = Some(now);
                if !is_draining {
                    (self.state, self.why) = (CircleState::Ready, None);
                }
            }
            Change::Ended { why, is_tried_again } => {
                (self.pid, self.ready_since, self.why) = (None, None, Some(why));
                if is_tried_again && !is_draining {
                    self.state = CircleState::BackingOff;
                }
            }
            Change::Over { has_failed } => {
                (self.pid, self.ready_since) = (None, None);
                self.state = if has_failed && !is_draining { CircleState::Failed } else { CircleState::Down };
                if is_draining {
                    self.why = None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(is_tried_again: bool) -> Change {
        Change::Ended { why: "it ended with exit code 2".into(), is_tried_again }
    }

    /// Each line is a life: what happens one after the other, and where that leads.
    #[test]
    fn what_happens_leads_to_a_state() {
        use Change::{Over, Ready, Started, Unwanted, Wanted};
        let (start, fails) = (Started { pid: 7 }, Over { has_failed: true });
        let is_over = Over { has_failed: false };
        let cases = [
            (vec![], CircleState::Down, None, 0, false),
            (vec![Wanted], CircleState::Starting, None, 0, false),
            (vec![Wanted, start.clone()], CircleState::Starting, Some(7), 0, false),
            (vec![Wanted, start.clone(), Ready], CircleState::Ready, Some(7), 0, false),
            (vec![Wanted, start.clone(), ended(true)], CircleState::BackingOff, None, 0, true),
            (vec![Wanted, start.clone(), ended(true), start.clone()], CircleState::Starting, Some(7), 1, true),
            (vec![Wanted, start.clone(), ended(true), start.clone(), Ready], CircleState::Ready, Some(7), 1, false),
            (vec![Wanted, start.clone(), ended(false), fails.clone()], CircleState::Failed, None, 0, true),
            (vec![Wanted, start.clone(), Ready, ended(false), is_over.clone()], CircleState::Down, None, 0, true),
            (vec![Wanted, start.clone(), Ready, Unwanted], CircleState::Draining, Some(7), 0, false),
            // What is to end does not become ready, start or fail.
            (vec![Wanted, start.clone(), Unwanted, Ready], CircleState::Draining, Some(7), 0, false),
            (vec![Wanted, Unwanted, start.clone()], CircleState::Draining, Some(7), 0, false),
            (vec![Wanted, start.clone(), Unwanted, ended(true)], CircleState::Draining, None, 0, true),
            (vec![Wanted, start.clone(), Unwanted, fails], CircleState::Down, None, 0, false),
            (vec![Wanted, start, ended(true), Unwanted, is_over.clone()], CircleState::Down, None, 0, false),
            // Wanted anew it begins from nothing.
            (vec![Wanted, ended(true), Unwanted, is_over, Wanted], CircleState::Starting, None, 0, false),
        ];
        let now = Instant::now();
        for (changes, state, pid, restarts, has_why) in cases {
            let mut book = Book::default();
            for change in &changes {
                book.note(change.clone(), now);
            }
            let found = (book.state, book.pid, book.restarts, book.why.is_some());
            assert_eq!(found, (state, pid, restarts, has_why), "{changes:?}");
        }
    }

    #[test]
    fn up_is_since_it_was_ready_and_only_while_it_is() {
        let (mut book, now) = (Book::default(), Instant::now());
        book.note(Change::Started { pid: 7 }, now);
        assert_eq!(book.uptime(now), None);
        book.note(Change::Ready, now);
        assert_eq!(book.uptime(now + Duration::from_secs(5)), Some(Duration::from_secs(5)));
        book.note(ended(true), now);
        assert_eq!(book.uptime(now), None);
    }
}
