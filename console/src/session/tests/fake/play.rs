//! A play, or a call of a function, under the control of a test.

use client_ws::{ClientError, PlayEvent, PlayResult, RpcError};
use protocol::{
    Id,
    methods::{Output, Progress, Stream},
};
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::super::NEVER;
use crate::session::{PlayReporter, PlayUpdate, Script};

/// A play on the fake circle.
pub(in crate::session) struct FakePlay {
    pub(in crate::session) script: Script,
    pub(super) reporter: PlayReporter,
    /// Closed when the session drops the play.
    pub(super) listened: oneshot::Receiver<()>,
}

impl FakePlay {
    /// Prints a text, once there is room for it.
    pub(in crate::session) async fn print(&self, text: &str) {
        let output = Output { play: Id::number(1), stream: Stream::Print, text: text.to_owned(), position: None };
        self.reporter.report(PlayUpdate::Event(PlayEvent::Output(output))).await;
    }

    pub(in crate::session) async fn progress(&self, done: i64) {
        let progress =
            Progress { play: Id::number(1), elapsed_us: 1, operations: 1, done: Some(done), total: None, text: None };
        self.reporter.report(PlayUpdate::Event(PlayEvent::Progress(progress))).await;
    }

    /// Reports that the client has dropped events.
    pub(in crate::session) async fn drop_events(&self, count: u64) {
        self.reporter.report(PlayUpdate::Event(PlayEvent::EventsDropped { count })).await;
    }

    /// Ends with a number.
    pub(in crate::session) async fn answer(self, number: i64) {
        self.end(Ok(result("i64", &number.to_string()))).await;
    }

    /// Ends with `()`.
    pub(in crate::session) async fn unit(self) {
        self.end(Ok(result("()", "null"))).await;
    }

    pub(in crate::session) async fn fail(self, error: impl Into<ClientError>) {
        self.end(Err(error.into())).await;
    }

    pub(in crate::session) async fn end(self, result: Result<PlayResult, ClientError>) {
        self.reporter.report(PlayUpdate::Ended(result)).await;
    }

    /// Waits until the session cancels the play.
    pub(in crate::session) async fn cancelled(&mut self) {
        let cancelled = tokio::time::timeout(NEVER, self.reporter.wait_for_cancel()).await;
        cancelled.expect("the play is cancelled");
    }

    /// Waits until the session cancels the play, and ends it accordingly.
    pub(in crate::session) async fn cancel(mut self) {
        self.cancelled().await;
        self.fail(RpcError::Cancelled).await;
    }

    /// Whether the session still holds the play.
    pub(in crate::session) fn has_listener(&mut self) -> bool {
        matches!(self.listened.try_recv(), Err(oneshot::error::TryRecvError::Empty))
    }

    /// Waits until the session drops the play.
    pub(in crate::session) async fn abandoned(self) {
        let ended = tokio::time::timeout(NEVER, self.listened).await;
        ended.expect("nobody listens any more").expect_err("nothing is ever sent");
    }
}

/// Returns a result of the given type. Its text is its JSON, except for `()`.
pub(in crate::session) fn result(r#type: &str, json: &str) -> PlayResult {
    let output = if r#type == "()" { String::new() } else { json.to_owned() };
    let value = RawValue::from_string(json.to_owned()).expect("it is JSON").into();
    PlayResult { output, r#type: r#type.to_owned(), value, elapsed_us: 1500, operations: 7 }
}
