//! Replies and notifications of a session. This is the only place that counts requests as finished.

use std::net::IpAddr;

use protocol::{
    RpcError,
    error::{BusyLimit, LimitSetting, PlayLimit},
    message,
    methods::{Notification, PlayResult},
};
use serde::Serialize;
use serde_json::value::RawValue;
use worker::QueryAnswer;

use super::{
    Session,
    batches::{Fit, Weight},
    ticket::Ticket,
};
use crate::{
    audit::{AuditEntry, AuditedRun, PlayCaller},
    conversion,
    metrics::PlayOutcome,
};

/// The error that replaces a result that does not fit into its batch. Only its code matters here.
const TOO_LARGE: RpcError = RpcError::LimitExceeded { limit: PlayLimit::Output, max: 0, setting: None };

impl Session {
    /// Replies to a request with its result. Here and below, notifications get no reply.
    pub(crate) fn reply(&mut self, ticket: &Ticket, result: &impl Serialize) {
        self.reply_weighted(ticket, Ok(result), 0);
    }

    /// Replies to a request with an error.
    pub(crate) fn reply_error(&mut self, ticket: &Ticket, error: &RpcError) {
        self.reply_weighted(ticket, Err::<&(), _>(error), 0);
    }

    /// Replies to a request with the return value of its method.
    pub(crate) fn reply_result(&mut self, ticket: &Ticket, result: &Result<impl Serialize, RpcError>) {
        self.reply_weighted(ticket, result.as_ref(), 0);
    }

    /// Replies to a request with a result whose bytes count towards the output of its batch.
    pub(crate) fn reply_text(&mut self, ticket: &Ticket, result: &Result<&RawValue, RpcError>) {
        let weight = result.as_ref().map_or(0, |result| result.get().len());
        self.reply_weighted(ticket, result.as_ref(), weight as Weight);
    }

    /// Replies to a play. The result contains the value twice, and counts as the larger of the two.
    pub(super) fn reply_play(&mut self, ticket: &Ticket, result: &Result<PlayResult, RpcError>) {
        let weight = result.as_ref().map_or(0, |result| result.output.len().max(result.value.as_json().len()));
        self.reply_weighted(ticket, result.as_ref(), weight as u64);
    }

    /// Replies to a call of a function.
    pub(super) fn reply_call(&mut self, ticket: &Ticket, result: &Result<Box<RawValue>, RpcError>) {
        let weight = result.as_ref().map_or(0, |result| result.get().len());
        self.reply_weighted(ticket, result.as_ref(), weight as Weight);
    }

    /// Replies to a query with the worker's answer.
    pub(super) fn reply_query(&mut self, ticket: &Ticket, answer: QueryAnswer) {
        if self.outbox.is_blocked() {
            // The player accepts answers while the client does not read only when it stops a play. The replies to them
            // must stay small.
            let max = self.limits.values.queued_kib;
            let error = RpcError::Busy { limit: BusyLimit::Queued, max, retry_after_ms: None };
            return self.reply_error(ticket, &error);
        }
        let weight = weight(&answer);
        match answer {
            QueryAnswer::Complete(completion) => {
                self.reply_weighted(ticket, Ok(&conversion::complete_result(completion)), weight);
            }
            QueryAnswer::Scope(listing) => self.reply_weighted(ticket, Ok(&conversion::scope_result(listing)), weight),
            QueryAnswer::Lookup(functions) => {
                self.reply_weighted(ticket, Ok(&conversion::lookup_result(functions)), weight);
            }
            QueryAnswer::TooLarge => {
                let max = self.player.limits().values.output_kib;
                self.reply_error(ticket, &conversion::limit_exceeded(PlayLimit::Output, max, LimitSetting::OutputKib));
            }
        }
    }

    /// Returns the address of the client.
    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    /// Starts the audit record of a play or a call, if auditing is on.
    pub(crate) fn audit(&self, run: impl FnOnce() -> AuditedRun) -> Option<Box<AuditEntry>> {
        let auditor = self.circle.auditor.clone()?;
        let caller = self.auth.identity().map_or(PlayCaller::Anonymous(self.address), PlayCaller::Key);
        Some(AuditEntry::new(auditor, self.number, caller, self.rights.role_name().cloned(), run()))
    }

    fn reply_weighted(&mut self, ticket: &Ticket, result: Result<&impl Serialize, &RpcError>, weight: Weight) {
        let (text, fit) = self.batches.reply(ticket, result, weight);
        self.count_finish(ticket, result.map(drop), fit);
        if let Some(text) = text {
            self.send(text);
        }
    }

    fn count_finish(&mut self, ticket: &Ticket, result: Result<(), &RpcError>, fit: Fit) {
        if ticket.keeps_id() {
            let (outcome, code) = match fit {
                Fit::Whole => (PlayOutcome::of(result), result.err().map(RpcError::code)),
                Fit::Replaced => (PlayOutcome::LimitOutput, Some(TOO_LARGE.code())),
            };
            if ticket.is_play() {
                self.counts.finish_play(outcome);
            } else {
                self.circle.metrics.count_call(outcome);
            }
            if let Some(audit) = ticket.audit() {
                audit.finish(outcome, code);
            }
        }
        if ticket.is_notification()
            && let Err(error) = result
        {
            self.counts.reject_notification(error);
        }
    }

    pub(super) fn notify<N: Notification>(&mut self, notification: &N) {
        self.send(message::notification(N::NAME, notification));
    }

    pub(crate) fn send(&mut self, text: String) {
        self.outbox.push_text(text);
    }

    /// Closes the connection once the outbox is empty (RFC 6455 §7.4).
    pub(crate) fn close(&mut self, code: u16, reason: &'static str) {
        tracing::debug!(code, reason, "closing connection");
        self.closing.get_or_insert((code, reason));
    }
}

/// Returns the weight of the answer to a query: the bytes of its texts.
fn weight(answer: &QueryAnswer) -> Weight {
    let bytes = match answer {
        QueryAnswer::Complete(completion) => {
            completion.candidates.iter().map(|candidate| candidate.text.len() + candidate.detail.len()).sum()
        }
        QueryAnswer::Scope(listing) => {
            let variables = listing.variables.iter().map(|variable| {
                variable.name.len() + variable.type_name.len() + variable.output.as_ref().map_or(0, String::len)
            });
            let functions = listing.functions.iter();
            let functions =
                functions.map(|function| function.name.len() + function.params.iter().map(String::len).sum::<usize>());
            variables.chain(functions).sum()
        }
        QueryAnswer::Lookup(functions) => {
            functions.iter().map(|function| function.signature.len() + function.doc.len()).sum()
        }
        QueryAnswer::TooLarge => 0,
    };
    bytes as Weight
}
