//! `identify`: shows the circle's identity.

use keys::{Challenge, ChallengeParseError};
use protocol::{
    RpcError,
    methods::{IdentifyParams, IdentifyResult},
};

use crate::session::Session;

pub(crate) fn handle(session: &Session, params: &IdentifyParams) -> Result<IdentifyResult, RpcError> {
    let challenge: Challenge = params.challenge.parse().map_err(|error: ChallengeParseError| {
        RpcError::InvalidParams { param: "challenge".into(), reason: error.to_string() }
    })?;
    Ok(session.circle.identity.identify(session.auth.authority(), challenge))
}
