//! The channel of requests to the task that owns a connection. A client and its running plays share it.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_channel::{mpsc, oneshot};
use futures_util::future;
use protocol::{Id, Method, message, methods};
use serde::Serialize;

use crate::{
    ClientError,
    connection_task::OutgoingRequest,
    event_queue::EventSender,
    pending_requests::{RawResponse, RequestEvents},
    subscription::SubscriptionSender,
    transport::platform,
};

/// The channel of one connection. It ends when the client closes it, or when the connection ends.
#[derive(Debug)]
pub(crate) struct RequestChannel {
    requests: mpsc::Sender<OutgoingRequest>,
    next_id: AtomicU64,
    end: ConnectionEnd,
    url: String,
}

/// Why a connection ended; empty while it is open. The task of the connection sets it before it fails the requests.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConnectionEnd(Arc<OnceLock<EndReason>>);

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// The client closed it.
    Closed,
    /// The network or the circle ended it.
    Lost { code: Option<u16>, reason: String },
    /// The server broke the protocol.
    NotACircle { reason: String },
}

impl EndReason {
    /// The error of a request on the connection.
    pub(crate) fn to_error(&self, url: &str) -> ClientError {
        match self {
            Self::Closed => ClientError::NotConnected,
            Self::Lost { code, reason } => ClientError::ConnectionLost { code: *code, reason: reason.clone() },
            Self::NotACircle { reason } => ClientError::NotACircle { url: url.to_owned(), reason: reason.clone() },
        }
    }
}

impl From<ClientError> for EndReason {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::ConnectionLost { code, reason } => Self::Lost { code, reason },
            ClientError::NotACircle { reason, .. } => Self::NotACircle { reason },
            other => Self::Lost { code: None, reason: other.to_string() },
        }
    }
}

impl ConnectionEnd {
    pub(crate) fn set(&self, reason: EndReason) {
        // The first reason is the cause of the others.
        self.0.get_or_init(|| reason);
    }
}

/// A request that was sent, and the receiver of its response.
pub(crate) struct SentRequest {
    pub(crate) id: Id,
    pub(crate) response: oneshot::Receiver<RawResponse>,
}

impl RequestChannel {
    pub(crate) fn new(requests: mpsc::Sender<OutgoingRequest>, end: ConnectionEnd, url: String) -> Self {
        Self { requests, next_id: AtomicU64::new(1), end, url }
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.requests.is_closed()
    }

    /// Closes the connection. The task still sends the requests that it has.
    pub(crate) fn close(&self) {
        self.end.set(EndReason::Closed);
        self.requests.clone().close_channel();
    }

    /// The error that says why the connection ended.
    pub(crate) fn end_error(&self) -> ClientError {
        self.end.0.get().map_or(ClientError::NotConnected, |reason| reason.to_error(&self.url))
    }

    /// Sends a request. If the future is dropped, the request either was not sent, or is not awaited by anyone.
    pub(crate) async fn send<M: Method>(
        &self,
        params: &M::Params,
        events: Option<EventSender>,
    ) -> Result<SentRequest, ClientError> {
        self.send_named(M::NAME, params, events).await
    }

    /// Sends a request of the method with a name, like [`send`](Self::send).
    pub(crate) async fn send_named(
        &self,
        method: &str,
        params: &impl Serialize,
        events: Option<EventSender>,
    ) -> Result<SentRequest, ClientError> {
        self.send_with(method, params, events.map(RequestEvents::Play)).await
    }

    /// Opens a subscription, whose events go to the sender.
    pub(crate) async fn send_subscribe(
        &self,
        params: &methods::SubscribeParams,
        events: SubscriptionSender,
    ) -> Result<SentRequest, ClientError> {
        self.send_with(methods::Subscribe::NAME, params, Some(RequestEvents::Subscription(events))).await
    }

    async fn send_with(
        &self,
        method: &str,
        params: &impl Serialize,
        events: Option<RequestEvents>,
    ) -> Result<SentRequest, ClientError> {
        let mut requests = self.requests.clone();
        future::poll_fn(|context| requests.poll_ready(context)).await.map_err(|_| self.end_error())?;
        // Nothing waits from here on, so the caller has the id of every request that is sent.
        let (request, sent) = self.request(method, params, events);
        requests.start_send(request).map_err(|_| self.end_error())?;
        Ok(sent)
    }

    fn request(
        &self,
        method: &str,
        params: &impl Serialize,
        events: Option<RequestEvents>,
    ) -> (OutgoingRequest, SentRequest) {
        let number = self.next_id.fetch_add(1, Ordering::Relaxed);
        let id = Id::number(number);
        let text = message::call(Some(&id), method, params);
        let (response_sender, response) = oneshot::channel();
        (OutgoingRequest { id: number, text, response_sender, events }, SentRequest { id, response })
    }

    /// Cancels a play or a call without waiting for the answer.
    pub(crate) fn cancel_unawaited(&self, play: &Id) {
        let (request, _) = self.request(methods::Cancel::NAME, &methods::CancelParams { play: play.clone() }, None);
        // A new sender has a place in the queue of its own. If the connection has ended, so has the request.
        let _ended = self.requests.clone().try_send(request);
    }

    /// Ends a subscription without waiting for the answer.
    pub(crate) fn unsubscribe_unawaited(&self, subscription: u64) {
        let params = methods::UnsubscribeParams { subscription };
        let (request, _) = self.request(methods::Unsubscribe::NAME, &params, None);
        // As above.
        let _ended = self.requests.clone().try_send(request);
    }

    /// Calls a method that the circle answers without delay, so that the timeout applies.
    pub(crate) async fn call<M: Method>(
        &self,
        params: &M::Params,
        timeout: Duration,
    ) -> Result<M::Result, ClientError> {
        let sent = self.send::<M>(params, None).await?;
        let answer = platform::timeout(timeout, self.response(sent.response)).await;
        self.parse::<M>(answer.ok_or(ClientError::TimedOut { after: timeout })?)
    }

    /// Waits for the response to a request.
    pub(crate) async fn response(&self, response: oneshot::Receiver<RawResponse>) -> RawResponse {
        response.await.unwrap_or_else(|_| Err(self.end_error()))
    }

    pub(crate) fn parse<M: Method>(&self, answer: RawResponse) -> Result<M::Result, ClientError> {
        serde_json::from_str(answer?.get()).map_err(|error| ClientError::NotACircle {
            url: self.url.clone(),
            reason: format!("its answer to `{}` is invalid: {error}", M::NAME),
        })
    }
}
