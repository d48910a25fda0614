//! The plays that a worker has been sent and has not finished: their order, the stops and the hold. Pure: the time is an
//! argument.
//!
//! A worker runs its plays in order. A stop or a hold overtakes the plays that were sent, so only the worker knows which
//! of them have begun; it answers with the last one. A worker may be compromised by its script, so everything that it
//! then sends about a later play is a violation.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// How long a worker may take to answer a hold. A later outcome of a play is a violation.
const HOLD_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct SentPlay {
    number: u64,
    is_stopped: bool,
    /// Whether the play was stopped before it began.
    is_withdrawn: bool,
}

/// A message on the control socket that the worker answers with the last play that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unanswered {
    Stop { play: u64 },
    Hold { since: Instant },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    None,
    Requested,
    /// The worker begins no play after this one.
    Acknowledged {
        last: u64,
    },
    /// The worker is held before the first play.
    Held,
}

/// What the answer of a worker on the control socket, or the outcome of a play, has decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// The play was stopped before it began, and will not run.
    Withdrawn { play: u64 },
    /// No play runs, and the next one does not begin until [`SentPlays::resume`].
    Held,
}

/// The outcome of a play that the worker could not have reported.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Violation(pub(super) &'static str);

#[derive(Debug)]
pub(super) struct SentPlays {
    plays: VecDeque<SentPlay>,
    unanswered: VecDeque<Unanswered>,
    hold: Hold,
}

impl SentPlays {
    pub(super) fn new() -> Self {
        Self { plays: VecDeque::new(), unanswered: VecDeque::new(), hold: Hold::None }
    }

    /// Records a play, which runs after the others.
    pub(super) fn push(&mut self, number: u64) {
        self.plays.push_back(SentPlay { number, is_stopped: false, is_withdrawn: false });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.plays.is_empty()
    }

    /// Whether this is the play that may send messages now.
    pub(super) fn is_running(&self, number: u64) -> bool {
        let may_begin = match self.hold {
            Hold::None | Hold::Requested => true,
            Hold::Acknowledged { last } => number <= last,
            Hold::Held => false,
        };
        may_begin && self.plays.front().is_some_and(|play| play.number == number && !play.is_withdrawn)
    }

    /// The number of the play that may send messages now, if any.
    pub(super) fn running(&self) -> Option<u64> {
        self.plays.front().map(|play| play.number).filter(|number| self.is_running(*number))
    }

    /// Whether the first play is stopped.
    pub(super) fn is_running_stopped(&self) -> bool {
        self.plays.front().is_some_and(|play| play.is_stopped)
    }

    /// Records a stop. Returns whether the play is unfinished, so that its worker must receive the stop.
    pub(super) fn stop(&mut self, number: u64) -> bool {
        let Some(play) = self.plays.iter_mut().find(|play| play.number == number && !play.is_stopped) else {
            return false;
        };
        play.is_stopped = true;
        self.unanswered.push_back(Unanswered::Stop { play: number });
        true
    }

    /// Records a hold. Returns the last play that the worker must not begin; `None` if there is nothing to hold, or the
    /// worker is already held.
    pub(super) fn hold(&mut self, now: Instant) -> Option<u64> {
        let last = self.plays.back().filter(|_| self.hold == Hold::None)?;
        self.hold = Hold::Requested;
        self.unanswered.push_back(Unanswered::Hold { since: now });
        Some(last.number)
    }

    /// Ends the hold. Returns whether there was one, so that the worker must resume.
    pub(super) fn resume(&mut self) -> bool {
        std::mem::replace(&mut self.hold, Hold::None) != Hold::None
    }

    pub(super) fn is_holding(&self) -> bool {
        self.hold != Hold::None
    }

    /// Whether the answer to a hold is pending.
    pub(super) fn awaits_hold(&self) -> bool {
        self.hold == Hold::Requested
    }

    /// Handles the answer to the oldest unanswered stop or hold.
    pub(super) fn acknowledge(&mut self, begun: u64) -> Result<Option<Decision>, Violation> {
        match self.unanswered.pop_front() {
            None => Err(Violation("answer to no stop and no hold")),
            Some(Unanswered::Stop { play: number }) if number > begun => {
                let play = self.plays.iter_mut().find(|play| play.number == number && !play.is_withdrawn);
                Ok(play.map(|play| {
                    play.is_withdrawn = true;
                    Decision::Withdrawn { play: number }
                }))
            }
            Some(Unanswered::Stop { .. }) => Ok(None),
            Some(Unanswered::Hold { .. }) => {
                if self.hold == Hold::Requested {
                    self.hold = Hold::Acknowledged { last: begun };
                }
                Ok(self.held())
            }
        }
    }

    /// Returns the decision that the worker is held, once it is.
    pub(super) fn held(&mut self) -> Option<Decision> {
        if let Hold::Acknowledged { last } = self.hold
            && let Some(next) = self.plays.front()
            && next.number > last
        {
            self.hold = Hold::Held;
            return Some(Decision::Held);
        }
        None
    }

    /// Handles the outcome of a play. Returns whether the play is to be reported: the report of a withdrawn one would
    /// be its second.
    pub(super) fn finish(&mut self, number: u64, now: Instant) -> Result<bool, Violation> {
        let is_withdrawn = self.plays.front().is_some_and(|play| play.number == number && play.is_withdrawn);
        if !is_withdrawn && !self.is_running(number) {
            return Err(Violation("outcome of a play that does not run"));
        }
        let is_late = |unanswered: &Unanswered| matches!(unanswered, Unanswered::Hold { since } if now.duration_since(*since) > HOLD_TIMEOUT);
        if self.unanswered.iter().any(is_late) {
            return Err(Violation("no answer to a hold"));
        }
        self.plays.pop_front();
        if self.plays.is_empty() {
            // The worker holds only plays that were sent before the hold.
            self.hold = Hold::None;
        }
        Ok(!is_withdrawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(numbers: std::ops::RangeInclusive<u64>) -> SentPlays {
        let mut plays = SentPlays::new();
        numbers.for_each(|number| plays.push(number));
        plays
    }

    fn finish(plays: &mut SentPlays, number: u64) -> Result<bool, Violation> {
        plays.finish(number, Instant::now())
    }

    #[test]
    fn only_the_first_play_may_report() {
        let mut plays = sent(1..=2);
        assert!(plays.is_running(1) && !plays.is_running(2));
        assert!(finish(&mut plays, 2).is_err());
        assert_eq!(finish(&mut plays, 1), Ok(true));
        assert_eq!(plays.running(), Some(2));
        assert_eq!(finish(&mut plays, 2), Ok(true));
        assert!(finish(&mut plays, 2).is_err() && plays.is_empty());
    }

    #[test]
    fn play_that_has_not_begun_is_withdrawn_once() {
        let mut plays = sent(1..=3);
        assert!(plays.stop(1) && plays.stop(3) && !plays.stop(3) && !plays.stop(9));
        assert_eq!(plays.acknowledge(1), Ok(None), "it runs");
        assert_eq!(plays.acknowledge(1), Ok(Some(Decision::Withdrawn { play: 3 })));
        assert!(plays.acknowledge(1).is_err());
        assert_eq!([1, 2].map(|number| finish(&mut plays, number)), [Ok(true), Ok(true)]);
        assert!(!plays.is_running(3), "a withdrawn play cannot print");
        assert_eq!(finish(&mut plays, 3), Ok(false));
    }

    #[test]
    fn outcome_before_the_answer_to_its_stop_is_reported() {
        let mut plays = sent(1..=2);
        plays.stop(2);
        assert_eq!([1, 2].map(|number| finish(&mut plays, number)), [Ok(true), Ok(true)]);
        assert_eq!(plays.acknowledge(1), Ok(None), "it has been reported");
    }

    #[test]
    fn held_worker_may_report_nothing() {
        let mut plays = sent(1..=3);
        assert_eq!(plays.hold(Instant::now()), Some(3));
        assert_eq!(plays.hold(Instant::now()), None);
        // The worker had begun the second play when it received the hold.
        assert_eq!(finish(&mut plays, 1), Ok(true));
        assert_eq!(plays.acknowledge(2), Ok(None));
        assert_eq!((finish(&mut plays, 2), plays.held()), (Ok(true), Some(Decision::Held)));
        assert!(!plays.is_running(3) && finish(&mut plays, 3).is_err());
        assert!(plays.resume() && !plays.resume());
        assert_eq!(finish(&mut plays, 3), Ok(true));
    }

    #[test]
    fn hold_ends_with_the_last_play() {
        let mut plays = sent(1..=2);
        plays.hold(Instant::now());
        assert_eq!([1, 2].map(|number| finish(&mut plays, number)), [Ok(true), Ok(true)]);
        assert_eq!(plays.acknowledge(2), Ok(None));
        plays.push(3);
        assert!(plays.is_running(3) && !plays.resume());
    }

    #[test]
    fn worker_that_ignores_a_hold_is_noticed() {
        let (mut plays, now) = (sent(1..=3), Instant::now());
        plays.hold(now);
        assert_eq!(plays.finish(1, now), Ok(true));
        assert!(plays.finish(2, now + HOLD_TIMEOUT + Duration::from_millis(1)).is_err());
    }
}
