//! The audit: one record of each play, for the program that serves the circle.

use std::{
    cell::Cell,
    fmt,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use keys::PublicKey;
use protocol::methods::PlayParams;

use crate::{
    metrics::{MetricLabel, PlayOutcome},
    quota::Caller,
};

/// A play that has ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PlayRecord {
    /// The number of its session, as in the log.
    pub session: u64,
    /// Who played.
    pub caller: PlayCaller,
    /// When it ended.
    pub ended: SystemTime,
    /// From its arrival to its end, what it waited included.
    pub elapsed: Duration,
    /// What it came to, in a word, as in the metrics: `ok`, `script_error`, `cancelled`, `shutting_down`, `internal`, `invalid`,
    /// `limit_…`, `lost_…` or `busy_…` with what it was; `disconnected`, where the connection ended before it did.
    pub outcome: &'static str,
    /// The code of the error that it came to, where it was one.
    pub code: Option<i64>,
    /// Nothing of it ran, because there was no room for it or the caller may not play. Whoever keeps records can count these
    /// instead of keeping each: to be refused costs a caller nothing.
    pub is_refused: bool,
    params: Arc<PlayParams>,
}

impl PlayRecord {
    /// What was played.
    pub fn script(&self) -> &str {
        &self.params.script
    }
}

/// Whose play it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PlayCaller {
    /// An authenticated caller.
    Key(PublicKey),
    /// An anonymous caller at this address.
    Anonymous(IpAddr),
}

impl PlayCaller {
    /// The caller that this one is counted as: of an IPv6 address the network of 64 bits, of which a client has all addresses.
    #[must_use]
    pub fn quota_caller(self) -> Self {
        match self {
            Self::Key(_) => self,
            Self::Anonymous(address) => match Caller::anonymous(address) {
                Caller::Address(address) => Self::Anonymous(address),
                Caller::Key(key) => Self::Key(key),
            },
        }
    }
}

impl fmt::Display for PlayCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => key.fmt(f),
            Self::Anonymous(address) => address.fmt(f),
        }
    }
}

/// The program's function that takes the records.
#[derive(Clone)]
pub(crate) struct Auditor(Arc<dyn Fn(PlayRecord) + Send + Sync>);

impl Auditor {
    pub(crate) fn new(record: impl Fn(PlayRecord) + Send + Sync + 'static) -> Self {
        Self(Arc::new(record))
    }
}

impl fmt::Debug for Auditor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auditor")
    }
}

/// The record of a play that has not finished. Dropping the entry hands the record over, so each play has one record,
/// whatever comes of it.
#[derive(Debug)]
pub(crate) struct AuditEntry {
    auditor: Auditor,
    session: u64,
    caller: PlayCaller,
    arrived: Instant,
    /// A play without a finish is one whose connection has ended.
    outcome: Cell<(PlayOutcome, Option<i64>)>,
    params: Arc<PlayParams>,
}

impl AuditEntry {
    pub(crate) fn new(auditor: Auditor, session: u64, caller: PlayCaller, params: Arc<PlayParams>) -> Box<Self> {
        Box::new(Self {
            auditor,
            session,
            caller,
            arrived: Instant::now(),
            outcome: Cell::new((PlayOutcome::Disconnected, None)),
            params,
        })
    }

    /// Notes the outcome of the play, and the code of the error in its reply.
    pub(crate) fn finish(&self, outcome: PlayOutcome, code: Option<i64>) {
        self.outcome.set((outcome, code));
    }
}

impl Drop for AuditEntry {
    fn drop(&mut self) {
        let (outcome, code) = self.outcome.get();
        (self.auditor.0)(PlayRecord {
            session: self.session,
            caller: self.caller,
            ended: SystemTime::now(),
            elapsed: self.arrived.elapsed(),
            outcome: outcome.value(),
            code,
            is_refused: outcome.is_refusal(),
            params: self.params.clone(),
        });
    }
}
