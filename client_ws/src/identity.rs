//! Verification of a circle's identity, before the client sends anything else.

use std::{error::Error, fmt, sync::Arc};

use keys::{Authority, Challenge, IdentityStatement, PublicKey, Signature};
use protocol::methods::IdentifyResult;

use crate::{
    CircleUrl, ClientError,
    transport::{BoxFuture, MaybeSend, MaybeSync},
};

/// The identity of a circle, verified by its signature for the authority that the client connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedIdentity {
    /// The circle's public key.
    pub public_key: PublicKey,
    /// Whether the circle keeps the key at this address. An ephemeral identity ends with the circle's process and says
    /// nothing about the next circle at the address.
    pub is_persistent: bool,
}

/// The error by which a custom check refuses an identity.
pub type IdentityRefusal = Box<dyn Error + Send + Sync>;

type CheckFuture = BoxFuture<'static, Result<(), IdentityRefusal>>;

#[cfg(not(target_arch = "wasm32"))]
type CustomCheck = dyn Fn(Authority, VerifiedIdentity) -> CheckFuture + Send + Sync;
#[cfg(target_arch = "wasm32")]
type CustomCheck = dyn Fn(Authority, VerifiedIdentity) -> CheckFuture;

/// The rules by which a client accepts a circle's identity.
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
    pub(crate) fn set_check<F, E>(
        &mut self,
        check: impl Fn(Authority, VerifiedIdentity) -> F + MaybeSend + MaybeSync + 'static,
    ) where
        F: Future<Output = Result<(), E>> + MaybeSend + 'static,
        E: Into<IdentityRefusal>,
    {
        self.check = Some(Arc::new(move |authority, identity| {
            let checked = check(authority, identity);
            Box::pin(async move { checked.await.map_err(Into::into) })
        }));
    }

    /// Checks whether the client accepts the circle that it connected to as `target_authority`.
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
            // With a tunnel, only one of the two authorities is loopback, and the circle is on another machine.
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

/// Verifies the signature in a circle's answer for this authority and challenge, and returns its identity. The error
/// says what is wrong.
pub(crate) fn verify_identity(
    answer: &IdentifyResult,
    target_authority: &Authority,
    challenge: Challenge,
) -> Result<VerifiedIdentity, &'static str> {
    let public_key: PublicKey = answer.pubkey.parse().map_err(|_| "the public key of its identity is malformed")?;
    let signature: Signature = answer.signature.parse().map_err(|_| "the signature of its identity is malformed")?;
    let statement = IdentityStatement::new(target_authority, challenge, answer.persistent);
    if !public_key.verify_identity(&statement, &signature) {
        return Err("the signature of its identity does not match");
    }
    Ok(VerifiedIdentity { public_key, is_persistent: answer.persistent })
}

#[cfg(test)]
mod tests;
