//! How often lines of one kind are logged: each caller has one a second at most, and fewer while more are suppressed, so that
//! nobody can push the lines of others out of the log. Pure: the time is handed in.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::quota::Caller;

/// The time that a line of a caller stands for.
const FIRST_INTERVAL: Duration = Duration::from_secs(1);

/// The most that it stands for: it doubles while lines are suppressed.
const LONGEST_INTERVAL: Duration = Duration::from_mins(1);

/// How far ahead of its lines a caller may be that was silent: nobody who types sees a line suppressed.
const BURST_DURATION: Duration = Duration::from_secs(9);

/// Callers that are told apart. Those beyond share one entry.
const MAX_CALLERS: usize = 1024;

/// Limits lines of one kind (the generic cell rate algorithm).
#[derive(Debug, Default)]
pub(crate) struct LogLimit {
    burst: Duration,
    entries: Mutex<HashMap<Option<Caller>, CallerLimit>>,
}

#[derive(Debug)]
struct CallerLimit {
    /// Until when the lines stand that were logged.
    theoretical_arrival: Instant,
    interval: Duration,
    suppressed: u64,
}

impl LogLimit {
    /// A limit under which a caller that was silent may have ten lines at once.
    pub(crate) fn with_burst() -> Self {
        Self { burst: BURST_DURATION, ..Self::default() }
    }

    /// Whether a line is logged now, with the number of those of the caller that were suppressed before it.
    pub(crate) fn admit(&self, caller: Caller, now: Instant) -> Option<u64> {
        // Nothing that can panic is done with it.
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut caller = Some(caller);
        if !entries.contains_key(&caller) && entries.len() >= MAX_CALLERS {
            entries.retain(|_, entry| now < entry.theoretical_arrival);
            if entries.len() >= MAX_CALLERS {
                caller = None;
            }
        }
        let new = || CallerLimit { theoretical_arrival: now, interval: FIRST_INTERVAL, suppressed: 0 };
        let entry = entries.entry(caller).or_insert_with(new);
        if entry.theoretical_arrival > now + self.burst {
            entry.suppressed += 1;
            return None;
        }
        let suppressed = std::mem::take(&mut entry.suppressed);
        entry.interval = if suppressed > 0 { (entry.interval * 2).min(LONGEST_INTERVAL) } else { FIRST_INTERVAL };
        entry.theoretical_arrival = entry.theoretical_arrival.max(now) + entry.interval;
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
        // Two seconds from now on.
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
