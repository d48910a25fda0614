//! How the end of a transaction of the store looks to the caller of its run.

use protocol::{
    RpcError,
    error::{BusyLimit, ConflictCause, Happened, ScriptErrorKind, StoreFault},
};
use serde_json::json;
use store::{CommitEffect, CommitError};

use super::outcome::script_error;
use crate::circle_store::QUEUED_COMMITS;

/// Returns the error of a run that the store has not committed after a number of attempts. `may_see` says whether the
/// caller may learn of a key that the run has used.
pub(crate) fn commit_error(error: &CommitError, attempts: u32, may_see: impl Fn(&str) -> bool) -> RpcError {
    match error {
        CommitError::Conflict { key, .. } => {
            let key = Some(key.as_str()).filter(|key| may_see(key)).map(str::to_owned);
            RpcError::Conflict { cause: ConflictCause::Changed, key, attempts }
        }
        CommitError::TooOld => too_old(attempts),
        CommitError::NotAnInteger(key) => {
            thrown("not_an_integer", "the value is not an integer", Some(key.as_str()).filter(|key| may_see(key)))
        }
        CommitError::Overflow(key) => {
            let message = "the sum is beyond an integer of 64 bits";
            thrown("overflow", message, Some(key.as_str()).filter(|key| may_see(key)))
        }
        CommitError::Full { .. } | CommitError::DiskFull { .. } | CommitError::OnceFull => {
            RpcError::StoreUnavailable { cause: StoreFault::Full, happened: Happened::No }
        }
        CommitError::Busy => RpcError::Busy { limit: BusyLimit::Commits, max: QUEUED_COMMITS, retry_after_ms: None },
        CommitError::Canceled => RpcError::Cancelled,
        CommitError::Closed => RpcError::ShuttingDown,
        _ => {
            tracing::error!(%error, "store failed");
            let happened = match error.happened() {
                CommitEffect::No => Happened::No,
                CommitEffect::Unknown => Happened::Unknown,
            };
            RpcError::StoreUnavailable { cause: StoreFault::Failed, happened }
        }
    }
}

/// Returns the error of a run whose snapshot is too old.
pub(crate) fn too_old(attempts: u32) -> RpcError {
    RpcError::Conflict { cause: ConflictCause::TooOld, key: None, attempts }
}

/// Returns the error of an addition that the commit found impossible.
fn thrown(code: &str, message: &str, key: Option<&str>) -> RpcError {
    let mut thrown = json!({ "error": worker::HOST_ERROR, "function": "store::add", "message": message, "code": code });
    if let Some(key) = key {
        thrown["data"] = json!({ "key": key });
    }
    script_error(format!("store::add: {message}"), ScriptErrorKind::Runtime, &thrown)
}
