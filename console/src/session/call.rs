//! Calls of functions: reading the arguments, the start and the end. A call runs like a play, but in no environment: its
//! value is bound to nothing, and the notebook keeps it for `:last`, `:copy` and `:json` only.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use client_ws::{ClientError, FunctionInfo, JsonValue, PlayResult, RpcError};
use frontend::{
    error::{Caller, CliError},
    quantity, suggest,
    visible::visible,
};
use serde_json::Map;

use super::{
    core::Core,
    event::{DisplayKind, DisplayLines, SessionEvent},
    functions::{self, FunctionsUpdate},
    inputs::{connection_error, value_lines},
    messages,
    pending::{BlockingResult, PendingCommand, PlayKind, Purpose, finished},
};
use crate::{
    ENVELOPE_BYTES,
    commands::{ArgumentSource, CallArgument, CallCommand},
};

/// The maximum size of a value from a file, in bytes. A circle accepts far less.
const MAX_VALUE_BYTES: u64 = 64 << 20;

/// A call of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionCall {
    /// The name of the function.
    pub name: String,
    /// The parameters by name.
    pub params: Map<String, JsonValue>,
}

/// The texts of the arguments, and the functions if they were fetched for the call.
pub(super) struct CallPreparation {
    texts: Vec<(String, String)>,
    update: Option<FunctionsUpdate>,
}

/// Why a call was not prepared.
pub(super) enum CallError {
    /// A file cannot be read.
    File(CliError),
    /// The functions cannot be fetched.
    Client(ClientError),
}

impl Core {
    /// Reads the arguments of a call, and fetches the functions unless the called one is known.
    pub(super) fn prepare_call(&mut self, call: CallCommand) {
        let CallCommand { name, arguments } = call;
        let has_files = arguments.iter().any(|argument| matches!(argument.source, ArgumentSource::File(_)));
        let directory = self.directory.clone();
        let read = move || -> Result<Vec<(String, String)>, CliError> {
            let text = |CallArgument { param, source }| {
                let text = match source {
                    ArgumentSource::Text(text) => text,
                    ArgumentSource::File(file) => read_value(&param, &directory.resolve(&file))?,
                };
                Ok((param, text))
            };
            arguments.into_iter().map(text).collect()
        };
        let is_known = self.function(&name).is_some();
        let fetch = (!is_known).then(|| functions::fetch(self.remote.clone(), None));
        let prepared = Box::pin(async move {
            let texts = if has_files {
                let mut reading: BlockingResult<_> = Box::pin(tokio::task::spawn_blocking(read));
                finished(&mut reading).await
            } else {
                read()
            };
            let texts = texts.map_err(CallError::File)?;
            let update = match fetch {
                Some(fetch) => Some(fetch.await.map_err(CallError::Client)?),
                None => None,
            };
            Ok(CallPreparation { texts, update })
        });
        self.work.pending = Some(PendingCommand::Call { name, prepared });
    }

    fn function(&self, name: &str) -> Option<&FunctionInfo> {
        self.functions.list.as_ref()?.iter().find(|function| function.name == name)
    }

    /// Starts a call whose arguments were read.
    pub(super) fn on_call_prepared(&mut self, prepared: Result<CallPreparation, CallError>) {
        let Some(PendingCommand::Call { name, .. }) = self.work.pending.take() else { return };
        let (error, is_lost) = match prepared {
            Ok(CallPreparation { texts, update }) => {
                if let Some(update) = update {
                    self.apply_functions(update);
                }
                match self.read_call(&name, texts) {
                    Ok(call) => return self.start_call(call),
                    Err(error) => (error, None),
                }
            }
            Err(CallError::File(error)) => (error, None),
            Err(CallError::Client(error)) => {
                let is_lost = connection_error(&error);
                (self.error(error), is_lost)
            }
        };
        self.report(SessionEvent::CallRefused(error.message()));
        self.show(DisplayLines::error(&error, self.room.width));
        self.finish_input();
        self.finish_on_connection(is_lost.as_ref());
        self.start_waiting_inputs();
    }

    /// Reads the arguments of a call by the types of their parameters.
    fn read_call(&self, name: &str, texts: Vec<(String, String)>) -> Result<FunctionCall, CliError> {
        let Some(function) = self.function(name) else { return Err(self.no_such_function(name)) };
        let mut params = Map::new();
        for (param, text) in texts {
            let value = function.argument(&param, &text).map_err(|error| bad_argument(name, &error.to_string()))?;
            params.insert(param, value);
        }
        let missing = function.params.iter().find(|param| param.is_required && !params.contains_key(&param.name));
        if let Some(missing) = missing {
            let why = format!("{} is missing: it is {}", missing.name, missing.type_text);
            return Err(bad_argument(name, &why));
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

    fn start_call(&mut self, call: FunctionCall) {
        if self.function(&call.name).is_some_and(|function| function.is_deprecated) {
            self.remark(&messages::deprecated(&call.name));
        }
        self.notebook.begin_call();
        let name = call.name.clone();
        let call = PlayKind::Call(self.remote.clone().call(call));
        self.start(call, name, Purpose::Value);
    }

    /// Handles the end of the call of a function.
    pub(super) fn finish_call(&mut self, function: &str, is_cancelled: bool, result: Result<PlayResult, ClientError>) {
        match result {
            Ok(result) => {
                let result = Arc::new(result);
                self.notebook.record_call(result.clone());
                let lines = value_lines(&result, self.room);
                self.show(DisplayLines { lines, kind: DisplayKind::Value, result: Some(result) });
                self.finish_on_connection(None);
            }
            Err(ClientError::Rpc(RpcError::Cancelled)) if is_cancelled => {
                self.remark(messages::CALL_CANCELLED);
                self.finish_on_connection(None);
            }
            Err(error) => {
                let is_lost = connection_error(&error);
                let is_refused =
                    matches!(error, ClientError::Rpc(RpcError::MethodNotFound { .. } | RpcError::InvalidParams { .. }));
                // The circle may have other functions, or other types, than the session knows.
                if is_refused {
                    self.refresh_functions();
                }
                let error = self.call_error(function, error);
                if is_refused {
                    self.report(SessionEvent::CallRefused(error.message()));
                }
                let shown = DisplayLines::error(&error, self.room.width);
                self.notebook.record_call_failure(&shown.lines);
                self.show(shown);
                self.finish_on_connection(is_lost.as_ref());
            }
        }
        self.finish_input();
        self.start_waiting_inputs();
    }

    /// The error of a call, with commands of the console.
    fn call_error(&self, function: &str, error: ClientError) -> CliError {
        match error {
            ClientError::Rpc(RpcError::MethodNotFound { .. }) => self.no_such_function(function),
            ClientError::Rpc(RpcError::InvalidParams { param, reason }) => {
                bad_argument(function, &format!("{param}: {reason}"))
            }
            error => CliError::from_call(function, &self.target, error),
        }
    }

    /// The error for a function that the caller may not call, or that does not exist.
    fn no_such_function(&self, name: &str) -> CliError {
        let what = format!("cannot call {} on {}", visible(name), self.target);
        if self.connection.circle.as_ref().is_some_and(|circle| circle.functions.is_none()) {
            return CliError::usage(what, "the circle has no functions", "");
        }
        let caller = self.you().map(Caller::from).unwrap_or_default();
        let known = self.functions.list.as_deref().unwrap_or_default();
        let near = suggest::nearest(name, known.iter().map(|function| function.name.as_str()));
        let near = near.map_or_else(String::new, |near| format!("did you mean {near}? "));
        let key = if caller.has_key { "" } else { messages::KEY_HINT };
        CliError::usage(
            what,
            format!("the circle has no such function, or your role may not call it; you are {caller}"),
            format!("{near}list what you may call: :functions{key}"),
        )
    }
}

/// The error for arguments that do not fit.
fn bad_argument(function: &str, why: &str) -> CliError {
    let fix = format!("describe its parameters: :functions {function}");
    CliError::usage(format!("cannot call {function}"), visible(why), fix)
}

/// Reads the value of a parameter from a file. Refuses pipes and the like: without a writer, reading one would block
/// forever.
fn read_value(param: &str, file: &Path) -> Result<String, CliError> {
    let read = || {
        if file.metadata()?.is_file() || file.is_dir() {
            let mut text = String::new();
            if File::open(file)?.take(MAX_VALUE_BYTES + 1).read_to_string(&mut text)? as u64 > MAX_VALUE_BYTES {
                return Err(io::Error::other(format!("it is larger than {} MiB", MAX_VALUE_BYTES >> 20)));
            }
            return Ok(text);
        }
        Err(io::Error::other("it is not a regular file"))
    };
    read().map_err(|error| {
        let what = format!("cannot read the value of {} from {}", visible(param), visible(&file.display().to_string()));
        let fix = match error.kind() {
            io::ErrorKind::InvalidData => "save it as UTF-8",
            _ => "check its name; for a text that begins with @, write a JSON string: PARAM=\"@text\"",
        };
        CliError::io(what, &error, fix)
    })
}
