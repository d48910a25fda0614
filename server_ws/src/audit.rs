//! The audit: one record for each play, for the program that serves the circle.

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

/// The record of a finished play or call of a function.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PlayRecord {
    /// The number of the session, as in the log.
    pub session: u64,
    /// The caller of the play.
    pub caller: PlayCaller,
    /// The time when the play finished.
    pub ended: SystemTime,
    /// The time from the arrival of the play to its finish, including time spent waiting.
    pub elapsed: Duration,
    /// The outcome, as in the metrics: `ok`, `script_error`, `cancelled`, `shutting_down`, `internal`, `invalid`,
    /// `rate_limited`; `limit_…`, `lost_…` or `busy_…` with the limit, reason or quota; or `disconnected` if the
    /// connection ended before the play.
    pub outcome: &'static str,
    /// The code of the error, if the play failed.
    pub code: Option<i64>,
    /// Whether the circle refused the play without running it, because a quota was used up or the caller may not play.
    /// A refusal costs a caller nothing, so a program can count refusals instead of storing each record.
    pub is_refused: bool,
    /// The role of the caller; `None` if the circle has no roles.
    pub role: Option<Arc<str>>,
    run: AuditedRun,
}

impl PlayRecord {
    /// Returns the script of a play; empty for a call of a function.
    pub fn script(&self) -> &str {
        match &self.run {
            AuditedRun::Play(params) => &params.script,
            AuditedRun::Call { .. } => "",
        }
    }

    /// Returns the name of the function of a call, and the arguments as the JSON of the request; `None` for a play. The
    /// name of a function that does not exist is text of the caller.
    pub fn call(&self) -> Option<(&str, &str)> {
        match &self.run {
            AuditedRun::Play(_) => None,
            AuditedRun::Call { function, arguments, .. } => Some((function, arguments)),
        }
    }

    /// Whether a play made the call. A play that makes calls has a record of its own, too.
    pub fn is_from_play(&self) -> bool {
        matches!(self.run, AuditedRun::Call { is_from_play: true, .. })
    }
}

/// What a record is about.
#[derive(Debug, Clone)]
pub(crate) enum AuditedRun {
    Play(Arc<PlayParams>),
    /// A call of a function of the circle.
    Call {
        function: Box<str>,
        /// The JSON of the request.
        arguments: Arc<str>,
        /// Whether a play made the call.
        is_from_play: bool,
    },
}

/// The caller of a play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PlayCaller {
    /// An authenticated caller.
    Key(PublicKey),
    /// An anonymous caller at this address.
    Anonymous(IpAddr),
}

impl PlayCaller {
    /// Returns the caller to which quotas are counted: an IPv6 address counts as its network of 64 bits, because a
    /// client has all addresses of such a network.
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

/// The program's function that receives the records.
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

/// The record of a play that has not finished. Dropping the entry delivers the record, so each play has exactly one
/// record, whatever its outcome.
#[derive(Debug)]
pub(crate) struct AuditEntry {
    auditor: Auditor,
    session: u64,
    caller: PlayCaller,
    arrived: Instant,
    /// A play that never finishes is one whose connection has ended.
    outcome: Cell<(PlayOutcome, Option<i64>)>,
    role: Option<Arc<str>>,
    run: AuditedRun,
}

impl AuditEntry {
    pub(crate) fn new(
        auditor: Auditor,
        session: u64,
        caller: PlayCaller,
        role: Option<Arc<str>>,
        run: AuditedRun,
    ) -> Box<Self> {
        Box::new(Self {
            auditor,
            session,
            caller,
            arrived: Instant::now(),
            outcome: Cell::new((PlayOutcome::Disconnected, None)),
            role,
            run,
        })
    }

    /// Returns the caller.
    pub(crate) fn caller(&self) -> PlayCaller {
        self.caller
    }

    /// Sets the outcome of the play, and the code of the error in its reply.
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
            role: self.role.clone(),
            run: self.run.clone(),
        });
    }
}
