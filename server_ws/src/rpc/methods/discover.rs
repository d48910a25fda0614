//! `rpc.discover`: returns the contract as the caller's role sees it.

use std::sync::Arc;

use protocol::RpcError;
use serde_json::value::RawValue;

use crate::{circle::Circle, rights::CallerRights};

pub(crate) fn handle(circle: &Circle, rights: &CallerRights) -> Result<Arc<RawValue>, RpcError> {
    circle.contract(rights).ok_or_else(|| {
        tracing::error!("invalid JSON in openrpc.json");
        RpcError::Internal
    })
}
