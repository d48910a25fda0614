use std::{collections::BTreeMap, sync::Arc};

use crate::{Event, Key, OnceClaim, outcome::Responder, reads::ReadSet, snapshot::Snapshot, writes::Write};

/// A transaction that waits for the committer.
pub(crate) struct CommitRequest {
    pub(crate) snapshot: Option<Arc<Snapshot>>,
    pub(crate) reads: ReadSet,
    pub(crate) writes: BTreeMap<Key, Write>,
    pub(crate) events: Vec<Event>,
    pub(crate) once: Option<OnceCommit>,
    /// Size of all that the transaction writes.
    pub(crate) bytes: usize,
    pub(crate) responder: Responder,
}

impl CommitRequest {
    /// Size of all that the transaction read and writes, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.bytes + self.reads.bytes()
    }
}

/// The `once` record that a transaction commits.
pub(crate) struct OnceCommit {
    pub(crate) claim: OnceClaim,
    pub(crate) result: Vec<u8>,
}
