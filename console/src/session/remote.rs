//! What a session asks of a circle: the seam between the session and the client, so that tests can stand in for a circle.

use std::sync::Arc;

use client_ws::{CircleWsClient, ClientError, CompleteResult, Description, Notice};
use frontend::{connect::fetch_description, text::StyledLine};
use futures_util::future::BoxFuture;
use keys::KeyPair;

use super::play::{Script, SessionPlay};
use crate::commands::{self, ReplCommand};

/// What comes of a request.
pub type RemoteFuture<T> = BoxFuture<'static, Result<T, ClientError>>;

/// A connection to a circle, made and lost any number of times.
///
/// Futures that are dropped before they are done leave nothing behind, except where a method says otherwise.
pub trait Remote: Send + Sync + 'static {
    /// Connects in the place of an earlier connection, and asks the circle to describe itself.
    fn connect(self: Arc<Self>) -> RemoteFuture<Description>;

    /// Authenticates. Dropped, or failed in another way than by the circle's answer, it leaves open whose the session is.
    fn authenticate(self: Arc<Self>, keypair: Arc<KeyPair>) -> RemoteFuture<()>;

    /// Starts a play.
    fn play(self: Arc<Self>, script: Script) -> SessionPlay;

    /// Asks the circle for what a command shows.
    fn query(self: Arc<Self>, command: ReplCommand) -> RemoteFuture<Vec<StyledLine>>;

    /// Asks what may stand at a character of a script.
    fn complete(self: Arc<Self>, script: String, cursor: u64) -> RemoteFuture<CompleteResult>;

    /// Waits for the next notice, or for the end of the connection, which is the error.
    fn next_notice(self: Arc<Self>) -> RemoteFuture<Notice>;

    /// Whether the connection stands, as far as is known.
    fn is_connected(&self) -> bool;

    /// Closes the connection, which ends what runs there.
    fn disconnect(&self);
}

impl Remote for CircleWsClient {
    fn connect(self: Arc<Self>) -> RemoteFuture<Description> {
        Box::pin(async move {
            CircleWsClient::connect(&self).await?;
            fetch_description(&self).await.inspect_err(|_| CircleWsClient::disconnect(&self))
        })
    }

    fn authenticate(self: Arc<Self>, keypair: Arc<KeyPair>) -> RemoteFuture<()> {
        Box::pin(async move { self.authenticate_as(keypair).await })
    }

    fn play(self: Arc<Self>, script: Script) -> SessionPlay {
        SessionPlay::start(self, script)
    }

    fn query(self: Arc<Self>, command: ReplCommand) -> RemoteFuture<Vec<StyledLine>> {
        Box::pin(async move { commands::query(&self, &command).await })
    }

    fn complete(self: Arc<Self>, script: String, cursor: u64) -> RemoteFuture<CompleteResult> {
        Box::pin(async move { CircleWsClient::complete(&self, script, cursor).await })
    }

    fn next_notice(self: Arc<Self>) -> RemoteFuture<Notice> {
        Box::pin(async move { CircleWsClient::next_notice(&self).await })
    }

    fn is_connected(&self) -> bool {
        CircleWsClient::is_connected(self)
    }

    fn disconnect(&self) {
        CircleWsClient::disconnect(self);
    }
}
