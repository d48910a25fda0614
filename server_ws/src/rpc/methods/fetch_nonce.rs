//! `fetch_nonce`: makes a nonce for the client to sign.

use keys::PublicKey;
use protocol::{
    RpcError,
    methods::{FetchNonceParams, FetchNonceResult},
};

use super::now_unix;
use crate::session::Session;

pub(crate) fn handle(session: &mut Session, params: &FetchNonceParams) -> Result<FetchNonceResult, RpcError> {
    let key: PublicKey = params.pubkey.parse().map_err(|error: keys::KeyParseError| RpcError::InvalidParams {
        param: "pubkey".into(),
        reason: error.to_string(),
    })?;
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| {
        tracing::error!(%error, "cannot get random bytes from the operating system");
        RpcError::Internal
    })?;
    let nonce = session.auth.make_nonce(key, now_unix(), random);
    Ok(FetchNonceResult { nonce: nonce.as_str().to_owned() })
}
