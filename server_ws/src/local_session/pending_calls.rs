//! The calls of a local session without a response.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use protocol::{
    RpcError,
    message::{self, ServerMessage},
    methods::{Notification, Output},
};
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::LocalSessionError;

/// The response to a call, and what its play printed.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) result: Result<Box<RawValue>, RpcError>,
    pub(super) prints: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct PendingCalls(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    calls: HashMap<u64, PendingCall>,
    /// Why the session has ended.
    end: Option<String>,
}

#[derive(Debug)]
struct PendingCall {
    response: oneshot::Sender<Finished>,
    prints: Vec<String>,
}

impl PendingCalls {
    /// Adds a call. If the session has ended, its response never arrives.
    pub(super) fn insert(&self, number: u64) -> oneshot::Receiver<Finished> {
        let (response, receiver) = oneshot::channel();
        let mut state = self.lock();
        if state.end.is_none() {
            state.calls.insert(number, PendingCall { response, prints: Vec::new() });
        }
        receiver
    }

    /// Routes a message of the session. The circle itself sends it, so nothing in it is invalid.
    pub(super) fn receive(&self, text: &str) {
        match message::parse_server_message(text) {
            Some(ServerMessage::Response { id, result }) => {
                let call = id.as_number().and_then(|number| self.lock().calls.remove(&number));
                if let Some(PendingCall { response, prints }) = call {
                    // The caller may have dropped its future.
                    let _dropped = response.send(Finished { result, prints });
                }
            }
            Some(ServerMessage::Notification { method, params }) if method == Output::NAME => {
                let Ok(output) = serde_json::from_str::<Output>(params.get()) else { return };
                let mut state = self.lock();
                let call = output.play.as_number().and_then(|number| state.calls.get_mut(&number));
                // `output_kib` bounds what a play prints.
                if let Some(call) = call {
                    call.prints.push(output.text);
                }
            }
            _ => {}
        }
    }

    /// Ends all calls. The first reason counts.
    pub(super) fn end(&self, reason: &str) {
        let mut state = self.lock();
        state.end.get_or_insert_with(|| reason.to_owned());
        state.calls.clear();
    }

    /// Returns the error of a call whose session has ended.
    pub(super) fn ended(&self) -> LocalSessionError {
        let reason = self.lock().end.clone().unwrap_or_else(|| "its connection was closed".to_owned());
        LocalSessionError::Ended { reason }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
