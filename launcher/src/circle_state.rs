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
pub(crate) enum StateChange {
    /// It is wanted up, and nothing of it runs.
    StartRequested,
    /// It is not wanted any more, or anew: it has been told to drain.
    StopRequested,
    /// A process of it was started.
    Started { pid: u32 },
    /// It takes connections.
    Ready,
    /// Its process ended; it is started again, or not.
    Ended { reason: String, is_restarting: bool },
    /// Nothing of it runs any more, and nothing will by itself.
    Finished { has_failed: bool },
}

/// The state of a circle, with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CircleStateMachine {
    pub(crate) state: CircleState,
    pub(crate) pid: Option<u32>,
    pub(crate) restarts: u32,
    /// Why it ended last, while that is why it is not ready.
    pub(crate) reason: Option<String>,
    ready_since: Option<Instant>,
}

impl Default for CircleStateMachine {
    fn default() -> Self {
        Self { state: CircleState::Down, pid: None, restarts: 0, reason: None, ready_since: None }
    }
}

impl CircleStateMachine {
    /// How long it has taken connections.
    pub(crate) fn uptime(&self, now: Instant) -> Option<Duration> {
        self.ready_since.map(|since| now.saturating_duration_since(since))
    }

    pub(crate) fn apply(&mut self, change: StateChange, now: Instant) {
        let is_draining = self.state == CircleState::Draining;
        match change {
            StateChange::StartRequested => *self = Self { state: CircleState::Starting, ..Self::default() },
            StateChange::StopRequested => self.state = CircleState::Draining,
            StateChange::Started { pid } => {
                self.pid = Some(pid);
                if self.state == CircleState::BackingOff {
                    self.restarts += 1;
                }
                if !is_draining {
                    self.state = CircleState::Starting;
                }
            }
            StateChange::Ready => {
                self.ready_since = Some(now);
                if !is_draining {
                    (self.state, self.reason) = (CircleState::Ready, None);
                }
            }
            StateChange::Ended { reason: why, is_restarting } => {
                (self.pid, self.ready_since, self.reason) = (None, None, Some(why));
                if is_restarting && !is_draining {
                    self.state = CircleState::BackingOff;
                }
            }
            StateChange::Finished { has_failed } => {
                (self.pid, self.ready_since) = (None, None);
                self.state = if has_failed && !is_draining { CircleState::Failed } else { CircleState::Down };
                if is_draining {
                    self.reason = None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(is_restarting: bool) -> StateChange {
        StateChange::Ended { reason: "it ended with exit code 2".into(), is_restarting }
    }

    /// Each line is a life: what happens one after the other, and where that leads.
    #[test]
    fn state_follows_from_changes() {
        use StateChange::{Finished, Ready, StartRequested, Started, StopRequested};
        let (start, fails) = (Started { pid: 7 }, Finished { has_failed: true });
        let is_over = Finished { has_failed: false };
        let cases = [
            (vec![], CircleState::Down, None, 0, false),
            (vec![StartRequested], CircleState::Starting, None, 0, false),
            (vec![StartRequested, start.clone()], CircleState::Starting, Some(7), 0, false),
            (vec![StartRequested, start.clone(), Ready], CircleState::Ready, Some(7), 0, false),
            (vec![StartRequested, start.clone(), ended(true)], CircleState::BackingOff, None, 0, true),
            (vec![StartRequested, start.clone(), ended(true), start.clone()], CircleState::Starting, Some(7), 1, true),
            (
                vec![StartRequested, start.clone(), ended(true), start.clone(), Ready],
                CircleState::Ready,
                Some(7),
                1,
                false,
            ),
            (vec![StartRequested, start.clone(), ended(false), fails.clone()], CircleState::Failed, None, 0, true),
            (
                vec![StartRequested, start.clone(), Ready, ended(false), is_over.clone()],
                CircleState::Down,
                None,
                0,
                true,
            ),
            (vec![StartRequested, start.clone(), Ready, Unwanted], CircleState::Draining, Some(7), 0, false),
            // What is to end does not become ready, start or fail.
            (vec![StartRequested, start.clone(), Unwanted, Ready], CircleState::Draining, Some(7), 0, false),
            (vec![StartRequested, Unwanted, start.clone()], CircleState::Draining, Some(7), 0, false),
            (vec![StartRequested, start.clone(), Unwanted, ended(true)], CircleState::Draining, None, 0, true),
            (vec![StartRequested, start.clone(), Unwanted, fails], CircleState::Down, None, 0, false),
            (vec![StartRequested, start, ended(true), Unwanted, is_over.clone()], CircleState::Down, None, 0, false),
            // Wanted anew it begins from nothing.
            (
                vec![StartRequested, ended(true), Unwanted, is_over, StartRequested],
                CircleState::Starting,
                None,
                0,
                false,
            ),
        ];
        let now = Instant::now();
        for (changes, state, pid, restarts, has_why) in cases {
            let mut machine = CircleStateMachine::default();
            for change in &changes {
                machine.apply(change.clone(), now);
            }
            let found = (machine.state, machine.pid, machine.restarts, machine.reason.is_some());
            assert_eq!(found, (state, pid, restarts, has_why), "{changes:?}");
        }
    }

    #[test]
    fn uptime_counts_while_ready() {
        let (mut machine, now) = (CircleStateMachine::default(), Instant::now());
        machine.apply(StateChange::Started { pid: 7 }, now);
        assert_eq!(machine.uptime(now), None);
        machine.apply(StateChange::Ready, now);
        assert_eq!(machine.uptime(now + Duration::from_secs(5)), Some(Duration::from_secs(5)));
        machine.apply(ended(true), now);
        assert_eq!(machine.uptime(now), None);
    }
}
