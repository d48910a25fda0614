//! A running play.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::Stream;
use protocol::{
    Id,
    methods::{self, PlayResult},
};

use crate::{ClientError, PlayEvent, running_request::RunningRequest};

/// A play that was sent: a stream of its events, and its result.
///
/// Dropping it cancels the play, unless it is [detached](Self::detach). It belongs to the connection on which it was
/// sent: if the client disconnects or is dropped, the circle cancels the play.
#[derive(Debug)]
pub struct RunningPlay(pub(super) RunningRequest);

impl RunningPlay {
    /// The play's id, for [`CircleWsClient::cancel`](crate::CircleWsClient::cancel).
    pub fn id(&self) -> &Id {
        self.0.id()
    }

    /// Waits for the next event; returns `None` once the play has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<PlayEvent> {
        self.0.next().await
    }

    /// Cancels the play. Returns false if the play had already ended. The events so far and the result are still
    /// available.
    ///
    /// # Errors
    ///
    /// Returns a [`ClientError`] if the connection or the request fails.
    pub async fn cancel(&self) -> Result<bool, ClientError> {
        self.0.cancel().await
    }

    /// Waits for the end of the play and returns its result. Remaining events are dropped. Dropping the future cancels
    /// the play.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError::Rpc`] if the play failed, and other errors if the connection is lost.
    pub async fn result(self) -> Result<PlayResult, ClientError> {
        let requests = self.0.requests().clone();
        requests.parse::<methods::Play>(self.0.answer().await)
    }

    /// Lets the play go on alone: nobody takes its events or its result.
    pub fn detach(self) {
        self.0.detach();
    }
}

impl Stream for RunningPlay {
    type Item = PlayEvent;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<PlayEvent>> {
        self.0.poll_event(context)
    }
}
