//! The pending requests, and the routing of the circle's messages to them. No I/O.

use std::collections::HashMap;

use futures_channel::oneshot;
use protocol::{
    Id, RpcError,
    message::{self, ServerMessage},
    methods::{Event, Notification, Output, Progress, SessionReset, SubscribeResult},
};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::{
    ClientError, Notice, PlayEvent, event_queue::EventSender, message_limit::MessageLimit,
    subscription::SubscriptionSender,
};

/// Maximum size of an error response, in bytes. The texts of an error have at most 16 KiB before JSON escapes them.
const MAX_ERROR: usize = 512 << 10;

/// The response to one request, not parsed yet.
pub(crate) type RawResponse = Result<Box<RawValue>, ClientError>;

/// Where the events of a request go.
#[derive(Debug)]
pub(crate) enum RequestEvents {
    /// Events of a play or a call, until its response.
    Play(EventSender),
    /// Events of a subscription, from the response on.
    Subscription(SubscriptionSender),
}

/// The requests without a response, by id, and the subscriptions, by the number that the circle gave them.
#[derive(Debug)]
pub(crate) struct PendingRequests {
    waiting: HashMap<u64, PendingRequest>,
    subscriptions: HashMap<u64, SubscriptionSender>,
    limit: MessageLimit,
}

#[derive(Debug)]
struct PendingRequest {
    response_sender: oneshot::Sender<RawResponse>,
    events: Option<RequestEvents>,
}

impl PendingRequests {
    pub(crate) fn new(limit: MessageLimit) -> Self {
        Self { waiting: HashMap::new(), subscriptions: HashMap::new(), limit }
    }

    pub(crate) fn insert(
        &mut self,
        id: u64,
        response_sender: oneshot::Sender<RawResponse>,
        events: Option<RequestEvents>,
    ) {
        self.waiting.insert(id, PendingRequest { response_sender, events });
    }

    /// Routes a message of the circle, and returns a notice for the client. The error says why the message is invalid.
    pub(crate) fn receive(&mut self, text: &str) -> Result<Option<Notice>, String> {
        let message = message::parse_server_message(text).ok_or("it sent a message that is not JSON-RPC 2.0")?;
        match message {
            ServerMessage::Response { result: Err(_), .. } if text.len() > MAX_ERROR => Err(format!(
                "it sent an error of {} KiB; the maximum is {} KiB",
                text.len().div_ceil(1024),
                MAX_ERROR >> 10
            )),
            ServerMessage::Response { id, result } => self.handle_response(&id, result),
            ServerMessage::Notification { method, params } => self.handle_notification(&method, &params, text.len()),
        }
    }

    fn handle_response(&mut self, id: &Id, result: Result<Box<RawValue>, RpcError>) -> Result<Option<Notice>, String> {
        let lost = match &result {
            Err(RpcError::EnvironmentLost { reason }) => Some(*reason),
            _ => None,
        };
        if lost.is_some() {
            self.limit.forget_stated();
        }
        if let Some(waiting) = id.as_number().and_then(|number| self.waiting.remove(&number)) {
            if let (Some(RequestEvents::Subscription(events)), Ok(result)) = (waiting.events, &result) {
                self.open_subscription(events, result);
            }
            // The caller may have dropped its future. Without this notice nobody would learn of the loss.
            let is_dropped = waiting.response_sender.send(result.map_err(ClientError::Rpc)).is_err();
            return Ok(lost.filter(|_| is_dropped).map(|reason| Notice::EnvironmentLost { reason }));
        }
        match result {
            // With the id null, the circle reports a request that it could not parse and will never answer.
            Err(error) if id.as_written() == "null" => {
                Err(format!("it could not parse a request of this client: {error}"))
            }
            _ => Ok(None),
        }
    }

    /// Takes the events of a subscription from its response on: the circle sends them at once.
    fn open_subscription(&mut self, events: SubscriptionSender, result: &RawValue) {
        // The caller of the request reports an invalid result.
        let Ok(SubscribeResult { subscription, .. }) = serde_json::from_str(result.get()) else { return };
        if events.open(subscription) {
            self.subscriptions.retain(|_, events| !events.is_closed());
            self.subscriptions.insert(subscription, events);
        }
    }

    fn handle_notification(
        &mut self,
        method: &str,
        params: &RawValue,
        text_bytes: usize,
    ) -> Result<Option<Notice>, String> {
        match method {
            Output::NAME => {
                let output: Output = parse_params(method, params)?;
                self.route_event(&output.play.clone(), PlayEvent::Output(output));
                Ok(None)
            }
            Progress::NAME => {
                let progress: Progress = parse_params(method, params)?;
                self.route_event(&progress.play.clone(), PlayEvent::Progress(progress));
                Ok(None)
            }
            Event::NAME => {
                let event: Event = parse_params(method, params)?;
                let number = event.subscription;
                let events = self.subscriptions.get(&number);
                if events.is_some_and(|events| !events.send(event, text_bytes)) {
                    self.subscriptions.remove(&number);
                }
                Ok(None)
            }
            SessionReset::NAME => {
                let SessionReset { reason } = parse_params(method, params)?;
                self.limit.forget_stated();
                Ok(Some(Notice::EnvironmentLost { reason }))
            }
            // A client ignores unknown notifications.
            _ => Ok(None),
        }
    }

    fn route_event(&self, play: &Id, event: PlayEvent) {
        let request = play.as_number().and_then(|number| self.waiting.get(&number));
        if let Some(RequestEvents::Play(events)) = request.and_then(|request| request.events.as_ref()) {
            events.send(event);
        }
    }

    /// Fails all pending requests because the connection has ended. Returns their number.
    pub(crate) fn fail_all(&mut self, error: impl Fn() -> ClientError) -> usize {
        let count = self.waiting.len();
        self.subscriptions.clear();
        for (_, waiting) in self.waiting.drain() {
            // The caller may have dropped its future.
            let _receiver_dropped = waiting.response_sender.send(Err(error()));
        }
        count
    }
}

fn parse_params<T: DeserializeOwned>(method: &str, params: &RawValue) -> Result<T, String> {
    serde_json::from_str(params.get()).map_err(|error| format!("its notification `{method}` is invalid: {error}"))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use protocol::error::LossReason;

    use super::*;

    fn insert_request(pending: &mut PendingRequests, id: u64) -> oneshot::Receiver<RawResponse> {
        let (answer, response) = oneshot::channel();
        pending.insert(id, answer, None);
        response
    }

    #[test]
    fn responses_match_requests_in_any_order() {
        let mut pending = PendingRequests::new(MessageLimit::new());
        let (first, second) = (insert_request(&mut pending, 1), insert_request(&mut pending, 2));
        pending.receive(r#"{"jsonrpc":"2.0","id":2,"result":"b"}"#).expect("JSON-RPC");
        pending.receive(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"Cancelled"}}"#).expect("JSON-RPC");
        let second = second.now_or_never().expect("there").expect("sent").expect("a result");
        assert_eq!(second.get(), "\"b\"");
        let first = first.now_or_never().expect("there").expect("sent");
        assert!(matches!(first, Err(ClientError::Rpc(RpcError::Cancelled))));
    }

    #[test]
    fn unknown_responses_are_ignored_and_invalid_messages_reported() {
        let mut pending = PendingRequests::new(MessageLimit::new());
        for text in [
            r#"{"jsonrpc":"2.0","id":9,"result":1}"#,
            r#"{"jsonrpc":"2.0","method":"event","params":{"subscription":9,"data":1}}"#,
            r#"{"jsonrpc":"2.0","method":"later","params":{}}"#,
            r#"{"jsonrpc":"2.0","method":"play.output","params":{"play":9,"stream":"print","text":"x"}}"#,
        ] {
            assert!(matches!(pending.receive(text), Ok(None)), "{text}");
        }
        for text in [
            "hello",
            "{}",
            r#"{"jsonrpc":"2.0","method":"play.output","params":{}}"#,
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}"#,
        ] {
            assert!(pending.receive(text).is_err(), "{text}");
        }
    }

    #[test]
    fn oversized_error_is_rejected() {
        let mut pending = PendingRequests::new(MessageLimit::new());
        let response = insert_request(&mut pending, 1);
        let error = |size: usize| {
            let message = "\\n".repeat(size / 2);
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":-32000,"message":"{message}","data":{{"kind":"runtime"}}}}}}"#
            )
        };
        assert_eq!(
            pending.receive(&error(MAX_ERROR)).expect_err("too large"),
            "it sent an error of 513 KiB; the maximum is 512 KiB"
        );
        pending.receive(&error(MAX_ERROR / 2)).expect("an error");
        assert!(matches!(response.now_or_never(), Some(Ok(Err(ClientError::Rpc(RpcError::Script(_)))))));
    }

    #[test]
    fn fresh_environment_clears_stated_limit() {
        for text in [
            r#"{"jsonrpc":"2.0","method":"session.reset","params":{"reason":"idle"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32009,"message":"Environment lost","data":{"reason":"crash"}}}"#,
        ] {
            let limit = MessageLimit::new();
            limit.set_stated(1, 0);
            let mut pending = PendingRequests::new(limit.clone());
            let _response = insert_request(&mut pending, 1);
            assert!(limit.check(2 << 20).is_err());
            pending.receive(text).expect("JSON-RPC");
            assert_eq!(limit.check(2 << 20), Ok(()), "{text}");
        }
    }

    #[test]
    fn lost_environment_is_a_notice_if_nobody_awaits_the_response() {
        let text = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32009,"message":"Environment lost","data":{"reason":"crash"}}}"#;
        let mut pending = PendingRequests::new(MessageLimit::new());
        drop(insert_request(&mut pending, 1));
        let notice = pending.receive(text).expect("JSON-RPC");
        assert_eq!(notice, Some(Notice::EnvironmentLost { reason: LossReason::Crash }));
        let _response = insert_request(&mut pending, 1);
        assert_eq!(pending.receive(text).expect("JSON-RPC"), None);
    }

    #[test]
    fn connection_loss_fails_all_requests() {
        let mut pending = PendingRequests::new(MessageLimit::new());
        let response = insert_request(&mut pending, 1);
        pending.fail_all(|| ClientError::NotConnected);
        let answer = response.now_or_never().expect("there").expect("sent");
        assert!(matches!(answer, Err(ClientError::NotConnected)));
    }
}
