//! A running play.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_channel::oneshot;
use futures_util::{Stream, future};
use protocol::{
    Id,
    methods::{self, CancelParams, PlayResult},
};

use crate::{
    ClientError, PlayEvent,
    event_queue::EventReceiver,
    pending_requests::RawResponse,
    request_channel::{RequestChannel, SentRequest},
};

/// A play that was sent: a stream of its events, and its result.
///
/// Dropping it cancels the play, unless it is [detached](Self::detach). It belongs to the connection on which it was
/// sent: if the client disconnects or is dropped, the circle cancels the play.
#[derive(Debug)]
pub struct RunningPlay {
    requests: Arc<RequestChannel>,
    timeout: Duration,
    id: Id,
    /// `None` for a play whose output is not wanted.
    events: Option<EventReceiver>,
    response: oneshot::Receiver<RawResponse>,
    /// Whether to leave the play alone: it has ended, or it is detached.
    is_released: bool,
}

impl RunningPlay {
    pub(crate) fn new(
        requests: Arc<RequestChannel>,
        timeout: Duration,
        sent: SentRequest,
        events: Option<EventReceiver>,
    ) -> Self {
        Self { requests, timeout, id: sent.id, events, response: sent.response, is_released: false }
    }

    /// The play's id, for [`CircleWsClient::cancel`](crate::CircleWsClient::cancel).
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// Waits for the next event; returns `None` once the play has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<PlayEvent> {
        future::poll_fn(|context| self.poll_event(context)).await
    }

    fn poll_event(&self, context: &mut Context<'_>) -> Poll<Option<PlayEvent>> {
        self.events.as_ref().map_or(Poll::Ready(None), |events| events.poll_next(context))
    }

    /// Cancels the play. Returns false if the play had already ended. The events so far and the result are still
    /// available.
    ///
    /// # Errors
    ///
    /// Returns a [`ClientError`] if the connection or the request fails.
    pub async fn cancel(&self) -> Result<bool, ClientError> {
        let params = CancelParams { play: self.id.clone() };
        self.requests.call::<methods::Cancel>(&params, self.timeout).await.map(|result| result.cancelled)
    }

    /// Waits for the end of the play and returns its result. Remaining events are dropped. Dropping the future cancels
    /// the play.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError::Rpc`] if the play failed, and other errors if the connection is lost.
    pub async fn result(mut self) -> Result<PlayResult, ClientError> {
        // The queue of events discards what comes from now on.
        self.events = None;
        let answer = (&mut self.response).await;
        self.is_released = true;
        self.requests.parse::<methods::Play>(answer.unwrap_or_else(|_| Err(self.requests.end_error())))
    }

    /// Lets the play go on alone: nobody takes its events or its result.
    pub fn detach(mut self) {
        self.is_released = true;
    }
}

impl Stream for RunningPlay {
    type Item = PlayEvent;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<PlayEvent>> {
        self.poll_event(context)
    }
}

impl Drop for RunningPlay {
    fn drop(&mut self) {
        let is_running = !self.is_released && matches!(self.response.try_recv(), Ok(None));
        if is_running {
            self.requests.cancel_unawaited(&self.id);
        }
    }
}
