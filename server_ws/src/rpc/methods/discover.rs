//! `rpc.discover`: returns the contract, one document for all connections.

use std::sync::LazyLock;

use protocol::RpcError;
use serde_json::value::RawValue;

/// The contract, parsed once.
static CONTRACT: LazyLock<Result<&'static RawValue, serde_json::Error>> =
    LazyLock::new(|| serde_json::from_str(protocol::OPENRPC));

pub(crate) fn handle() -> Result<&'static RawValue, RpcError> {
    CONTRACT.as_ref().copied().map_err(|error| {
        tracing::error!(%error, "invalid JSON in openrpc.json");
        RpcError::Internal
    })
}
