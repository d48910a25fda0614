//! `rpc.discover`: returns the contract as the caller's role sees it.

use std::sync::Arc;

use keys::PublicKey;
use protocol::RpcError;
use serde_json::value::RawValue;

use crate::circle::Circle;

pub(crate) fn handle(circle: &Circle, key: Option<&PublicKey>) -> Result<Arc<RawValue>, RpcError> {
    circle.contract(key).ok_or_else(|| {
        tracing::error!("invalid JSON in openrpc.json");
        RpcError::Internal
    })
}
