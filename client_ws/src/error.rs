//! The errors of a client, one variant for each remedy.

mod tls_fault;

use std::path::PathBuf;

use keys::{NonceRejection, PublicKey, RandomError};
use protocol::RpcError;

use crate::IdentityRefusal;

pub use tls_fault::TlsFault;

/// The reason why an operation of a client failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The URL is not the URL of a circle.
    #[error("{url:?} is not the URL of a circle: {reason}")]
    BadUrl {
        /// The given URL.
        url: String,
        /// What is wrong with the URL.
        reason: String,
    },
    /// The network could not connect to the URL.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// The URL of the circle.
        url: String,
        /// The network's error.
        reason: String,
    },
    /// The URL is `wss://`, and the program is built without the feature `tls` of this crate.
    #[error(
        "cannot connect to {url}: this program is built without TLS; build it with the feature `tls` of circles-client-ws"
    )]
    TlsDisabled {
        /// The URL of the circle.
        url: String,
    },
    /// The TLS handshake with the server failed, so the client has sent it nothing.
    #[error("cannot trust the server at {url}: {fault}")]
    Tls {
        /// The URL of the circle.
        url: String,
        /// The reason.
        fault: TlsFault,
    },
    /// The file of [`ca_file`](crate::CircleWsClientBuilder::ca_file) has no usable certificates.
    #[error("cannot use the CA file {}: {reason}", path.display())]
    BadCaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with the file.
        reason: String,
    },
    /// The system has no CA certificates to verify a server with.
    #[error("cannot load the CA certificates of this system: {reason}")]
    NoCaCertificates {
        /// The reason.
        reason: String,
    },
    /// The server answered the request for a WebSocket with something else: it is no circle, or a proxy in front of the
    /// circle does not pass the upgrade on.
    #[error("{url} answered with HTTP {status} instead of a WebSocket")]
    NotUpgraded {
        /// The URL of the circle.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The address that a redirect names, as the URL of a circle if possible.
        location: Option<String>,
    },
    /// The URL is `ws://` and not of this machine, so anyone on the way could read and change everything. The client
    /// does not authenticate there unless [`insecure`](crate::CircleWsClientBuilder::insecure) allows it.
    #[error("will not authenticate at {url}: the connection is not encrypted")]
    NotEncrypted {
        /// The URL of the circle.
        url: String,
    },
    /// The server at the URL does not speak the protocol.
    #[error("the server at {url} is not a circle: {reason}")]
    NotACircle {
        /// The URL of the circle.
        url: String,
        /// What the server did instead.
        reason: String,
    },
    /// The circle refused the connection (HTTP 403, 421, 503).
    #[error("{url} refused the connection (HTTP {status}): {reason}")]
    Refused {
        /// The URL of the circle.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The circle's reason.
        reason: String,
    },
    /// The connection ended. Plays without an answer may still have run.
    #[error("connection lost: {reason}")]
    ConnectionLost {
        /// The close code (RFC 6455 §7.4), if the circle sent one.
        code: Option<u16>,
        /// The reason, as far as the client knows it.
        reason: String,
    },
    /// The client is not connected: [`connect`](crate::CircleWsClient::connect) was not called, or the connection has
    /// ended.
    #[error("not connected")]
    NotConnected,
    /// The parameters of a call of a function cannot be sent.
    #[error("cannot call {function}: {reason}")]
    BadParams {
        /// The name of the function.
        function: String,
        /// What is wrong with the parameters.
        reason: String,
    },
    /// The value of a function is not of the type that the program expects. The call has succeeded.
    #[error("the value of {function} is not of the expected type: {reason}")]
    UnexpectedValue {
        /// The name of the function.
        function: String,
        /// Where the value differs from the type.
        reason: String,
    },
    /// The circle did not answer within the client's [timeout](crate::CircleWsClientBuilder::timeout).
    #[error("no answer within {} s", .after.as_secs_f32())]
    TimedOut {
        /// The timeout.
        after: std::time::Duration,
    },
    /// The client has no key to authenticate with.
    #[error("cannot authenticate: the client has no key")]
    NoKey,
    /// The client refused to sign the circle's nonce.
    #[error("the client did not sign the circle's nonce: {0}")]
    NonceRejected(#[from] NonceRejection),
    /// The circle asked for a signature of a text that is not a nonce.
    #[error("the client did not sign the circle's nonce: {0}")]
    BadNonce(#[from] keys::NonceError),
    /// The circle has another identity than the expected one.
    #[error("another circle answers at {url}: expected the identity {expected}, but the circle has {shown}")]
    OtherIdentity {
        /// The URL of the circle.
        url: String,
        /// The identity set with [`expect_identity`](crate::CircleWsClientBuilder::expect_identity).
        expected: Box<PublicKey>,
        /// The circle's identity.
        shown: Box<PublicKey>,
    },
    /// The circle is on another machine and has an ephemeral identity, so nothing distinguishes it from an impostor.
    #[error("the circle at {url} has an ephemeral identity, so nothing distinguishes it from an impostor")]
    EphemeralIdentity {
        /// The URL of the circle.
        url: String,
    },
    /// The check set with [`check_identity`](crate::CircleWsClientBuilder::check_identity) refused the circle's
    /// identity.
    #[error("the identity check refused the circle: {0}")]
    IdentityRefused(IdentityRefusal),
    /// The operating system provided no random bytes for a challenge.
    #[error("cannot generate a challenge for the circle: {0}")]
    Random(#[from] RandomError),
    /// The circle answered with an error.
    #[error("{0}")]
    Rpc(#[from] RpcError),
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn timeout_below_a_second_is_not_shown_as_zero() {
        let text = |after| ClientError::TimedOut { after }.to_string();
        assert_eq!(text(Duration::from_millis(300)), "no answer within 0.3 s");
        assert_eq!(text(Duration::from_secs(10)), "no answer within 10 s");
    }
}
