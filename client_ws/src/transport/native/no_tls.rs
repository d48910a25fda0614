//! TLS of a client without the feature `tls`: there is none.

use tokio::net::TcpStream;

use super::TransportOptions;
use crate::{CircleUrl, ClientError};

/// An encrypted connection, which cannot exist.
pub(super) type EncryptedStream = TcpStream;

/// The TLS settings of a client, which cannot exist.
#[derive(Debug, Clone)]
pub(super) enum TlsClient {}

impl TlsClient {
    /// Refuses the URL.
    pub(super) fn new(url: &CircleUrl, _: &TransportOptions) -> Result<Self, ClientError> {
        Err(ClientError::TlsDisabled { url: url.to_string() })
    }

    #[expect(clippy::unused_async, reason = "the interface of TLS with the feature")]
    pub(super) async fn connect(&self, _: &CircleUrl, _: TcpStream) -> Result<EncryptedStream, ClientError> {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use crate::CircleWsClient;

    #[test]
    fn wss_url_without_tls_names_the_feature() {
        let error = CircleWsClient::builder("wss://team.example.org").build().expect_err("no TLS").to_string();
        assert_eq!(
            error,
            "cannot connect to wss://team.example.org: this program is built without TLS; build it with the feature `tls` of circles-client-ws"
        );
        assert!(CircleWsClient::builder("ws://127.0.0.1:9001").build().is_ok());
    }
}
