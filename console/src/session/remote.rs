//! What a session asks of a circle: the seam between the session and the client, so that tests can stand in for a circle.

use std::sync::Arc;

use client_ws::{CircleWsClient, ClientError, CompleteResult, Description, Notice};
use frontend::{connect::first_answer, text::Line};
use futures_util::future::BoxFuture;
use keys::KeyPair;

use super::play::{Play, Script};
use crate::commands::{self, Meta};

/// What comes of a request.
pub type Answer<T> = BoxFuture<'static, Result<T, ClientError>>;

/// A connection to a circle, made and lost any number of times.
///
/// Futures that are dropped before they are done leave nothing behind, except where a method says otherwise.
pub trait Remote: Send + Sync + 'static {
    /// Connects in the place of an earlier connection, and asks the circle to describe itself.
    fn connect(self: Arc<Self>) -> Answer<Description>;

    /// Authenticates. Dropped, or failed in another way than by the circle's answer, it leaves open whose the session is.
    fn authenticate(self: Arc<Self>, keypair: Arc<KeyPair>) -> Answer<()>;

    /// Starts a play.
    fn play(self: Arc<Self>, script: Script) -> Play;

    /// Asks the circle for what a command shows.
    fn ask(self: Arc<Self>, command: Meta) -> Answer<Vec<Line>>;

    /// Asks what may stand at a character of a script.
    fn complete(self: Arc<Self>, script: String, cursor: u64) -> Answer<CompleteResult>;

    /// Waits for the next notice, or for the end of the connection, which is the error.
    fn next_notice(self: Arc<Self>) -> Answer<Notice>;

    /// Whether the connection stands, as far as is known.
    fn is_connected(&self) -> bool;

    /// Closes the connection, which ends what runs there.
    fn disconnect(&self);
}

impl Remote for CircleWsClient {
    fn connect(self: Arc<Self>) -> Answer<Description> {
        Box::pin(async move {
            CircleWsClient::connect(&self).await?;
            first_answer(&self).await.inspect_err(|_| CircleWsClient::disconnect(&self))
        })
    }

    fn authenticate(self: Arc<Self>, keypair: Arc<KeyPair>) -> Answer<()> {
        Box::pin(async move { self.authenticate_as(keypair).await })
    }

    fn play(self: Arc<Self>, script: Script) -> Play {
        Play::start(self, script)
    }

    fn ask(self: Arc<Self>, command: Meta) -> Answer<Vec<Line>> {
        Box::pin(async move { commands::ask(&self, &command).await })
    }

    fn complete(self: Arc<Self>, script: String, cursor: u64) -> Answer<CompleteResult> {
        Box::pin(async move { CircleWsClient::complete(&self, script, cursor).await })
    }

    fn next_notice(self: Arc<Self>) -> Answer<Notice> {
        Box::pin(async move { CircleWsClient::next_notice(&self).await })
    }

    fn is_connected(&self) -> bool {
        CircleWsClient::is_connected(self)
    }

    fn disconnect(&self) {
        CircleWsClient::disconnect(self);
    }
}
