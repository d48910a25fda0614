//! The run of a function of the circle that the program has: it needs no worker.

use protocol::{RpcError, error::ScriptErrorKind};
use serde_json::{json, value::RawValue};
use tokio::time::Instant;
use worker::{HostReturn, Print, ProgressReport, Stream};

use super::{
    CallEnd, CallEvent, CallReturn, FIRST_PROGRESS_DELAY, HostCalls, PROGRESS_INTERVAL, StopReason,
    call_context::{CallContext, CallOutput, wait_until},
    outcome::script_error,
};
use crate::{
    blobs::unwrap_blobs,
    host::{self, HostPrint},
    quota::Grant,
};

/// A call of a function of the program.
pub(super) struct ProgramCall<'c> {
    call: &'c mut CallContext,
    host_calls: HostCalls,
    output: CallOutput,
}

impl<'c> ProgramCall<'c> {
    pub(super) fn new(call: &'c mut CallContext) -> Self {
        Self { host_calls: call.host_calls(), output: call.output(), call }
    }

    /// Runs the function to its end, or detaches it when the call is stopped.
    pub(super) async fn run(
        mut self,
        module: usize,
        function: usize,
        args: Vec<Box<RawValue>>,
        _grant: Grant,
    ) -> CallEnd {
        let result = match self.host_calls.start_program(module, function, args) {
            Ok(()) => self.wait_for_result().await,
            Err(reason) => Err(self.call.stop_error(reason)),
        };
        let Self { call, host_calls, output } = self;
        call.end(Some(host_calls), result, output).await
    }

    async fn wait_for_result(&mut self) -> Result<Box<RawValue>, RpcError> {
        let mut next_progress = self.call.is_reported().then(|| Instant::now() + FIRST_PROGRESS_DELAY);
        loop {
            tokio::select! {
                event = self.host_calls.next_event() => match event {
                    CallEvent::Printed(HostPrint::Text(text)) => self.keep(text),
                    CallEvent::Printed(HostPrint::TooMuch) => return Err(self.stop(StopReason::HostOutput)),
                    CallEvent::Returned(CallReturn::Script(HostReturn::Value(json))) => return self.value(&json),
                    CallEvent::Returned(CallReturn::Script(HostReturn::Failed(error))) => return Err(thrown(&error)),
                    CallEvent::Returned(CallReturn::Script(HostReturn::Aborted) | CallReturn::Malformed | CallReturn::WaitsForTurn) => {
                        return Err(RpcError::Internal);
                    }
                    CallEvent::Returned(CallReturn::TooLarge) => return Err(self.stop(StopReason::HostBytes)),
                },
                reason = self.call.stopper.stopped() => return Err(self.stop(reason)),
                () = wait_until(self.call.deadline) => return Err(self.stop(StopReason::Time)),
                () = wait_until(next_progress) => {
                    next_progress = Some(Instant::now() + PROGRESS_INTERVAL);
                    self.report();
                }
            }
        }
    }

    /// Stops the call. The function runs on as a detached host call, unless it observes that it is cancelled.
    fn stop(&mut self, reason: StopReason) -> RpcError {
        self.host_calls.detach();
        self.call.stop_error(reason)
    }

    fn keep(&mut self, text: String) {
        self.output.keep(Print { play: 0, stream: Stream::Print, text, position: None });
    }

    fn report(&self) {
        if let Some(script) = self.host_calls.progress() {
            self.call.report(ProgressReport { play: 0, operations: 0, script: Some(script) });
        }
    }

    fn value(&self, json: &str) -> Result<Box<RawValue>, RpcError> {
        // Scripts get a blob; a caller gets its base64, as for every blob.
        let unwrapped = unwrap_blobs(json).map_err(|_| RpcError::Internal)?.into_owned();
        RawValue::from_string(unwrapped).map_err(|error| {
            let function = self.call.callee.name();
            self.call.log_fault(|suppressed| {
                tracing::error!(function, %error, suppressed, "invalid JSON from function of the program");
            });
            RpcError::Internal
        })
    }
}

/// Returns the error that the caller gets for an error of the function.
fn thrown(error: &host::Error) -> RpcError {
    if *error == host::Error::hidden() {
        return RpcError::Internal;
    }
    let thrown = json!({ "code": error.code(), "message": error.message(), "data": error.data() });
    script_error(error.message().to_owned(), ScriptErrorKind::Thrown, &thrown)
}
