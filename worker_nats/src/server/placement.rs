//! Placements that wait for an answer.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    fmt,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use super::remote_end::RemoteEnd;
use crate::{content::Setup, ids::LinkId, subjects::SubjectName, timings::Timings};

/// Pause before a placement that was refused for the first time is requested again. It doubles with each refusal.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// Maximum number of doublings of the pause.
const MAX_DOUBLINGS: u32 = 4;

/// Maximum number of placements that wait for an answer.
const MAX_PENDING: usize = 16 << 10;

/// Time for which the link of a request without an answer in time is remembered.
const LATE_PERIOD: Duration = Duration::from_secs(30);

/// Maximum number of remembered links.
const MAX_LATE: usize = 16 << 10;

/// A worker that runs on a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The name of the machine.
    pub machine: SubjectName,
    /// The process id on the machine.
    pub pid: Option<u32>,
    /// Memory of the fresh worker, in bytes.
    pub memory_base: u64,
    /// Time from the request to the answer.
    pub delay: Duration,
}

/// The reason why a worker could not be placed. Its text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// No machine answers.
    #[error("there is no worker machine: start one with 'circles worker'")]
    NoMachine,
    /// Only machines of other builds run.
    #[error("no worker machine runs build {build}, others run {}: run the same version on all machines", list(.others))]
    OtherBuilds {
        /// The build of this server.
        build: SubjectName,
        /// The builds of the machines.
        others: Vec<SubjectName>,
    },
    /// No machine has a free place.
    #[error("all worker machines are full: add one, or raise its places")]
    Full,
    /// There is no connection to NATS.
    #[error("there is no connection to NATS: {0}")]
    NotConnected(String),
    /// No machine answered in time.
    #[error("no worker machine answered in time: check the machines and the network")]
    TimedOut,
    /// A machine could not start the worker.
    #[error("a worker machine could not start the worker: {0}")]
    Refused(String),
}

fn list(names: &[SubjectName]) -> String {
    names.iter().map(SubjectName::as_str).collect::<Vec<_>>().join(", ")
}

impl PlaceError {
    /// The time after which another attempt makes sense, with a random part.
    pub fn retry_after(&self) -> Duration {
        let second = Duration::from_secs(1);
        second + second.mul_f64(random_part() / 2.0)
    }
}

/// A random number from 0 to 1; 0 without random bytes.
fn random_part() -> f64 {
    f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX)
}

/// Accepts the result of a placement. Makes the end of the link for a placed worker, unless nobody waits any more.
pub(super) type Accept = Box<dyn FnOnce(Result<Placed, PlaceError>) -> Option<Box<dyn RemoteEnd>> + Send>;

/// A placement from the caller's side.
pub(super) struct Placement {
    pub(super) setup: Arc<Setup>,
    pub(super) group: u64,
    pub(super) accept: Accept,
    /// The caller has the other reference while it waits.
    waiting: Weak<()>,
    pub(super) begun: Instant,
    /// The time of the last answer of a machine, or of the first request.
    heard_at: Instant,
    refusals: u32,
    /// The time of the first refusal.
    refused_at: Option<Instant>,
}

impl fmt::Debug for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Placement").field("setup", &self.setup.hash()).finish_non_exhaustive()
    }
}

/// The placements that wait for an answer, by the link of their last request, and those that wait for their next request.
#[derive(Debug, Default)]
pub(super) struct Placements {
    pending: HashMap<LinkId, (Instant, Placement)>,
    deadlines: BTreeSet<(Instant, LinkId)>,
    /// Placements that machines have refused, by the time of the next request and a number.
    paused: BTreeMap<(Instant, u64), Placement>,
    next_number: u64,
    /// The links of requests that were not answered in time, and the times.
    late: VecDeque<(Instant, LinkId)>,
}

/// What to do after a request that brought no worker.
pub(super) enum Retry {
    /// Request the worker again.
    Again(Placement),
    /// Request the worker again at this time.
    At(Instant, Placement),
    /// Give up.
    GiveUp(Placement),
}

impl Placements {
    pub(super) fn is_full(&self) -> bool {
        self.len() >= MAX_PENDING
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len() + self.paused.len()
    }

    pub(super) fn insert(&mut self, link: LinkId, deadline: Instant, placement: Placement) {
        self.deadlines.insert((deadline, link));
        self.pending.insert(link, (deadline, placement));
    }

    pub(super) fn remove(&mut self, link: LinkId) -> Option<Placement> {
        let (deadline, placement) = self.pending.remove(&link)?;
        self.deadlines.remove(&(deadline, link));
        Some(placement)
    }

    /// Keeps a placement until its next request.
    pub(super) fn pause(&mut self, until: Instant, placement: Placement) {
        self.next_number += 1;
        self.paused.insert((until, self.next_number), placement);
    }

    /// A machine prepares the worker: waits longer for the answer, within the time of the whole placement.
    pub(super) fn extend(&mut self, link: LinkId, timings: &Timings, now: Instant) {
        if let Some((deadline, placement)) = self.pending.get_mut(&link) {
            placement.heard_at = now;
            self.deadlines.remove(&(*deadline, link));
            *deadline = (now + timings.placement).min(placement.begun + timings.start);
            self.deadlines.insert((*deadline, link));
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let answer = self.deadlines.first().map(|(deadline, _)| *deadline);
        let request = self.paused.first_key_value().map(|((at, _), _)| *at);
        answer.into_iter().chain(request).min()
    }

    /// Removes a placement whose next request is due.
    pub(super) fn pop_paused(&mut self, now: Instant) -> Option<Placement> {
        let entry = self.paused.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }

    /// Removes a placement whose answer is overdue.
    pub(super) fn pop_overdue(&mut self, now: Instant) -> Option<Placement> {
        let (_, link) = *self.deadlines.first().filter(|(deadline, _)| *deadline <= now)?;
        while self.late.front().is_some_and(|(at, _)| *at + LATE_PERIOD <= now) || self.late.len() >= MAX_LATE {
            self.late.pop_front();
        }
        self.late.push_back((now, link));
        self.remove(link)
    }

    /// Whether the link is that of a request that was not answered in time. Returns true once for each link.
    pub(super) fn take_late(&mut self, link: LinkId) -> bool {
        let at = self.late.iter().position(|(_, late)| *late == link);
        at.and_then(|at| self.late.remove(at)).is_some()
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Placement> {
        self.deadlines.clear();
        let paused = std::mem::take(&mut self.paused).into_values();
        self.pending.drain().map(|(_, (_, placement))| placement).chain(paused)
    }
}

impl Placement {
    pub(super) fn new(setup: Arc<Setup>, group: u64, accept: Accept, waiting: &Arc<()>, now: Instant) -> Self {
        let waiting = Arc::downgrade(waiting);
        Self { setup, group, accept, waiting, begun: now, heard_at: now, refusals: 0, refused_at: None }
    }

    /// Whether nobody waits for the worker any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.waiting.strong_count() == 0
    }

    /// A machine had no room. A machine that is full or drains refuses requests for [`Timings::refusal`] before it leaves
    /// the queue group, so the pauses together are longer than that: after them, another machine gets the request.
    pub(super) fn refuse(self, timings: &Timings, now: Instant) -> Retry {
        self.refuse_for(timings.refusals(), now)
    }

    /// A machine had no room, although another one has: that one gets the request sooner or later. A machine without
    /// processor time leaves the queue group late.
    pub(super) fn pass(self, timings: &Timings, now: Instant) -> Retry {
        self.refuse_for(timings.unanswered, now)
    }

    fn refuse_for(mut self, maximum: Duration, now: Instant) -> Retry {
        let pause = FIRST_PAUSE * (1 << self.refusals.min(MAX_DOUBLINGS));
        let next = now + pause.mul_f64(0.5 + random_part());
        self.refusals += 1;
        self.heard_at = now;
        let refused_at = *self.refused_at.get_or_insert(now);
        if next.saturating_duration_since(refused_at) < maximum { Retry::At(next, self) } else { Retry::GiveUp(self) }
    }

    /// No machine answered in time.
    pub(super) fn time_out(self, timings: &Timings, now: Instant) -> Retry {
        let is_over = now.saturating_duration_since(self.begun) >= timings.start
            || now.saturating_duration_since(self.heard_at) >= timings.unanswered;
        if is_over { Retry::GiveUp(self) } else { Retry::Again(self) }
    }

    pub(super) fn fail(self, error: PlaceError) {
        // There is no end without a worker.
        let _none = (self.accept)(Err(error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placement(now: Instant) -> Placement {
        let setup = Arc::new(Setup::new("manifest".into(), []));
        Placement::new(setup, 1, Box::new(|_| None), &Arc::default(), now)
    }

    #[test]
    fn placement_is_abandoned_with_its_caller() {
        let (waiting, now) = (Arc::new(()), Instant::now());
        let setup = Arc::new(Setup::new("manifest".into(), []));
        let placement = Placement::new(setup, 1, Box::new(|_| None), &waiting, now);
        assert!(!placement.is_abandoned());
        drop(waiting);
        assert!(placement.is_abandoned());
    }

    #[test]
    fn refused_placement_is_requested_for_longer_than_machines_refuse() {
        let (timings, begun) = (Timings::default(), Instant::now());
        let (mut now, mut requests) = (begun, 1);
        let mut refused = placement(begun).refuse(&timings, now);
        while let Retry::At(next, placement) = refused {
            assert!(next > now && next < now + Duration::from_millis(500), "{:?}", next - now);
            (now, requests) = (next, requests + 1);
            refused = placement.refuse(&timings, now);
        }
        assert!(matches!(refused, Retry::GiveUp(_)));
        let total = now - begun;
        assert!(total > timings.refusal && total < Duration::from_secs(2), "{total:?}");
        assert!(requests < 20, "{requests}");
    }

    #[test]
    fn placement_is_requested_for_longer_while_a_machine_has_room() {
        let (timings, begun) = (Timings::default(), Instant::now());
        let late = begun + timings.refusals();
        let again = |retry| match retry {
            Retry::At(_, placement) => placement,
            _ => panic!("the placement is given up"),
        };
        let refused = again(placement(begun).refuse(&timings, begun));
        let passed = again(refused.pass(&timings, late));
        assert!(matches!(passed.refuse(&timings, late), Retry::GiveUp(_)));
        let passed = again(placement(begun).pass(&timings, begun));
        assert!(matches!(passed.pass(&timings, begun + timings.unanswered), Retry::GiveUp(_)));
    }

    #[test]
    fn silent_placement_is_given_up_before_one_whose_worker_is_prepared() {
        let (timings, begun) = (Timings::default(), Instant::now());
        let (link, interval) = (LinkId::from_bytes([1; 16]), timings.placement / 2);
        assert!(matches!(placement(begun).time_out(&timings, begun + timings.placement), Retry::Again(_)));
        assert!(matches!(placement(begun).time_out(&timings, begun + timings.unanswered), Retry::GiveUp(_)));
        let mut placements = Placements::default();
        placements.insert(link, begun + timings.placement, placement(begun));
        // Until shortly before `timings.start`.
        for number in 0..60 {
            let now = begun + interval * number;
            assert!(placements.pop_overdue(now).is_none());
            placements.extend(link, &timings, now);
        }
        let overdue = placements.pop_overdue(begun + timings.start).expect("machines do not prepare for ever");
        assert!(matches!(overdue.time_out(&timings, begun + timings.start), Retry::GiveUp(_)));
    }

    #[test]
    fn links_without_an_answer_in_time_are_remembered_for_a_while() {
        let (now, mut placements) = (Instant::now(), Placements::default());
        let link = |number: u32| {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            LinkId::from_bytes(bytes)
        };
        let mut overdue = |number, now| {
            placements.insert(link(number), now, placement(now));
            assert!(placements.pop_overdue(now).is_some());
        };
        overdue(0, now);
        overdue(1, now);
        overdue(2, now + LATE_PERIOD);
        assert_eq!(
            [0, 1, 2, 2, 3].map(|number| placements.take_late(link(number))),
            [false, false, true, false, false]
        );
        for number in 0..=u32::try_from(MAX_LATE).expect("small") {
            placements.insert(link(number), now, placement(now));
            assert!(placements.pop_overdue(now).is_some());
        }
        assert_eq!([0, 1].map(|number| placements.take_late(link(number))), [false, true]);
        assert!(placements.late.len() < MAX_LATE);
    }

    #[test]
    fn paused_placements_wait_for_their_time() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut placements = Placements::default();
        for seconds in [2, 1, 1] {
            placements.pause(now + second * seconds, placement(now));
        }
        assert_eq!((placements.len(), placements.deadline()), (3, Some(now + second)));
        assert!(placements.pop_paused(now).is_none());
        let due = std::iter::from_fn(|| placements.pop_paused(now + second)).count();
        assert_eq!((due, placements.len(), placements.drain().count(), placements.len()), (2, 1, 1, 0));
    }
}
