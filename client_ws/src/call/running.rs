//! A running call.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::Stream;
use protocol::Id;
use serde::de::DeserializeOwned;

use crate::{ClientError, PlayEvent, running_request::RunningRequest};

/// A call that was sent: a stream of its events, and its value.
///
/// The events are progress and, for a caller who may play, what the function prints. Dropping the call cancels it, unless
/// it is [detached](Self::detach). It belongs to the connection on which it was sent: if the client disconnects or is
/// dropped, the circle cancels the call.
#[derive(Debug)]
pub struct RunningCall {
    function: String,
    request: RunningRequest,
}

impl RunningCall {
    pub(crate) fn new(function: String, request: RunningRequest) -> Self {
        Self { function, request }
    }

    /// The call's id, for [`CircleWsClient::cancel`](crate::CircleWsClient::cancel).
    pub fn id(&self) -> &Id {
        self.request.id()
    }

    /// Waits for the next event; returns `None` once the call has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<PlayEvent> {
        self.request.next().await
    }

    /// Cancels the call. Returns false if the call had already ended. The events so far and the value are still
    /// available.
    ///
    /// # Errors
    ///
    /// Returns a [`ClientError`] if the connection or the request fails.
    pub async fn cancel(&self) -> Result<bool, ClientError> {
        self.request.cancel().await
    }

    /// Waits for the end of the call and returns the function's value. Remaining events are dropped. Dropping the future
    /// cancels the call. For the value as the circle wrote it, use the type [`PlayValue`](crate::PlayValue).
    ///
    /// # Errors
    ///
    /// Returns [`ClientError::Rpc`] if the call failed, [`ClientError::UnexpectedValue`] if the value is not of the type,
    /// and other errors if the connection is lost.
    pub async fn result<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        let Self { function, request } = self;
        serde_json::from_str(request.answer().await?.get())
            .map_err(|error| ClientError::UnexpectedValue { function, reason: error.to_string() })
    }

    /// Lets the call go on alone: nobody takes its events or its value.
    pub fn detach(self) {
        self.request.detach();
    }
}

impl Stream for RunningCall {
    type Item = PlayEvent;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<PlayEvent>> {
        self.request.poll_event(context)
    }
}
