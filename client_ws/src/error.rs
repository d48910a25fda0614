//! What can go wrong for a client, a variant per thing that a caller can do about it.

use keys::{NonceRejection, PublicKey, RandomError};
use protocol::RpcError;

use crate::IdentityRefusal;

/// Why a client could not do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The URL is not one of a circle.
    #[error("{url:?} is no URL of a circle: {reason}")]
    BadUrl {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers there.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// Where it was tried.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// What answers there does not speak the protocol.
    #[error("what answers at {url} is no circle: {reason}")]
    NotACircle {
        /// Where it was tried.
        url: String,
        /// What it did instead.
        reason: String,
    },
    /// The circle does not take the connection (HTTP 403, 421, 503), and says why.
    #[error("{url} refuses the connection (HTTP {status}): {reason}")]
    Refused {
        /// Where it was tried.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The circle's own words.
        reason: String,
    },
    /// The connection ended; what was not answered may or may not have happened.
    #[error("the connection is lost: {reason}")]
    ConnectionLost {
        /// The close code (RFC 6455 §7.4), where there was one.
        code: Option<u16>,
        /// Why, as far as it is known.
        reason: String,
    },
    /// [`connect`](crate::CircleWsClient::connect) was not called, or the connection is over.
    #[error("not connected")]
    NotConnected,
    /// The circle took longer than the client waits for what is not a play.
    #[error("no answer within {} s", .after.as_secs())]
    TimedOut {
        /// How long it waited.
        after: std::time::Duration,
    },
    /// To authenticate, a keypair is needed.
    #[error("there is no key to authenticate with")]
    NoKey,
    /// The circle asked for a signature that must not be given.
    #[error("the circle's nonce is not signed: {0}")]
    NonceRejected(#[from] NonceRejection),
    /// The circle asked for a signature of something that is no nonce.
    #[error("the circle's nonce is not signed: {0}")]
    BadNonce(#[from] keys::NonceError),
    /// The circle is not the one that was expected.
    #[error("another circle answers at {url}: the identity {expected} is expected, and it shows {shown}")]
    OtherIdentity {
        /// Where it was tried.
        url: String,
        /// The identity that [`expect_identity`](crate::CircleWsClientBuilder::expect_identity) named.
        expected: Box<PublicKey>,
        /// The identity that the circle shows.
        shown: Box<PublicKey>,
    },
    /// The circle has an identity that ends with its process, and is not on this machine: nothing tells it from an impostor.
    #[error("the identity of the circle at {url} is ephemeral, so nothing tells that circle from an impostor")]
    EphemeralIdentity {
        /// Where it was tried.
        url: String,
    },
    /// The check that [`check_identity`](crate::CircleWsClientBuilder::check_identity) set refuses the circle's identity.
    #[error("the identity of the circle is refused: {0}")]
    IdentityRefused(IdentityRefusal),
    /// The operating system has no random bytes for a challenge.
    #[error("cannot ask the circle for its identity: {0}")]
    Random(#[from] RandomError),
    /// The circle answered with an error.
    #[error("{0}")]
    Rpc(#[from] RpcError),
}
