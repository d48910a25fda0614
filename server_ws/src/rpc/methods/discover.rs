//! `rpc.discover`: the contract itself.

use protocol::RpcError;
use serde_json::value::RawValue;

pub(crate) fn handle() -> Result<&'static RawValue, RpcError> {
    serde_json::from_str(protocol::OPENRPC).map_err(|error| {
        tracing::error!(%error, "openrpc.json is not JSON");
        RpcError::Internal
    })
}
