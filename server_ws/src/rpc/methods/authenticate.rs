//! `authenticate`: authenticates the session with a key.

use std::time::Instant;

use keys::PublicKey;
use protocol::{
    RpcError,
    methods::{AuthenticateParams, AuthenticateResult},
};

use super::now_unix;
use crate::{quota::Caller, session::Session};

pub(crate) fn handle(session: &mut Session, params: &AuthenticateParams) -> Result<AuthenticateResult, RpcError> {
    let circle = session.circle.clone();
    let authenticated =
        session.auth.authenticate(&params.pubkey, &params.signature, now_unix(), |key| circle.admits(key));
    circle.metrics.count_authentication(authenticated.as_ref().err());
    match &authenticated {
        Ok(key) => {
            session.note_authentication();
            tracing::info!(%key, "authenticated");
        }
        Err(error) => {
            let limit = &circle.logged_failures;
            if let Some(suppressed) = limit.admit(Caller::anonymous(session.address()), Instant::now()) {
                let suppressed = (suppressed > 0).then_some(suppressed);
                // The log shows only valid keys, because other text is under the client's control.
                let key = params.pubkey.parse::<PublicKey>().ok().map(|key| key.to_hex());
                let key = key.as_deref().unwrap_or("invalid");
                tracing::warn!(address = %session.address(), key, suppressed, %error, "authentication failed");
            }
        }
    }
    if session.auth.is_exhausted() {
        session.close(1008, "too many failed authentications");
    }
    authenticated.map(|_| AuthenticateResult { authenticated: true })
}
