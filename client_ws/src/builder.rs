//! How a client is described.

use std::{sync::Arc, time::Duration};

use keys::{Authority, KeyPair};

use crate::{CircleUrl, CircleWsClient, ClientError};

/// How long connecting may take, and the answer to anything that is not a play.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Describes a client before it connects.
#[derive(Debug)]
pub struct CircleWsClientBuilder {
    url: String,
    keypair: Option<Arc<KeyPair>>,
    authority: Option<Authority>,
    timeout: Duration,
}

impl CircleWsClientBuilder {
    pub(crate) fn new(url: String) -> Self {
        Self { url, keypair: None, authority: None, timeout: DEFAULT_TIMEOUT }
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

    /// How long connecting may take, and the answer to anything that is not a play; 10 seconds unless said otherwise.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Makes the client; it is not connected yet. The error is a URL that cannot be one of a circle.
    pub fn build(self) -> Result<CircleWsClient, ClientError> {
        let url = CircleUrl::parse(&self.url)?;
        Ok(CircleWsClient::new(url, self.authority, self.keypair, self.timeout))
    }
}
