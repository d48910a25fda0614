//! The thread that writes. A group is what came while the last group was written; there is no timer.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use crate::{
    CommitEffect, CommitError, Revision,
    engine::{Applied, Engine, Failure, Table},
    meta::{State, Tag},
    plan::{Admission, Batch, Checks, Plan},
    request::CommitRequest,
    snapshot::Snapshot,
    store::Shared,
    window::Window,
};

pub(crate) struct Committer {
    engine: Engine,
    shared: Arc<Shared>,
    current: Arc<Snapshot>,
    window: Window,
    tag: Tag,
    checks: Checks,
}

/// Members of a group that wait for its end. Their claims keep requests of the same `once` keys waiting.
type Winners = Vec<(CommitRequest, Revision)>;

/// Transactions that failed, perhaps because of members of the group.
type Losers = Vec<(CommitRequest, CommitError)>;

impl Committer {
    pub(crate) fn new(engine: Engine, shared: Arc<Shared>, tag: Tag, checks: Checks) -> Self {
        let current = shared.snapshot();
        let window = Window::new(current.revision(), shared.limits.window_bytes);
        shared.live.add(&current);
        Self { engine, shared, current, window, tag, checks }
    }

    pub(crate) fn run(mut self) {
        while let Some(group) = self.shared.queue.take_group() {
            // After a panic the responders answer for the group, and the latch keeps everyone else out.
            if catch_unwind(AssertUnwindSafe(|| self.commit(group))).is_err() {
                self.engine.fail("panic of the committer");
            }
        }
        self.shared.set_closed();
        self.shared.remove_holder_note();
        if let Err(failure) = self.engine.close() {
            self.shared.set_close_failure(failure.reason);
        }
    }

    fn commit(&mut self, group: Vec<CommitRequest>) {
        let mut group: Vec<CommitRequest> = group.into_iter().filter(|request| request.responder.take()).collect();
        if let Err(error) = self.check_storage() {
            answer_all(group, &error);
            return;
        }
        if self.checks.skip_intervals {
            for request in &mut group {
                request.reads.forget_intervals();
            }
        }
        let mut rest = self.write(group, Admission::All);
        if !rest.is_empty() && self.free_pages() {
            rest = self.write(rest, Admission::All);
        }
        if !rest.is_empty() {
            self.write(rest, Admission::Smaller);
        }
    }

    /// Refuses writes before they touch a storage that cannot take them.
    fn check_storage(&self) -> Result<(), CommitError> {
        self.engine.check()?;
        let minimum = self.shared.limits.free_disk_bytes;
        match self.shared.disk.free_bytes() {
            Some(free) if free < minimum => Err(CommitError::DiskFull { minimum }),
            _ => Ok(()),
        }
    }

    /// Commits a group and answers its members. Returns those that it did not answer, because the file would become
    /// too long.
    fn write(&mut self, group: Vec<CommitRequest>, admission: Admission) -> Vec<CommitRequest> {
        let Some(tables) = self.current.tables() else {
            // The current snapshot never expires.
            let failure = self.engine.fail("the committer has lost its snapshot");
            answer_all(group, &failure.into());
            return Vec::new();
        };
        let (limits, state, now) = (&self.shared.limits, *self.current.state(), self.shared.clock.now());
        let mut plan = match Plan::new(limits, &self.window, tables, state, (self.tag, now), self.checks, admission) {
            Ok(plan) => plan,
            Err(failure) => {
                answer_all(group, &failure.into());
                return Vec::new();
            }
        };
        let (mut winners, mut losers) = (Winners::new(), Losers::new());
        for request in group {
            match plan.admit(&request) {
                Ok(revision) => winners.push((request, revision)),
                Err(refusal) if refusal.depends_on_group => losers.push((request, refusal.error)),
                Err(refusal) => request.responder.answer(Err(refusal.error)),
            }
        }
        if plan.is_empty() {
            return Vec::new();
        }
        let maximum = match admission {
            Admission::All => limits.file_bytes(),
            Admission::Smaller => u64::MAX,
        };
        let written = plan.finish().and_then(|batch| Ok((self.engine.apply(&batch.changes, maximum)?, batch)));
        match written {
            Ok((Applied::Durable, batch)) => self.publish(batch, winners, losers),
            Ok((Applied::TooLong, _)) => {
                let losers = losers.into_iter().map(|(request, _)| request);
                return winners.into_iter().map(|(request, _)| request).chain(losers).collect();
            }
            Err(Failure { happened, reason, .. }) => {
                for (request, _) in winners {
                    request.responder.answer(Err(CommitError::Failed { happened, reason: Arc::clone(&reason) }));
                }
                for (request, _) in losers {
                    let (happened, reason) = (CommitEffect::No, Arc::clone(&reason));
                    request.responder.answer(Err(CommitError::Failed { happened, reason }));
                }
            }
        }
        Vec::new()
    }

    /// The group is durable: the next snapshots have it, then subscribers know of it, then callers.
    fn publish(&mut self, batch: Batch, winners: Winners, losers: Losers) {
        let Batch { changes, state, notice, group, shows_room } = batch;
        self.shared.counters.count_group(shows_room);
        self.window.append(group);
        if !self.checks.skip_cache {
            let data = changes.iter().filter(|change| change.table == Table::Data);
            self.shared.cache.commit(data.map(|change| (&*change.key, change.value.as_deref())), state.revision);
        }
        if self.advance(state).is_ok() && !winners.is_empty() {
            self.shared.listeners.notify(&notice);
        }
        for (request, revision) in winners {
            let CommitRequest { responder, once, .. } = request;
            // Requests that wait for this `once` key go on now, and find the record.
            drop(once);
            responder.answer(Ok(revision));
        }
        for (request, error) in losers {
            request.responder.answer(Err(error));
        }
    }

    /// Takes the snapshot of a durable state. After a failure the commits are durable nevertheless, and the latch keeps
    /// later ones out.
    fn advance(&mut self, state: State) -> Result<(), Failure> {
        let tables = self.engine.snapshot()?;
        self.current = Arc::new(Snapshot::new(state, tables, self.engine.counters().written()));
        self.shared.live.add(&self.current);
        self.shared.set_snapshot(Arc::clone(&self.current));
        self.forget();
        Ok(())
    }

    /// Takes away the snapshots that are too old, and forgets what the others do not need.
    fn forget(&mut self) {
        let written = self.engine.counters().written();
        let (mut live, old): (Vec<_>, Vec<_>) = self.shared.live.list().into_iter().partition(|snapshot| {
            Arc::ptr_eq(snapshot, &self.current) || !snapshot.is_beyond(&self.shared.limits, written)
        });
        self.window.prune(live.first().map_or(self.current.revision(), |oldest| oldest.revision()));
        self.shared.counters.set_window_bytes(self.window.bytes());
        let floor = self.window.floor();
        live.retain(|snapshot| snapshot.revision() < floor);
        for snapshot in old.into_iter().chain(live) {
            snapshot.expire();
        }
    }

    /// Takes all old snapshots away, and lets the engine free the pages that they pinned. False if there was none.
    fn free_pages(&mut self) -> bool {
        let mut old = self.shared.live.list();
        old.retain(|snapshot| !Arc::ptr_eq(snapshot, &self.current));
        if old.is_empty() {
            return false;
        }
        for snapshot in old {
            snapshot.expire();
        }
        self.window.prune(self.current.revision());
        // The engine frees pages in the commit after that of the last reader. A failure latches.
        let state = *self.current.state();
        self.engine.apply(&[state.change()], u64::MAX).is_ok() && self.advance(state).is_ok()
    }
}

fn answer_all(group: Vec<CommitRequest>, error: &CommitError) {
    for request in group {
        request.responder.answer(Err(error.clone()));
    }
}
