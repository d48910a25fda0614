//! One play: how it is described, what comes while it runs, its result.

use std::{collections::VecDeque, convert::Infallible, future::IntoFuture, time::Duration};

use futures_channel::{mpsc, oneshot};
use futures_util::{StreamExt, future};
use protocol::{
    Id,
    methods::{self, Output, PlayParams, PlayResult, Progress},
};

use crate::{
    CircleUrl, CircleWsClient, ClientError,
    client::{await_response, parse_result},
    pending_requests::RawResponse,
    transport::BoxFuture,
};

/// Events that wait to be taken, before the circle is made to wait.
const MAX_QUEUED_EVENTS: usize = 64;

/// What comes while a play runs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum PlayEvent {
    /// It printed something.
    Output(Output),
    /// How far it is.
    Progress(Progress),
}

/// A play that is not sent yet. Awaited, it is sent and gives its result; what it prints is dropped.
#[derive(Debug)]
#[must_use = "a play is sent when it is awaited or started"]
pub struct PlayRequest<'a> {
    client: &'a CircleWsClient,
    params: PlayParams,
}

impl<'a> PlayRequest<'a> {
    pub(crate) fn new(client: &'a CircleWsClient, script: String) -> Self {
        Self { client, params: PlayParams { script, timeout_ms: None, bind: None } }
    }

    /// Shortens the circle's time limit; whole milliseconds, rounded up.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.params.timeout_ms = Some(u64::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX));
        self
    }

    /// A variable that the value is also bound to, when it is other than `()`.
    pub fn bind(mut self, name: impl Into<String>) -> Self {
        self.params.bind = Some(name.into());
        self
    }

    /// Sends it, to be listened to.
    ///
    /// While its events are not taken, this client takes nothing else from the circle, and the play waits: take them, or
    /// drop the [`RunningPlay`], which ends the listening and not the play.
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

/// A play that was sent.
#[derive(Debug)]
pub struct PlayHandle<'a> {
    client: &'a CircleWsClient,
    id: Id,
    /// Events that came while its cancellation was answered.
    buffered: VecDeque<PlayEvent>,
    events: mpsc::Receiver<PlayEvent>,
    response: oneshot::Receiver<RawResponse>,
}

impl PlayHandle<'_> {
    /// Its id, for [`CircleWsClient::cancel`].
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// The next event; `None` once it has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<PlayEvent> {
        match self.buffered.pop_front() {
            Some(event) => Some(event),
            None => self.events.next().await,
        }
    }

    /// Ends it; false if it had ended. Its events so far and its result can still be taken.
    pub async fn cancel(&mut self) -> Result<bool, ClientError> {
        let cancel = std::pin::pin!(self.client.cancel(&self.id));
        // The answer comes behind the events that are on their way, so those are taken meanwhile. A play that is being
        // cancelled sends no more, which bounds them.
        let mut events = self.events.by_ref().fuse();
        let early = &mut self.buffered;
        let take_event = async {
            while let Some(event) = events.next().await {
                early.push_back(event);
            }
            future::pending::<Infallible>().await
        };
        let take_event = std::pin::pin!(take_event);
        match future::select(cancel, take_event).await {
            future::Either::Left((cancelled, _)) => cancelled,
            future::Either::Right((never, _)) => match never {},
        }
    }

    /// Its result, once it has ended. Events that were not taken are dropped.
    pub async fn result(mut self) -> Result<PlayResult, ClientError> {
        let url: CircleUrl = self.client.url().clone();
        self.events.close();
        while self.events.next().await.is_some() {}
        parse_result::<methods::Play>(await_response(self.response).await, &url)
    }
}
