//! The rate limit of one kind of log lines. Each caller may log one line a second, and fewer while its lines are
//! suppressed, so that no caller can flood the log. Pure: the time is an argument.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::quota::{Caller, CallerTable};

/// The interval between two lines of a caller.
const FIRST_INTERVAL: Duration = Duration::from_secs(1);

/// The maximum interval, which doubles while lines are suppressed.
const LONGEST_INTERVAL: Duration = Duration::from_mins(1);

/// The burst allowance of a silent caller. It is large enough that no line is suppressed for a person who types.
const BURST_DURATION: Duration = Duration::from_secs(9);

/// The maximum number of callers with an entry of their own. Further callers share one entry.
const MAX_CALLERS: usize = 1024;

/// Limits lines of one kind (the generic cell rate algorithm).
#[derive(Debug)]
pub(crate) struct LogLimit {
    burst: Duration,
    entries: Mutex<CallerTable<CallerLimit>>,
}

impl Default for LogLimit {
    fn default() -> Self {
        Self { burst: Duration::ZERO, entries: Mutex::new(CallerTable::new(MAX_CALLERS)) }
    }
}

#[derive(Debug)]
struct CallerLimit {
    /// The theoretical arrival time of the algorithm: the end of the intervals of all logged lines.
    theoretical_arrival: Instant,
    interval: Duration,
    suppressed: u64,
}

impl LogLimit {
    /// Makes a limit that allows a silent caller a burst of ten lines.
    pub(crate) fn with_burst() -> Self {
        Self { burst: BURST_DURATION, ..Self::default() }
    }

    /// Returns whether to log a line now, and if so, how many lines of the caller were suppressed before it.
    pub(crate) fn admit(&self, caller: Caller, now: Instant) -> Option<u64> {
        // No code panics while it holds the lock.
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let new = CallerLimit { theoretical_arrival: now, interval: FIRST_INTERVAL, suppressed: 0 };
        entries.entry(caller, |entry| entry.theoretical_arrival <= now, new).admit(now, self.burst)
    }
}

impl CallerLimit {
    fn admit(&mut self, now: Instant, burst: Duration) -> Option<u64> {
        if self.theoretical_arrival > now + burst {
            self.suppressed += 1;
            return None;
        }
        let suppressed = std::mem::take(&mut self.suppressed);
        self.interval = if suppressed > 0 { (self.interval * 2).min(LONGEST_INTERVAL) } else { FIRST_INTERVAL };
        self.theoretical_arrival = self.theoretical_arrival.max(now) + self.interval;
        Some(suppressed)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn caller(number: u32) -> Caller {
        Caller::anonymous(Ipv4Addr::from_bits(number).into())
    }

    #[test]
    fn caller_logs_one_line_a_second_and_fewer_while_suppressed() {
        let (limit, start) = (LogLimit::default(), Instant::now());
        let admit = |ms| limit.admit(caller(1), start + Duration::from_millis(ms));
        assert_eq!((admit(0), admit(1), admit(999)), (Some(0), None, None));
        assert_eq!(limit.admit(caller(2), start), Some(0), "another caller has lines of its own");
        // From now on, two seconds apart.
        assert_eq!((admit(1000), admit(2999), admit(3000)), (Some(2), None, Some(1)));
        let lines = (3000..3_603_000).step_by(100).filter(|ms| admit(*ms).is_some()).count();
        assert!((60..70).contains(&lines), "{lines}");
        assert_eq!((admit(9_000_000), admit(10_000_000), admit(10_001_000)), (Some(599), Some(0), Some(0)));
    }

    #[test]
    fn silent_caller_may_log_ten_lines_at_once() {
        let (limit, start) = (LogLimit::with_burst(), Instant::now());
        let admit = |s| limit.admit(caller(1), start + Duration::from_secs(s)).is_some();
        assert_eq!((0..20).filter(|_| admit(0)).count(), 10);
        assert!(admit(1) && !admit(1) && !admit(2) && admit(3));
        let lines = (4..3604).filter(|s| (0..10).any(|_| admit(*s))).count();
        assert!((60..70).contains(&lines), "{lines}");
    }

    #[test]
    fn log_limit_is_bounded_and_excess_callers_share_one_entry() {
        let (limit, now) = (LogLimit::default(), Instant::now());
        let logged = (0..100_000).filter(|number| limit.admit(caller(*number), now).is_some()).count();
        assert_eq!(logged, MAX_CALLERS + 1);
        assert!(limit.entries.lock().expect("no panic").len() <= MAX_CALLERS + 1);
        assert_eq!(limit.admit(caller(u32::MAX), now + LONGEST_INTERVAL), Some(0), "idle entries make room");
    }
}
