//! `authenticate`: the proof of a key.

use protocol::{
    RpcError,
    methods::{AuthenticateParams, AuthenticateResult},
};

use super::now_unix;
use crate::session::Session;

pub(crate) fn handle(session: &mut Session, params: &AuthenticateParams) -> Result<AuthenticateResult, RpcError> {
    let circle = session.circle.clone();
    let proved = session.auth.authenticate(&params.pubkey, &params.signature, now_unix(), |key| circle.admits(key));
    circle.metrics.authentication(proved.as_ref().err());
    match &proved {
        Ok(key) => {
            session.counts.proved();
            tracing::info!(%key, "authenticated");
        }
        Err(error) => tracing::warn!(%error, "an authentication failed"),
    }
    if session.auth.is_exhausted() {
        session.close(1008, "too many failed authentications");
    }
    proved.map(|_| AuthenticateResult { authenticated: true })
}
