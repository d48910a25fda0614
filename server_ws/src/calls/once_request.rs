//! A call that has `once`: sent again, it gets the recorded result and nothing runs.

use std::time::Instant;

use protocol::{
    RpcError,
    error::{Happened, StoreFault},
};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use store::{Once, OnceClaim, OnceError, OnceKey, Recorded, Store};
use tokio::task::spawn_blocking;

use super::{FunctionCaller, function_call::CallArguments};
use crate::{circle::Circle, circle_store::RECORDED_KIB, rights::CallerGroup};

/// When a caller that has too many records may try again: the time until a record expires is not worth a search.
const RETRY_MS: u64 = 60_000;

/// The version of what is hashed of a request.
const REQUEST_VERSION: u8 = 1;

/// A request that has `once`.
#[derive(Debug)]
pub(super) struct OnceRequest {
    store: Store,
    key: OnceKey,
    params: [u8; 32],
}

/// What to do with a request.
#[derive(Debug)]
pub(super) enum OnceStart {
    /// Run, and commit with the claim.
    Claimed(OnceClaim),
    /// The request has committed before, with this answer.
    Recorded(Result<Box<RawValue>, RpcError>),
}

impl OnceRequest {
    /// Makes the request of a caller.
    ///
    /// # Errors
    ///
    /// The circle cannot keep it, because it has no store or the caller no key; or the text is not a valid one.
    pub(super) fn new(
        circle: &Circle,
        caller: &FunctionCaller,
        once: &str,
        function: &str,
        arguments: &CallArguments,
    ) -> Result<Self, RpcError> {
        let refuse = |reason: &str| RpcError::InvalidParams { param: "_meta.once".into(), reason: reason.to_owned() };
        let Some(store) = &circle.store else {
            return Err(refuse("the circle has no store to record the call in: send it without once"));
        };
        let Some(key) = caller.key else {
            return Err(refuse(
                "the circle records calls of authenticated callers only: authenticate, or send it without once",
            ));
        };
        let CallArguments::Worker(_, values) = arguments else {
            return Err(refuse("the store cannot undo a function of the program: send it without once"));
        };
        let has_members = matches!(caller.rights.group, CallerGroup::Members);
        if !has_members && store.is_once_half_full() {
            return Err(RpcError::StoreUnavailable { cause: StoreFault::Full, happened: Happened::No });
        }
        let key = OnceKey::new(key.to_hex().as_bytes(), once).map_err(|error| refuse(&error.to_string()))?;
        // Not the number of the function, which changes with each reload.
        let request = serde_json::to_vec(&(REQUEST_VERSION, function, values)).map_err(|_| RpcError::Internal)?;
        Ok(Self { store: store.store.clone(), key, params: Sha256::digest(request).into() })
    }

    /// Claims the request, or returns what it answered before; waits until the deadline for the same request that runs
    /// now.
    pub(super) async fn start(&self, deadline: Instant) -> Result<OnceStart, RpcError> {
        loop {
            let (store, key, params) = (self.store.clone(), self.key.clone(), self.params);
            let once = spawn_blocking(move || store.once(key, params)).await.map_err(|_| RpcError::Internal)?;
            match once.map_err(refusal)? {
                Once::Claimed(claim) => return Ok(OnceStart::Claimed(claim)),
                Once::Recorded(Recorded { result, .. }) => return Ok(OnceStart::Recorded(recorded(result))),
                Once::InFlight(running) => {
                    running.wait(deadline).await;
                }
            }
        }
    }
}

fn recorded(result: Option<Vec<u8>>) -> Result<Box<RawValue>, RpcError> {
    let Some(result) = result else {
        return Err(RpcError::ResultLost { max: RECORDED_KIB, setting: None, is_recorded: true });
    };
    let json = String::from_utf8(result).ok().and_then(|json| RawValue::from_string(json).ok());
    json.ok_or(RpcError::Internal)
}

fn refusal(error: OnceError) -> RpcError {
    match error {
        OnceError::TooMany { .. } => RpcError::RateLimited { retry_after_ms: RETRY_MS },
        OnceError::Full => RpcError::StoreUnavailable { cause: StoreFault::Full, happened: Happened::No },
        OnceError::Store(error) => {
            tracing::error!(%error, "store failed");
            RpcError::StoreUnavailable { cause: StoreFault::Failed, happened: Happened::No }
        }
        error => RpcError::InvalidParams { param: "_meta.once".into(), reason: error.to_string() },
    }
}
