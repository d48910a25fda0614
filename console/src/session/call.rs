//! Calls of functions: reading the arguments, the start and the end. A call runs like a play, but in no environment: its
//! value is bound to nothing, and the notebook keeps it for `:last`, `:copy` and `:json` only.

use std::sync::Arc;

use client_ws::{ClientError, JsonValue, PlayResult, RpcError};
use frontend::{
    error::{AdviceCommands, Caller, CliError},
    functions::{Argument, FileContent, deprecation_note},
    quantity,
};
use serde_json::Map;

use super::{
    core::Core,
    event::{DisplayKind, DisplayLines, SessionEvent},
    functions::{self, FunctionsUpdate},
    inputs::connection_error,
    messages,
    pending::{BlockingResult, PendingCommand, Purpose, RunningWork, finished},
};
use crate::{
    ENVELOPE_BYTES,
    commands::{ArgumentSource, CallArgument, CallCommand},
    truncate, value,
};

/// A call of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionCall {
    /// The name of the function.
    pub name: String,
    /// The parameters by name.
    pub params: Map<String, JsonValue>,
}

/// A call that was sent to the circle, with the arguments as the user gave them.
pub(super) struct CallAttempt {
    call: FunctionCall,
    arguments: Vec<(String, Argument)>,
    /// Whether the circle refused the call once, and the session has read the arguments again.
    is_retry: bool,
}

/// The arguments, and the functions if they were fetched for the call.
pub(super) struct CallPreparation {
    arguments: Vec<(String, Argument)>,
    update: Option<FunctionsUpdate>,
}

/// Why a call was not prepared.
pub(super) enum CallError {
    /// A file cannot be read.
    File(CliError),
    /// The functions cannot be fetched.
    Client(ClientError),
}

impl CallAttempt {
    /// Whether the circle refused the call before it ran, so that it may succeed with the functions as they are now.
    pub(super) fn can_be_retried(&self, error: &ClientError) -> bool {
        is_refusal(error) && !self.is_retry
    }
}

/// Whether the circle refused a call because of its function or its arguments.
fn is_refusal(error: &ClientError) -> bool {
    matches!(error, ClientError::Rpc(RpcError::MethodNotFound { .. } | RpcError::InvalidParams { .. }))
}

impl Core {
    /// Reads the arguments of a call, and fetches the functions unless the called one is known.
    pub(super) fn prepare_call(&mut self, call: CallCommand) {
        let has_files = call.reads_files();
        let CallCommand { name, arguments } = call;
        let directory = self.directory.clone();
        let read = move || -> Result<Vec<(String, Argument)>, CliError> {
            let argument = |CallArgument { param, source }| {
                let argument = match source {
                    ArgumentSource::Text(text) => Argument::Text(text),
                    ArgumentSource::File(file) => {
                        let file = directory.resolve(&file);
                        Argument::File(FileContent::read_regular(&param, &file, AdviceCommands::CONSOLE)?)
                    }
                };
                Ok((param, argument))
            };
            arguments.into_iter().map(argument).collect()
        };
        let is_known = self.function(&name).is_some();
        let fetch = (!is_known).then(|| functions::fetch(self.remote.clone(), None));
        let prepared = Box::pin(async move {
            let arguments = if has_files {
                let mut reading: BlockingResult<_> = Box::pin(tokio::task::spawn_blocking(read));
                finished(&mut reading).await
            } else {
                read()
            };
            let arguments = arguments.map_err(CallError::File)?;
            let update = match fetch {
                Some(fetch) => Some(fetch.await.map_err(CallError::Client)?),
                None => None,
            };
            Ok(CallPreparation { arguments, update })
        });
        self.work.pending = Some(PendingCommand::Call { name, prepared });
    }

    /// Starts a call whose arguments were read.
    pub(super) fn on_call_prepared(&mut self, prepared: Result<CallPreparation, CallError>) {
        let Some(PendingCommand::Call { name, .. }) = self.work.pending.take() else { return };
        let (error, lost) = match prepared {
            Ok(CallPreparation { arguments, update }) => {
                let is_fresh = update.is_some();
                if let Some(update) = update {
                    self.apply_functions(update);
                }
                match self.read_call(&name, &arguments) {
                    Ok(call) => return self.start_call(CallAttempt { call, arguments, is_retry: false }),
                    Err(error) if is_fresh => (error, None),
                    // The types may have changed since the session fetched them.
                    Err(_) => return self.prepare_again(name, arguments),
                }
            }
            Err(CallError::File(error)) => (error, None),
            Err(CallError::Client(error)) => {
                let lost = connection_error(&error);
                (self.error(error), lost)
            }
        };
        self.report(SessionEvent::CallRefused(error.message()));
        self.show(DisplayLines::error(&error, self.room.width));
        self.finish_input();
        self.finish_on_connection(lost.as_ref());
        self.start_waiting_inputs();
    }

    /// Fetches the functions if they have changed, to read the arguments again.
    fn prepare_again(&mut self, name: String, arguments: Vec<(String, Argument)>) {
        let fetched = self.fetch_functions();
        let prepared = Box::pin(async move {
            let update = fetched.await.map_err(CallError::Client)?;
            Ok(CallPreparation { arguments, update: Some(update) })
        });
        self.work.pending = Some(PendingCommand::Call { name, prepared });
    }

    /// Reads the arguments of a call by the types of their parameters.
    fn read_call(&self, name: &str, arguments: &[(String, Argument)]) -> Result<FunctionCall, CliError> {
        let Some(function) = self.function(name) else { return Err(self.no_such_function(name)) };
        let mut params = Map::new();
        for (param, argument) in arguments {
            params.insert(param.clone(), argument.value(function, param, AdviceCommands::CONSOLE)?);
        }
        let missing = function.params.iter().find(|param| param.is_required && !params.contains_key(&param.name));
        if let Some(missing) = missing {
            let why = format!("{} is missing: it is {}", missing.name, missing.type_text);
            return Err(CliError::bad_argument(name, &why, AdviceCommands::CONSOLE));
        }
        let bytes = serde_json::to_string(&params).map_or(0, |json| json.len() as u64) + ENVELOPE_BYTES;
        let max_kib = self.connection.circle.as_ref().map_or(u64::MAX, |circle| circle.limits.message_kib);
        // The circle would close the connection, and the session would lose its variables.
        if bytes > max_kib.saturating_mul(1024) {
            let why = format!(
                "its arguments have {}, and the circle accepts messages up to {max_kib} KiB",
                quantity::size(bytes)
            );
            return Err(CliError::usage(format!("cannot call {name}"), why, "send less"));
        }
        Ok(FunctionCall { name: name.to_owned(), params })
    }

    fn start_call(&mut self, attempt: CallAttempt) {
        let note = self.function(&attempt.call.name).and_then(deprecation_note);
        if let Some(note) = note.filter(|_| !attempt.is_retry) {
            self.remark(&note);
        }
        self.notebook.begin_call();
        let request = self.remote.clone().call(attempt.call.clone());
        self.start(RunningWork::Call(request, attempt), String::new(), Purpose::Value);
    }

    /// Handles the end of the call of a function.
    pub(super) fn finish_call(
        &mut self,
        attempt: &CallAttempt,
        is_cancelled: bool,
        result: Result<PlayResult, ClientError>,
    ) {
        match result {
            Ok(result) => {
                let result = Arc::new(result);
                self.notebook.record_call(result.clone());
                let lines = value::format_unbound_value(&result, self.room.width);
                let lines = truncate::truncate_lines(lines, self.room);
                self.show(DisplayLines { lines, kind: DisplayKind::Value, result: Some(result) });
                self.finish_on_connection(None);
            }
            Err(ClientError::Rpc(RpcError::Cancelled)) if is_cancelled => {
                self.remark(messages::CALL_CANCELLED);
                self.finish_on_connection(None);
            }
            Err(error) => {
                let is_refused = is_refusal(&error);
                let error = self.call_error(&attempt.call.name, error);
                return self.fail_call(error, is_refused);
            }
        }
        self.finish_input();
        self.start_waiting_inputs();
    }

    /// Handles what the circle says about the functions after it has refused a call: it did not run, so the session calls
    /// again if the arguments have another meaning now.
    pub(super) fn finish_refused_call(&mut self, attempt: CallAttempt, is_cancelled: bool, error: ClientError) {
        let CallAttempt { call, arguments, .. } = attempt;
        let error = match self.read_call(&call.name, &arguments) {
            Ok(again) if again != call && !is_cancelled => {
                self.note_rights();
                return self.start_call(CallAttempt { call: again, arguments, is_retry: true });
            }
            Ok(_) => self.call_error(&call.name, error),
            Err(reason) => (reason, None),
        };
        self.fail_call(error, true);
    }

    /// Shows the error of a call, with the error of the connection if that is lost. The function of a refused call has not
    /// run.
    fn fail_call(&mut self, (error, lost): (CliError, Option<ClientError>), is_refused: bool) {
        if is_refused {
            self.report(SessionEvent::CallRefused(error.message()));
        }
        let shown = DisplayLines::error(&error, self.room.width);
        self.notebook.record_call_failure(&shown.lines);
        self.show(shown);
        self.finish_on_connection(lost.as_ref());
        self.note_rights();
        self.finish_input();
        self.start_waiting_inputs();
    }

    /// The error of a call, with commands of the console; and the error of the connection if that is lost.
    fn call_error(&self, function: &str, error: ClientError) -> (CliError, Option<ClientError>) {
        let lost = connection_error(&error);
        let error = match error {
            ClientError::Rpc(RpcError::MethodNotFound { .. }) => self.no_such_function(function),
            ClientError::Rpc(RpcError::InvalidParams { param, reason }) => {
                CliError::bad_argument(function, &format!("{param}: {reason}"), AdviceCommands::CONSOLE)
            }
            error => CliError::from_call(function, &self.target, error),
        };
        (error, lost)
    }

    /// The error for a function that the caller may not call, or that does not exist.
    fn no_such_function(&self, name: &str) -> CliError {
        if self.connection.circle.as_ref().is_some_and(|circle| circle.functions.is_none()) {
            return CliError::no_functions(name, &self.target, "");
        }
        let caller = self.you().map(Caller::from).unwrap_or_default();
        let known = self.functions.list.as_deref().unwrap_or_default();
        CliError::function_not_found(name, &self.target, &caller, known, AdviceCommands::CONSOLE)
    }
}
