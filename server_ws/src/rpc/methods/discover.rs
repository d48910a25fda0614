//! `rpc.discover`: returns the contract, with the circle's host functions for callers that may play.

use std::sync::LazyLock;

use protocol::RpcError;
use serde_json::value::RawValue;

use crate::circle::Circle;

/// The contract, parsed once.
static CONTRACT: LazyLock<Result<&'static RawValue, serde_json::Error>> =
    LazyLock::new(|| serde_json::from_str(protocol::OPENRPC));

pub(crate) fn handle(circle: &Circle, is_admitted: bool) -> Result<&RawValue, RpcError> {
    if let Some(contract) = circle.host.contract.as_deref().filter(|_| is_admitted) {
        return Ok(contract);
    }
    CONTRACT.as_ref().copied().map_err(|error| {
        tracing::error!(%error, "invalid JSON in openrpc.json");
        RpcError::Internal
    })
}
