//! The interface between a session and the client, which tests replace with a fake circle.

use std::sync::Arc;

use client_ws::{CircleWsClient, ClientError, CompleteResult, Description, FunctionInfo, Notice};
use frontend::{connect::fetch_description, text::StyledLine};
use futures_util::{TryStreamExt, future::BoxFuture, stream};
use keys::KeyPair;

use super::{
    call::FunctionCall,
    play::{RunningRequest, Script},
    watch::WatchEvents,
};
use crate::{
    commands::{self, ReplCommand},
    watch::WatchSubject,
};

/// The future result of a request.
pub type RemoteFuture<T> = BoxFuture<'static, Result<T, ClientError>>;

/// A connection to a circle that can be lost and made again.
///
/// Dropping a future cancels its request, unless the method says otherwise.
pub trait Remote: Send + Sync + 'static {
    /// Connects, replacing an earlier connection, and fetches the circle's description.
    fn connect(self: Arc<Self>) -> RemoteFuture<Description>;

    /// Authenticates. If the future is dropped or fails without an answer, the session's identity is unknown.
    fn authenticate(self: Arc<Self>, keypair: Arc<KeyPair>) -> RemoteFuture<()>;

    /// Checks whether the connection is fit for authentication, before the user types a passphrase.
    fn check_encryption(&self) -> Result<(), ClientError> {
        Ok(())
    }

    /// Starts a play.
    fn play(self: Arc<Self>, script: Script) -> RunningRequest;

    /// Starts a call of a function. It ends with the value as that of a play.
    fn call(self: Arc<Self>, call: FunctionCall) -> RunningRequest;

    /// Asks the circle to describe itself and the caller.
    fn describe(self: Arc<Self>) -> RemoteFuture<Description>;

    /// Asks for the functions that the caller may call.
    fn functions(self: Arc<Self>) -> RemoteFuture<Vec<FunctionInfo>>;

    /// Asks the circle for the answer to a command.
    fn query(self: Arc<Self>, command: ReplCommand) -> RemoteFuture<Vec<StyledLine>>;

    /// Asks for the completions at a character of a script.
    fn complete(self: Arc<Self>, script: String, cursor: u64) -> RemoteFuture<CompleteResult>;

    /// Subscribes to keys or a topic. Dropping the stream ends the subscription.
    fn watch(self: Arc<Self>, subject: WatchSubject) -> WatchEvents;

    /// Waits for the next notice. The end of the connection is an error.
    fn next_notice(self: Arc<Self>) -> RemoteFuture<Notice>;

    /// Whether the connection is open, as far as the client knows.
    fn is_connected(&self) -> bool;

    /// Closes the connection, which ends its plays.
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

    fn check_encryption(&self) -> Result<(), ClientError> {
        CircleWsClient::check_encryption(self)
    }

    fn play(self: Arc<Self>, script: Script) -> RunningRequest {
        RunningRequest::play(self, script)
    }

    fn call(self: Arc<Self>, call: FunctionCall) -> RunningRequest {
        RunningRequest::call(self, call)
    }

    fn describe(self: Arc<Self>) -> RemoteFuture<Description> {
        Box::pin(async move { CircleWsClient::describe(&self).await })
    }

    fn functions(self: Arc<Self>) -> RemoteFuture<Vec<FunctionInfo>> {
        Box::pin(async move { CircleWsClient::functions(&self).await })
    }

    fn query(self: Arc<Self>, command: ReplCommand) -> RemoteFuture<Vec<StyledLine>> {
        Box::pin(async move { commands::query(&self, &command).await })
    }

    fn complete(self: Arc<Self>, script: String, cursor: u64) -> RemoteFuture<CompleteResult> {
        Box::pin(async move { CircleWsClient::complete(&self, script, cursor).await })
    }

    fn watch(self: Arc<Self>, subject: WatchSubject) -> WatchEvents {
        let opened = async move { self.subscribe(subject.request()).await };
        Box::pin(stream::once(opened).try_flatten())
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
