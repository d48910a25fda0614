//! `authenticate`: a session authenticates with a key.

use protocol::{
    RpcError,
    methods::{AuthenticateParams, AuthenticateResult},
};

use super::now_unix;
use crate::session::Session;

pub(crate) fn handle(session: &mut Session, params: &AuthenticateParams) -> Result<AuthenticateResult, RpcError> {
    let circle = session.circle.clone();
    let authenticated =
        session.auth.authenticate(&params.pubkey, &params.signature, now_unix(), |key| circle.admits(key));
    circle.metrics.count_authentication(authenticated.as_ref().err());
    match &authenticated {
        Ok(key) => {
            session.counts.authenticate();
            tracing::info!(%key, "authenticated");
        }
        Err(error) => tracing::warn!(%error, "an authentication failed"),
    }
    if session.auth.is_exhausted() {
        session.close(1008, "too many failed authentications");
    }
    authenticated.map(|_| AuthenticateResult { authenticated: true })
}
