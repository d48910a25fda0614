//! The identity of a circle, as a client sees it: shown by a signature before anything else is sent, then checked.

use std::{error::Error, fmt, sync::Arc};

use keys::{Authority, Challenge, IdentityStatement, PublicKey, Signature};
use protocol::methods::IdentifyResult;

use crate::{
    CircleUrl, ClientError,
    transport::{BoxFuture, MaybeSend},
};

/// The identity that a circle has shown, with a valid signature for the authority that was dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedIdentity {
    /// The circle's public key.
    pub public_key: PublicKey,
    /// Whether the circle keeps the key at this address. An ephemeral identity ends with the circle's process, and tells
    /// nothing about the next circle there.
    pub is_persistent: bool,
}

/// The reason for which a check of the program's own refuses an identity.
pub type IdentityRefusal = Box<dyn Error + Send + Sync>;

type CustomCheck = dyn Fn(Authority, VerifiedIdentity) -> BoxFuture<'static, Result<(), IdentityRefusal>> + Send + Sync;

/// The identities with which a client stays connected.
#[derive(Clone, Default)]
pub(crate) struct IdentityRules {
    pub(crate) expected: Option<PublicKey>,
    pub(crate) accepts_ephemeral: bool,
    check: Option<Arc<CustomCheck>>,
}

impl fmt::Debug for IdentityRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityRules").field("expected", &self.expected).finish_non_exhaustive()
    }
}

impl IdentityRules {
    pub(crate) fn set_check<F, E>(&mut self, check: impl Fn(Authority, VerifiedIdentity) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), E>> + MaybeSend + 'static,
        E: Into<IdentityRefusal>,
    {
        self.check = Some(Arc::new(move |authority, identity| {
            let checked = check(authority, identity);
            Box::pin(async move { checked.await.map_err(Into::into) })
        }));
    }

    /// Whether the client goes on with the circle that it dialled as `dialled`.
    pub(crate) async fn verify(
        &self,
        url: &CircleUrl,
        target_authority: &Authority,
        identity: VerifiedIdentity,
    ) -> Result<(), ClientError> {
        if let Some(expected) = self.expected {
            let shown = identity.public_key;
            if shown != expected {
                let (expected, shown) = (expected.into(), shown.into());
                return Err(ClientError::OtherIdentity { url: url.to_string(), expected, shown });
            }
        } else if self.check.is_none() {
            // Through a tunnel, a circle that is dialled on loopback is elsewhere; and so is one that is said to be there.
            let is_loopback = target_authority.is_loopback() && url.authority().is_loopback();
            if !identity.is_persistent && !is_loopback && !self.accepts_ephemeral {
                return Err(ClientError::EphemeralIdentity { url: url.to_string() });
            }
        }
        match &self.check {
            Some(check) => check(target_authority.clone(), identity).await.map_err(ClientError::IdentityRefused),
            None => Ok(()),
        }
    }
}

/// The identity in a circle's answer, if its signature is valid for this authority and challenge. The error says what is wrong.
pub(crate) fn verify_identity(
    answer: &IdentifyResult,
    target_authority: &Authority,
    challenge: Challenge,
) -> Result<VerifiedIdentity, &'static str> {
    let public_key: PublicKey =
        answer.pubkey.parse().map_err(|_| "the key that it identifies itself with is no key")?;
    let signature: Signature = answer.signature.parse().map_err(|_| "the signature of its identity is no signature")?;
    let statement = IdentityStatement::new(target_authority, challenge, answer.persistent);
    if !public_key.verify_identity(&statement, &signature) {
        return Err("the signature of its identity is not valid");
    }
    Ok(VerifiedIdentity { public_key, is_persistent: answer.persistent })
}

#[cfg(test)]
mod tests;
