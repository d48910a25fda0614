//! State of one circle, and how events change it. Pure: the caller supplies the time.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// State of a circle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CircleState {
    /// Not started, or ended in a way after which `restart` leaves it down.
    Down,
    /// Its process has started and does not accept connections yet.
    Starting,
    /// It accepts connections.
    Ready,
    /// Its process ended; the supervisor restarts it in a moment.
    BackingOff,
    /// It is ending: no new connections, and a grace period for running plays.
    Draining,
    /// It has failed too often, or `restart` does not restart it after a failure.
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

/// An event that changes the state of a circle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StateChange {
    /// A start is requested, and no process runs.
    StartRequested,
    /// A stop or restart is requested, and the circle has been told to drain.
    StopRequested,
    /// A process was started.
    Started { pid: u32 },
    /// It recovers its store.
    Recovering { percent: u8 },
    /// It accepts connections.
    Ready,
    /// Its process ended.
    Ended { reason: String, is_restarting: bool },
    /// No process runs any more, and none will be started automatically.
    Finished { has_failed: bool },
}

/// State of a circle, with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CircleStateMachine {
    pub(crate) state: CircleState,
    pub(crate) pid: Option<u32>,
    pub(crate) restarts: u32,
    /// Why the last process ended, as long as that is why the circle is not ready.
    reason: Option<String>,
    /// The part of its store that the process has recovered, in percent, until it is ready.
    pub(crate) recovered_percent: Option<u8>,
    ready_since: Option<Instant>,
}

impl Default for CircleStateMachine {
    fn default() -> Self {
        Self {
            state: CircleState::Down,
            pid: None,
            restarts: 0,
            reason: None,
            recovered_percent: None,
            ready_since: None,
        }
    }
}

impl CircleStateMachine {
    /// Returns how long the circle has accepted connections.
    pub(crate) fn uptime(&self, now: Instant) -> Option<Duration> {
        self.ready_since.map(|since| now.saturating_duration_since(since))
    }

    /// Returns why the circle is not ready, if there is a reason.
    pub(crate) fn reason(&self) -> Option<String> {
        match self.recovered_percent {
            Some(percent) => Some(format!("store recovering, {percent} %")),
            None => self.reason.clone(),
        }
    }

    /// Whether the circle has begun to start, and has neither failed nor anything that takes long.
    pub(crate) fn is_starting(&self) -> bool {
        self.state == CircleState::Starting && self.recovered_percent.is_none()
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
            StateChange::Recovering { percent } => self.recovered_percent = Some(percent),
            StateChange::Ready => {
                self.recovered_percent = None;
                self.ready_since = Some(now);
                if !is_draining {
                    (self.state, self.reason) = (CircleState::Ready, None);
                }
            }
            StateChange::Ended { reason: why, is_restarting } => {
                (self.pid, self.ready_since, self.reason) = (None, None, Some(why));
                self.recovered_percent = None;
                if is_restarting && !is_draining {
                    self.state = CircleState::BackingOff;
                }
            }
            StateChange::Finished { has_failed } => {
                (self.pid, self.ready_since, self.recovered_percent) = (None, None, None);
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
        StateChange::Ended { reason: "exited with code 2".into(), is_restarting }
    }

    /// Each case is a sequence of changes and the state that it leads to.
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
            (vec![StartRequested, start.clone(), Ready, StopRequested], CircleState::Draining, Some(7), 0, false),
            // A circle that has to end does not become ready, start or fail.
            (vec![StartRequested, start.clone(), StopRequested, Ready], CircleState::Draining, Some(7), 0, false),
            (vec![StartRequested, StopRequested, start.clone()], CircleState::Draining, Some(7), 0, false),
            (vec![StartRequested, start.clone(), StopRequested, ended(true)], CircleState::Draining, None, 0, true),
            (vec![StartRequested, start.clone(), StopRequested, fails], CircleState::Down, None, 0, false),
            (
                vec![StartRequested, start, ended(true), StopRequested, is_over.clone()],
                CircleState::Down,
                None,
                0,
                false,
            ),
            // A new start request resets everything.
            (
                vec![StartRequested, ended(true), StopRequested, is_over, StartRequested],
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
            let found = (machine.state, machine.pid, machine.restarts, machine.reason().is_some());
            assert_eq!(found, (state, pid, restarts, has_why), "{changes:?}");
        }
    }

    #[test]
    fn recovery_is_the_reason_until_the_circle_is_ready() {
        let (mut machine, now) = (CircleStateMachine::default(), Instant::now());
        machine.apply(StateChange::StartRequested, now);
        machine.apply(StateChange::Started { pid: 7 }, now);
        machine.apply(ended(true), now);
        machine.apply(StateChange::Started { pid: 8 }, now);
        assert!(machine.is_starting());
        machine.apply(StateChange::Recovering { percent: 40 }, now);
        assert_eq!(
            (machine.state, machine.reason().as_deref()),
            (CircleState::Starting, Some("store recovering, 40 %"))
        );
        assert!(!machine.is_starting());
        machine.apply(ended(true), now);
        assert_eq!(machine.reason().as_deref(), Some("exited with code 2"));
        machine.apply(StateChange::Started { pid: 9 }, now);
        machine.apply(StateChange::Recovering { percent: 99 }, now);
        machine.apply(StateChange::Ready, now);
        assert_eq!((machine.state, machine.reason()), (CircleState::Ready, None));
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
