//! How a client is described.

use std::{sync::Arc, time::Duration};

use keys::{Authority, KeyPair, PublicKey};

use crate::{
    CircleUrl, CircleWsClient, ClientError, IdentityRefusal, VerifiedIdentity, identity::IdentityRules,
    transport::MaybeSend,
};

/// How long connecting may take, and the answer to anything that is not a play.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Describes a client before it connects.
#[derive(Debug)]
pub struct CircleWsClientBuilder {
    url: String,
    pub(crate) keypair: Option<Arc<KeyPair>>,
    pub(crate) authority: Option<Authority>,
    pub(crate) timeout: Duration,
    pub(crate) identity_rules: IdentityRules,
}

impl CircleWsClientBuilder {
    pub(crate) fn new(url: String) -> Self {
        Self { url, keypair: None, authority: None, timeout: DEFAULT_TIMEOUT, identity_rules: IdentityRules::default() }
    }

    /// The key that [`authenticate`](CircleWsClient::authenticate) proves.
    #[must_use]
    pub fn keypair(mut self, keypair: impl Into<Arc<KeyPair>>) -> Self {
        self.keypair = Some(keypair.into());
        self
    }

    /// How the circle knows itself, when it is dialled through a tunnel: sent as `Host`, expected in the nonce.
    #[must_use]
    pub fn authority(mut self, authority: Authority) -> Self {
        self.authority = Some(authority);
        self
    }

    /// The identity that the circle has to show, a public key: [`connect`](CircleWsClient::connect) is
    /// [`ClientError::OtherIdentity`] where it shows another one.
    #[must_use]
    pub fn expect_identity(mut self, public_key: PublicKey) -> Self {
        self.identity_rules.expected = Some(public_key);
        self
    }

    /// Connects to circles whose identity ends with their process also where they are not on this machine. Unless this is
    /// called, that is [`ClientError::EphemeralIdentity`].
    #[must_use]
    pub fn accept_ephemeral_identity(mut self) -> Self {
        self.identity_rules.accepts_ephemeral = true;
        self
    }

    /// A check of the program's own, called with the authority that was dialled and the identity that the circle has shown,
    /// before anything else is sent. Its error refuses the circle ([`ClientError::IdentityRefused`]). It decides about
    /// ephemeral identities, too.
    #[must_use]
    pub fn check_identity<F, E>(
        mut self,
        check: impl Fn(Authority, VerifiedIdentity) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), E>> + MaybeSend + 'static,
        E: Into<IdentityRefusal>,
    {
        self.identity_rules.set_check(check);
        self
    }

    /// How long connecting may take, and the answer to anything that is not a play; 10 seconds unless said otherwise.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Makes the client; it is not connected yet. The error is a URL that cannot be one of a circle.
    pub fn build(self) -> Result<CircleWsClient, ClientError> {
        let url = CircleUrl::parse(&self.url)?;
        Ok(CircleWsClient::new(url, self))
    }
}
