//! The builder of a client.

use std::{sync::Arc, time::Duration};

use keys::{Authority, KeyPair, PublicKey};

use crate::{
    CircleUrl, CircleWsClient, ClientError, IdentityRefusal, ReconnectPolicy, VerifiedIdentity,
    identity::IdentityRules,
    transport::{MaybeSend, MaybeSync, platform},
};

/// Default of [`CircleWsClientBuilder::timeout`].
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// A builder that configures a [`CircleWsClient`] before it connects.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use client_ws::CircleWsClient;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = CircleWsClient::builder("ws://127.0.0.1:9001")
///     .keypair(keys::KeyPair::generate()?)
///     .timeout(Duration::from_secs(5))
///     .build()?;
/// assert!(!client.is_connected());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct CircleWsClientBuilder {
    url: String,
    pub(crate) keypair: Option<Arc<KeyPair>>,
    pub(crate) authority: Option<Authority>,
    pub(crate) timeout: Duration,
    pub(crate) identity_rules: IdentityRules,
    pub(crate) is_insecure: bool,
    pub(crate) policy: Option<ReconnectPolicy>,
    pub(crate) transport: platform::TransportOptions,
}

impl CircleWsClientBuilder {
    pub(crate) fn new(url: String) -> Self {
        Self {
            url,
            keypair: None,
            authority: None,
            timeout: DEFAULT_TIMEOUT,
            identity_rules: IdentityRules::default(),
            is_insecure: false,
            policy: None,
            transport: platform::TransportOptions::default(),
        }
    }

    /// Sets the key with which [`authenticate`](CircleWsClient::authenticate) authenticates.
    #[must_use]
    pub fn keypair(mut self, keypair: impl Into<Arc<KeyPair>>) -> Self {
        self.keypair = Some(keypair.into());
        self
    }

    /// Sets the circle's own authority, for connections through a tunnel. The client sends it as `Host` and expects it
    /// in the nonce.
    #[must_use]
    pub fn authority(mut self, authority: Authority) -> Self {
        self.authority = Some(authority);
        self
    }

    /// Sets the expected identity of the circle. If the circle shows another one, [`connect`](CircleWsClient::connect)
    /// returns [`ClientError::OtherIdentity`].
    #[must_use]
    pub fn expect_identity(mut self, public_key: PublicKey) -> Self {
        self.identity_rules.expected = Some(public_key);
        self
    }

    /// Accepts circles on other machines whose identity is ephemeral, that is, ends with the circle's process. By
    /// default, [`connect`](CircleWsClient::connect) returns [`ClientError::EphemeralIdentity`] for them.
    #[must_use]
    pub fn accept_ephemeral_identity(mut self) -> Self {
        self.identity_rules.accepts_ephemeral = true;
        self
    }

    /// Sets a custom check of the circle's identity.
    ///
    /// The client calls the check with the authority that it connected to and the identity that the circle has shown,
    /// before it sends anything else. If the check returns an error, [`connect`](CircleWsClient::connect) returns
    /// [`ClientError::IdentityRefused`]. The check also decides about ephemeral identities.
    #[must_use]
    pub fn check_identity<F, E>(
        mut self,
        check: impl Fn(Authority, VerifiedIdentity) -> F + MaybeSend + MaybeSync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), E>> + MaybeSend + 'static,
        E: Into<IdentityRefusal>,
    {
        self.identity_rules.set_check(check);
        self
    }

    /// Sets a PEM file with the only CAs that the client trusts for `wss://`, in place of the system's. Not in browsers,
    /// which do not let a page choose. Needs the feature `tls`, which is on by default.
    #[cfg(all(not(target_arch = "wasm32"), feature = "tls"))]
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<std::path::PathBuf>) -> Self {
        self.transport.ca_file = Some(path.into());
        self
    }

    /// Authenticates over `ws://` to other machines, too. Anyone on the way can then read and change everything that
    /// the client and the circle send.
    ///
    /// By default, [`authenticate`](CircleWsClient::authenticate) returns [`ClientError::NotEncrypted`] there.
    #[must_use]
    pub fn insecure(mut self) -> Self {
        self.is_insecure = true;
        self
    }

    /// Reconnects automatically after the connection was lost, and authenticates with the same key if the client had
    /// authenticated. [`connect`](CircleWsClient::connect) still makes the first connection.
    ///
    /// The new session has no variables, and the client sends nothing again: each request without an answer fails with
    /// [`ClientError::ConnectionLost`]. [`next_notice`](CircleWsClient::next_notice) says what was lost. Calls that
    /// begin while the client reconnects wait, at most for the [timeout](Self::timeout).
    #[must_use]
    pub fn reconnect(mut self, policy: ReconnectPolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Sets the timeout for connecting and for the answers to all requests except plays and calls. Default: 10 seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Builds the client, which is not connected yet.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError::BadUrl`] if the URL is not the URL of a circle; for a `wss://` URL also
    /// [`ClientError::BadCaFile`] or [`ClientError::NoCaCertificates`] if there are no CAs to trust, or
    /// [`ClientError::TlsDisabled`] without the feature `tls`.
    pub fn build(self) -> Result<CircleWsClient, ClientError> {
        let url = CircleUrl::parse(&self.url)?;
        let transport = platform::Transport::new(&url, &self.transport)?;
        Ok(CircleWsClient::new(url, transport, self))
    }
}
