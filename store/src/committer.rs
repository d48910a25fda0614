//! The thread that writes. A group is what came while the last group was written; there is no timer.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak},
};

use crate::{
    CommitError, CommitNotice, OnceClaim, Revision,
    engine::{Engine, Failure},
    meta::{State, Tag},
    outcome::Responder,
    plan::{Batch, Checks, Plan},
    request::CommitRequest,
    snapshot::Snapshot,
    store::Shared,
    window::Window,
};

pub(crate) struct Committer {
    engine: Engine,
    shared: Arc<Shared>,
    current: Arc<Snapshot>,
    /// Snapshots that transactions may still read, the oldest first.
    live: VecDeque<Weak<Snapshot>>,
    window: Window,
    tag: Tag,
    checks: Checks,
}

/// Members of a group that wait for its end, and their claims, which keep requests of the same `once` keys waiting.
type Winners = Vec<(Responder, Revision, Option<OnceClaim>)>;

impl Committer {
    pub(crate) fn new(engine: Engine, shared: Arc<Shared>, tag: Tag, checks: Checks) -> Self {
        let current = shared.snapshot();
        let window = Window::new(current.revision(), shared.limits.window_bytes);
        let live = VecDeque::from([Arc::downgrade(&current)]);
        Self { engine, shared, current, live, window, tag, checks }
    }

    pub(crate) fn run(mut self) {
        while let Some(group) = self.shared.queue.take_group() {
            // After a panic the responders answer for the group, and the latch keeps everyone else out.
            if catch_unwind(AssertUnwindSafe(|| self.commit(group))).is_err() {
                self.engine.fail("panic of the committer");
            }
        }
        self.shared.set_closed();
        if let Err(failure) = self.engine.close() {
            self.shared.set_close_failure(failure.reason);
        }
    }

    fn commit(&mut self, group: Vec<CommitRequest>) {
        let group: Vec<CommitRequest> = group.into_iter().filter(|request| request.responder.take()).collect();
        if let Err(error) = self.check_storage() {
            for request in group {
                request.responder.answer(Err(error.clone()));
            }
            return;
        }
        let Some(tables) = self.current.tables() else {
            // The current snapshot never expires.
            self.engine.fail("the committer has lost its snapshot");
            return;
        };
        let (limits, state, time) = (&self.shared.limits, *self.current.state(), self.shared.clock.now());
        let mut plan = Plan::new(limits, &mut self.window, tables, state, self.tag, time, self.checks);
        let mut winners = Winners::new();
        for mut request in group {
            let claim = request.once.as_ref().map(|once| once.claim.clone());
            match plan.admit(&mut request) {
                Ok(revision) => winners.push((request.responder, revision, claim)),
                Err(error) => request.responder.answer(Err(error)),
            }
        }
        if winners.is_empty() {
            return;
        }
        let written = plan.finish().and_then(|batch| self.engine.apply(&batch.changes).map(|()| batch));
        match written {
            Ok(Batch { state, notice, .. }) => self.publish(state, winners, &notice),
            Err(Failure { happened, reason }) => {
                for (responder, ..) in winners {
                    responder.answer(Err(CommitError::Failed { happened, reason: Arc::clone(&reason) }));
                }
            }
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

    /// The group is durable: the next snapshots have it, then subscribers know of it, then callers.
    fn publish(&mut self, state: State, winners: Winners, notice: &CommitNotice) {
        match self.engine.snapshot() {
            Ok(tables) => {
                self.current = Arc::new(Snapshot::new(state, tables));
                self.shared.set_snapshot(Arc::clone(&self.current));
                self.live.push_back(Arc::downgrade(&self.current));
                self.forget();
                self.shared.listeners.notify(notice);
            }
            // The commits are durable, so their callers hear of success. The latch keeps later ones out.
            Err(Failure { reason, .. }) => drop(self.engine.fail(&reason)),
        }
        for (responder, revision, claim) in winners {
            // Requests that wait for this `once` key go on now, and find the record.
            drop(claim);
            responder.answer(Ok(revision));
        }
    }

    /// Forgets what no snapshot needs, and takes away the snapshots that are too old.
    fn forget(&mut self) {
        self.live.retain(|snapshot| snapshot.strong_count() > 0);
        let oldest =
            self.live.iter().find_map(Weak::upgrade).map_or(self.current.revision(), |oldest| oldest.revision());
        self.window.prune(oldest);
        let floor = self.window.floor();
        for snapshot in self.live.iter().filter_map(Weak::upgrade).take_while(|snapshot| snapshot.revision() < floor) {
            snapshot.expire();
        }
    }
}
