//! A play or a call that was sent: what both have in common.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_channel::oneshot;
use futures_util::future;
use protocol::{
    Id,
    methods::{self, CancelParams},
};

use crate::{
    ClientError, PlayEvent,
    event_queue::EventReceiver,
    pending_requests::RawResponse,
    request_channel::{RequestChannel, SentRequest},
};

/// A request that the circle carries out for a while. Dropping it cancels it, unless it has ended or is
/// [detached](Self::detach).
#[derive(Debug)]
pub(crate) struct RunningRequest {
    requests: Arc<RequestChannel>,
    timeout: Duration,
    id: Id,
    /// `None` for a request whose events nobody takes.
    events: Option<EventReceiver>,
    response: oneshot::Receiver<RawResponse>,
    /// Whether to leave the request alone: it has ended, or it is detached.
    is_released: bool,
}

impl RunningRequest {
    pub(crate) fn new(
        requests: Arc<RequestChannel>,
        timeout: Duration,
        sent: SentRequest,
        events: Option<EventReceiver>,
    ) -> Self {
        Self { requests, timeout, id: sent.id, events, response: sent.response, is_released: false }
    }

    pub(crate) fn id(&self) -> &Id {
        &self.id
    }

    pub(crate) fn requests(&self) -> &Arc<RequestChannel> {
        &self.requests
    }

    /// Waits for the next event; `None` once the request has ended. Cancel safe.
    pub(crate) async fn next(&self) -> Option<PlayEvent> {
        future::poll_fn(|context| self.poll_event(context)).await
    }

    pub(crate) fn poll_event(&self, context: &mut Context<'_>) -> Poll<Option<PlayEvent>> {
        self.events.as_ref().map_or(Poll::Ready(None), |events| events.poll_next(context))
    }

    /// Cancels the request. Returns false if it had already ended.
    pub(crate) async fn cancel(&self) -> Result<bool, ClientError> {
        let params = CancelParams { play: self.id.clone() };
        self.requests.call::<methods::Cancel>(&params, self.timeout).await.map(|result| result.cancelled)
    }

    /// Waits for the answer. Remaining events are dropped. Dropping the future cancels the request.
    pub(crate) async fn answer(mut self) -> RawResponse {
        // The queue of events discards what comes from now on.
        self.events = None;
        let answer = (&mut self.response).await;
        self.is_released = true;
        answer.unwrap_or_else(|_| Err(self.requests.end_error()))
    }

    /// Lets the request go on alone.
    pub(crate) fn detach(mut self) {
        self.is_released = true;
    }
}

impl Drop for RunningRequest {
    fn drop(&mut self) {
        let is_running = !self.is_released && matches!(self.response.try_recv(), Ok(None));
        if is_running {
            self.requests.cancel_unawaited(&self.id);
        }
    }
}
