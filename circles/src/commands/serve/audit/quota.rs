//! Quota of the audit for each caller, so that no caller evicts the records of others. Callers pass in the time.
//!
//! In a day the lines of all callers together fill at most a quarter of the audit's files, the day's budget. One caller may
//! use half of the remaining budget. So a single caller that plays without end uses a third of the budget, and a later caller
//! still has room. Beyond its quota a caller's plays are counted: one line for each outcome after a second, then after
//! intervals that double as long as that continues. Rejected plays use no quota, and are always counted.

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant, SystemTime},
};

const DAY: Duration = Duration::from_hours(24);

/// Size of the audit's files divided by the budget of a day.
const FILES_TO_BUDGET: u64 = 4;

/// Remaining budget of the day divided by the quota of one caller.
const BUDGET_TO_QUOTA: u64 = 2;

/// Shortest and longest interval in which plays are counted into one line.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
const MAX_INTERVAL: Duration = Duration::from_hours(1);

/// Largest number of callers with counts of their own. All further callers share one.
const MAX_CALLERS: usize = 1024;

/// Size of a line with a count, in bytes.
const COUNT_LINE_BYTES: u64 = 256;

/// A finished play.
#[derive(Debug)]
pub(super) struct AuditedPlay {
    pub(super) outcome: &'static str,
    pub(super) code: Option<i64>,
    /// Size of its line.
    pub(super) bytes: u64,
}

/// Number of plays of a caller that have no line of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlayCount<C> {
    /// `None` for the callers beyond [`MAX_CALLERS`].
    pub(super) caller: Option<C>,
    pub(super) outcome: &'static str,
    pub(super) code: Option<i64>,
    pub(super) plays: u64,
    pub(super) first: SystemTime,
    pub(super) last: SystemTime,
}

#[derive(Debug)]
pub(super) struct AuditQuota<C> {
    /// Bytes of a day, and bytes used today.
    budget: u64,
    used: u64,
    day_begun: Instant,
    callers: HashMap<Option<C>, CallerAuditUsage<C>>,
}

#[derive(Debug)]
struct CallerAuditUsage<C> {
    used: u64,
    interval: Duration,
    /// Time at which the counts are due, if plays are counted.
    due: Option<Instant>,
    /// One for each outcome.
    counts: Vec<PlayCount<C>>,
}

impl<C> Default for CallerAuditUsage<C> {
    fn default() -> Self {
        Self { used: 0, interval: MIN_INTERVAL, due: None, counts: Vec::new() }
    }
}

impl<C: Copy + Eq + Hash> AuditQuota<C> {
    /// Quotas for audit files with this total size in bytes.
    pub(super) fn of(files: u64, now: Instant) -> Self {
        Self { budget: files / FILES_TO_BUDGET, used: 0, day_begun: now, callers: HashMap::new() }
    }

    /// Records a play. Returns whether it gets a line of its own; otherwise the play is counted.
    pub(super) fn record(
        &mut self,
        caller: C,
        play: &AuditedPlay,
        is_refused: bool,
        now: Instant,
        at: SystemTime,
    ) -> bool {
        self.begin_day(now);
        let caller = self.entry_for(caller);
        let quota = self.caller_quota();
        let usage = self.callers.entry(caller).or_default();
        if !is_refused && usage.used + play.bytes <= quota {
            usage.used += play.bytes;
            self.used += play.bytes;
            return true;
        }
        usage.due.get_or_insert(now + usage.interval);
        let count = usage.counts.iter_mut().find(|count| (count.outcome, count.code) == (play.outcome, play.code));
        if let Some(count) = count {
            count.plays += 1;
            count.last = at;
        } else {
            let AuditedPlay { outcome, code, .. } = *play;
            usage.counts.push(PlayCount { caller, outcome, code, plays: 1, first: at, last: at });
        }
        false
    }

    /// Takes the counts that are due.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<PlayCount<C>> {
        self.begin_day(now);
        let (quota, mut all) = (self.caller_quota(), Vec::new());
        for usage in self.callers.values_mut().filter(|usage| usage.due.is_some_and(|due| due <= now)) {
            if usage.counts.is_empty() {
                (usage.due, usage.interval) = (None, MIN_INTERVAL);
                continue;
            }
            let bytes = COUNT_LINE_BYTES * usage.counts.len() as u64;
            usage.used += bytes;
            self.used += bytes;
            if usage.used + COUNT_LINE_BYTES > quota {
                usage.interval = (usage.interval * 2).min(MAX_INTERVAL);
            }
            usage.due = Some(now + usage.interval);
            all.append(&mut usage.counts);
        }
        all
    }

    /// Takes all counts, due or not.
    pub(super) fn take_all(&mut self) -> Vec<PlayCount<C>> {
        self.callers.values_mut().flat_map(|usage| std::mem::take(&mut usage.counts)).collect()
    }

    /// The quota of one caller now.
    fn caller_quota(&self) -> u64 {
        self.budget.saturating_sub(self.used) / BUDGET_TO_QUOTA
    }

    fn begin_day(&mut self, now: Instant) {
        if now.saturating_duration_since(self.day_begun) < DAY {
            return;
        }
        (self.day_begun, self.used) = (now, 0);
        self.callers.retain(|_, usage| !usage.counts.is_empty());
        self.callers.values_mut().for_each(|usage| (usage.used, usage.interval) = (0, MIN_INTERVAL));
    }

    /// The key of the caller's entry. A full table evicts the caller with the least usage and without counts; `None` if there
    /// is no such caller.
    fn entry_for(&mut self, caller: C) -> Option<C> {
        let caller = Some(caller);
        if self.callers.len() < MAX_CALLERS || self.callers.contains_key(&caller) {
            return caller;
        }
        let idle = self.callers.iter().filter(|(caller, usage)| caller.is_some() && usage.counts.is_empty());
        let least = idle.min_by_key(|(_, usage)| usage.used).map(|(caller, _)| *caller)?;
        self.callers.remove(&least);
        caller
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: u64 = 64 << 20;
    const BYTES: u64 = 320;

    fn play(outcome: &'static str) -> AuditedPlay {
        AuditedPlay { outcome, code: None, bytes: BYTES }
    }

    fn note(quota: &mut AuditQuota<u32>, caller: u32, now: Instant) -> bool {
        quota.record(caller, &play("ok"), false, now, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn refused_plays_are_counted_for_each_caller_and_second() {
        let begun = Instant::now();
        let mut quota = AuditQuota::of(FILES, begun);
        let at = |s| SystemTime::UNIX_EPOCH + Duration::from_secs(s);
        for (caller, outcome) in [(1, "busy_queued"), (2, "busy_queued"), (1, "busy_memory"), (1, "busy_queued")] {
            assert!(!quota.record(caller, &play(outcome), true, begun, at(u64::from(caller))));
        }
        assert!(quota.take_due(begun + MIN_INTERVAL / 2).is_empty());
        let mut due = quota.take_due(begun + MIN_INTERVAL);
        due.sort_by_key(|count| (count.caller, count.outcome));
        let of = |count: &PlayCount<u32>| (count.caller, count.outcome, count.plays);
        let expected = [(Some(1), "busy_memory", 1), (Some(1), "busy_queued", 2), (Some(2), "busy_queued", 1)];
        assert_eq!(due.iter().map(of).collect::<Vec<_>>(), expected);
        assert!(note(&mut quota, 1, begun), "a play that is not rejected has its line");
        quota.record(1, &play("busy_queued"), true, begun, at(9));
        assert_eq!(quota.take_all().len(), 1);
    }

    /// A caller plays as fast as possible for a day: its lines fill a small part of the files, and others have lines.
    #[test]
    fn caller_beyond_its_share_is_counted_and_others_keep_their_lines() {
        let begun = Instant::now();
        let mut quota = AuditQuota::of(FILES, begun);
        let (mut lines, mut counts, mut counted, mut all) = (0_u64, 0_u64, 0_u64, 0_u64);
        for s in 0..86_400 {
            let now = begun + Duration::from_secs(s);
            for _ in 0..100 {
                lines += u64::from(note(&mut quota, 1, now));
                all += 1;
            }
            if s % 3600 == 0 {
                assert!(note(&mut quota, 2, now), "a caller that plays rarely has its lines");
            }
            let due = quota.take_due(now);
            counts += due.len() as u64;
            counted += due.iter().map(|count| count.plays).sum::<u64>();
        }
        counted += quota.take_all().iter().map(|count| count.plays).sum::<u64>();
        assert_eq!(lines + counted, all);
        assert!((FILES / 16 / BYTES..=FILES / 12 / BYTES).contains(&lines), "{lines}");
        assert!(counts < 100, "{counts}");
        assert!(note(&mut quota, 1, begun + DAY), "another day");
    }

    #[test]
    fn callers_together_fill_a_quarter_of_the_files_in_a_day() {
        let begun = Instant::now();
        let mut quota = AuditQuota::of(FILES, begun);
        let mut lines = 0;
        for caller in 0..5000 {
            lines += (0..1000).filter(|_| note(&mut quota, caller, begun)).count() as u64;
        }
        assert!(lines * BYTES <= FILES / 4, "{lines}");
        assert!(quota.callers.len() <= MAX_CALLERS + 1);
    }

    #[test]
    fn table_is_bounded_and_callers_beyond_are_counted_as_one() {
        let begun = Instant::now();
        let mut quota = AuditQuota::of(FILES, begun);
        for caller in 0..100_000 {
            assert!(!quota.record(caller, &play("busy_queued"), true, begun, SystemTime::UNIX_EPOCH));
        }
        assert_eq!(quota.callers.len(), MAX_CALLERS + 1);
        let due = quota.take_due(begun + MIN_INTERVAL);
        let others = due.iter().find(|count| count.caller.is_none()).expect("there are others");
        assert_eq!(others.plays, 100_000 - MAX_CALLERS as u64);
        // Callers without counts are evicted.
        assert!(note(&mut quota, 100_001, begun));
        assert!(quota.callers.contains_key(&Some(100_001)));
    }
}
