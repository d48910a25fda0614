//! Plays: the request, the events of a running play and its result.

mod running;

use std::{future::IntoFuture, time::Duration};

use protocol::methods::{self, MAX_SCRIPT_NAME_BYTES, Output, PlayParams, PlayResult, Progress};

use crate::{
    CircleWsClient, ClientError, event_queue::event_queue, running_request::RunningRequest, transport::BoxFuture,
};

pub use running::RunningPlay;

/// A time limit in whole milliseconds, rounded up, at least one.
pub(crate) fn timeout_ms(timeout: Duration) -> u64 {
    u64::try_from(timeout.as_nanos().div_ceil(1_000_000).max(1)).unwrap_or(u64::MAX)
}

/// An event of a running play or call.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum PlayEvent {
    /// The play or call printed a text.
    Output(Output),
    /// The play or call reported its progress. The client keeps only the newest report that the program has not taken.
    Progress(Progress),
    /// The client dropped events here, because the program had not taken 32 MiB of earlier ones.
    EventsDropped {
        /// The number of dropped events.
        count: u64,
    },
}

/// A play that is not sent yet. Awaiting the request sends the play and returns its result; its output is dropped.
///
/// Dropping the future cancels the play.
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

    /// Sets a time limit below the circle's own, rounded up to whole milliseconds, at least one.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.params.timeout_ms = Some(timeout_ms(timeout));
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

    /// Sends the play, and returns it with its events.
    ///
    /// The client keeps up to 32 MiB of events that the program does not take, and drops further ones
    /// ([`PlayEvent::EventsDropped`]). Nothing else waits for them.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError::NotConnected`] or the reason why the connection ended.
    pub async fn start(self) -> Result<RunningPlay, ClientError> {
        let requests = self.client.connection().await?.requests.clone();
        let (to_play, events) = event_queue();
        let sent = requests.send::<methods::Play>(&self.params, Some(to_play)).await?;
        Ok(RunningPlay(RunningRequest::new(requests, self.client.timeout(), sent, Some(events))))
    }

    async fn finish(self) -> Result<PlayResult, ClientError> {
        let requests = self.client.connection().await?.requests.clone();
        let sent = requests.send::<methods::Play>(&self.params, None).await?;
        RunningPlay(RunningRequest::new(requests, self.client.timeout(), sent, None)).result().await
    }
}

impl<'a> IntoFuture for PlayRequest<'a> {
    type Output = Result<PlayResult, ClientError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.finish())
    }
}
