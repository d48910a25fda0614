//! What a session answers and tells, and the one place where a request is counted as over.

use std::sync::Arc;

use protocol::{
    RpcError,
    error::PlayLimit,
    message,
    methods::{Notification, PlayParams, PlayResult},
};
use serde::Serialize;

use super::{
    Session,
    batches::{Fit, Ticket, Weight},
    outbound::Frame,
};
use crate::{
    audit::{Audited, PlayCaller},
    metrics::Outcome,
};

/// What stands in the place of a result that does not fit into its batch; of the maximum nothing is told here.
const TOO_LARGE: RpcError = RpcError::LimitExceeded { limit: PlayLimit::Output, max: 0 };

impl Session {
    /// Answers a request with its result, unless it was a notification.
    pub(crate) fn answer(&mut self, ticket: &Ticket, result: &impl Serialize) {
        self.settle(ticket, Ok(result), 0);
    }

    /// Answers a request with an error, unless it was a notification.
    pub(crate) fn refuse(&mut self, ticket: &Ticket, error: &RpcError) {
        self.settle(ticket, Err::<&(), _>(error), 0);
    }

    /// Answers a play. Its value is in the result twice, and counts as the larger of the two.
    pub(super) fn answer_play(&mut self, ticket: &Ticket, result: &Result<PlayResult, RpcError>) {
        let weight = result.as_ref().map_or(0, |result| result.output.len().max(result.value.get().len()));
        self.settle(ticket, result.as_ref(), weight as u64);
    }

    /// What a play is told of by, where someone is told of plays.
    pub(crate) fn audited(&self, params: &Arc<PlayParams>) -> Option<Box<Audited>> {
        let auditor = self.circle.auditor.clone()?;
        let caller = self.auth.identity().map_or(PlayCaller::Anonymous(self.address), PlayCaller::Key);
        Some(Audited::new(auditor, self.number, caller, params.clone()))
    }

    pub(super) fn settle(&mut self, ticket: &Ticket, result: Result<&impl Serialize, &RpcError>, weight: Weight) {
        let (text, fit) = self.answers.settle(ticket, result, weight);
        self.count(ticket, result.map(drop), fit);
        if let Some(text) = text {
            self.send(text);
        }
    }

    fn count(&mut self, ticket: &Ticket, result: Result<(), &RpcError>, fit: Fit) {
        if ticket.is_play {
            let (outcome, code) = match fit {
                Fit::Whole => (Outcome::of(result), result.err().map(RpcError::code)),
                Fit::Replaced => (Outcome::LimitOutput, Some(TOO_LARGE.code())),
            };
            self.counts.play_ended(outcome);
            if let Some(audited) = &ticket.audited {
                audited.ended(outcome, code);
            }
        }
        if !ticket.is_answered
            && let Err(error) = result
        {
            self.counts.notification_failed(error);
        }
    }

    pub(super) fn notify<N: Notification>(&mut self, notification: &N) {
        self.send(message::notification(N::NAME, notification));
    }

    pub(crate) fn send(&mut self, text: String) {
        self.outbox.push_back(Frame::Text(text));
    }

    /// Closes the connection once what is in the outbox has gone out (RFC 6455 §7.4).
    pub(crate) fn close(&mut self, code: u16, reason: &'static str) {
        tracing::debug!(code, reason, "closing");
        self.closing.get_or_insert((code, reason));
    }
}
