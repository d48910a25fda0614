//! Plays: the request, the events of a running play and its result.

use std::{collections::VecDeque, convert::Infallible, future::IntoFuture, time::Duration};

use futures_channel::{mpsc, oneshot};
use futures_util::{StreamExt, future};
use protocol::{
    Id,
    methods::{self, MAX_SCRIPT_NAME_BYTES, Output, PlayParams, PlayResult, Progress},
};

use crate::{
    CircleUrl, CircleWsClient, ClientError,
    client::{await_response, parse_result},
    pending_requests::RawResponse,
    transport::BoxFuture,
};

/// Maximum number of events that wait for the program, before the client stops reading from the circle.
const MAX_QUEUED_EVENTS: usize = 64;

/// An event of a running play.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum PlayEvent {
    /// The play printed a text.
    Output(Output),
    /// The play reported its progress.
    Progress(Progress),
}

/// A play that is not sent yet. Awaiting the request sends the play and returns its result; its output is dropped.
#[derive(Debug)]
#[must_use = "a play is sent when it is awaited or started"]
pub struct PlayRequest<'a> {
    client: &'a CircleWsClient,
    params: PlayParams,
}

impl<'a> PlayRequest<'a> {
    pub(crate) fn new(client: &'a CircleWsClient, script: String) -> Self {
        Self { client, params: PlayParams { script, timeout_ms: None, bind: None, name: None } }
    }

    /// Sets a time limit below the circle's own, rounded up to whole milliseconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.params.timeout_ms = Some(u64::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX));
        self
    }

    /// Sets a variable to which the circle binds the value, unless the value is `()`.
    pub fn bind(mut self, name: impl Into<String>) -> Self {
        self.params.bind = Some(name.into());
        self
    }

    /// Sets a name of the script for tracebacks, such as its file name. The client keeps the last 256 bytes.
    pub fn name(mut self, name: &str) -> Self {
        self.params.name =
            Some(name[name.ceil_char_boundary(name.len().saturating_sub(MAX_SCRIPT_NAME_BYTES))..].to_owned());
        self
    }

    /// Sends the play, and returns a handle to receive its events.
    ///
    /// While the program does not take the events, the client reads nothing else from the circle, and the play waits.
    /// Take the events, or drop the [`PlayHandle`]: the play goes on, without events.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError::NotConnected`] if the client is not connected.
    pub async fn start(self) -> Result<PlayHandle<'a>, ClientError> {
        let (to_play, events) = mpsc::channel(MAX_QUEUED_EVENTS);
        let (id, answer) = self.client.request::<methods::Play>(&self.params, Some(to_play)).await?;
        Ok(PlayHandle { client: self.client, id, buffered: VecDeque::new(), events, response: answer })
    }

    async fn finish(self) -> Result<PlayResult, ClientError> {
        let (_, answer) = self.client.request::<methods::Play>(&self.params, None).await?;
        parse_result::<methods::Play>(await_response(answer).await, &self.client.url().clone())
    }
}

impl<'a> IntoFuture for PlayRequest<'a> {
    type Output = Result<PlayResult, ClientError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.finish())
    }
}

/// A handle to a play that was sent.
#[derive(Debug)]
pub struct PlayHandle<'a> {
    client: &'a CircleWsClient,
    id: Id,
    /// Events that arrived while the client waited for the answer to a cancellation.
    buffered: VecDeque<PlayEvent>,
    events: mpsc::Receiver<PlayEvent>,
    response: oneshot::Receiver<RawResponse>,
}

impl PlayHandle<'_> {
    /// The play's id, for [`CircleWsClient::cancel`].
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// Waits for the next event; returns `None` once the play has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<PlayEvent> {
        match self.buffered.pop_front() {
            Some(event) => Some(event),
            None => self.events.next().await,
        }
    }

    /// Cancels the play. Returns false if the play had already ended. The events so far and the result are still
    /// available.
    ///
    /// # Errors
    ///
    /// Returns a [`ClientError`] if the connection or the request fails.
    pub async fn cancel(&mut self) -> Result<bool, ClientError> {
        let cancel = std::pin::pin!(self.client.cancel(&self.id));
        // The answer arrives after the events that are already on their way, so they are buffered meanwhile. The circle
        // sends no further events of a cancelled play, which bounds the buffer.
        let mut events = self.events.by_ref().fuse();
        let buffered = &mut self.buffered;
        let take_event = async {
            while let Some(event) = events.next().await {
                buffered.push_back(event);
            }
            future::pending::<Infallible>().await
        };
        let take_event = std::pin::pin!(take_event);
        match future::select(cancel, take_event).await {
            future::Either::Left((cancelled, _)) => cancelled,
            future::Either::Right((never, _)) => match never {},
        }
    }

    /// Waits for the end of the play and returns its result. Remaining events are dropped.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError::Rpc`] if the play failed, and other errors if the connection is lost.
    pub async fn result(mut self) -> Result<PlayResult, ClientError> {
        let url: CircleUrl = self.client.url().clone();
        self.events.close();
        while self.events.next().await.is_some() {}
        parse_result::<methods::Play>(await_response(self.response).await, &url)
    }
}
