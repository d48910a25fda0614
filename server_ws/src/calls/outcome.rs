//! How a play or a call ends: why it is stopped, what that means for its host modules, and its error.

use protocol::{
    Limits, RpcError,
    error::{BusyLimit, LimitSetting, MissingRight, PlayLimit, ScriptError, ScriptErrorKind},
};
use serde_json::{Value, json};

use crate::{
    conversion::limit_exceeded,
    host::{self, MAX_DETACHED_CALLS, PlayEnd},
};

/// Why a play or a call is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// The client cancelled the play.
    Cancelled,
    /// The play exceeded its time limit.
    Time,
    /// The circle is shutting down.
    Shutdown,
    /// The play made too many host calls.
    HostCalls,
    /// The result of a host function is too large.
    HostBytes,
    /// The host functions printed too much.
    HostOutput,
    /// The caller has too many detached host calls.
    DetachedCalls,
    /// The role of the caller has lost the right to play.
    LostRight,
}

impl StopReason {
    /// Returns the error of a play or a call that is stopped. `max_ms` is its time limit, from this setting.
    pub(crate) fn error(self, limits: &Limits, max_ms: u64, setting: LimitSetting) -> RpcError {
        match self {
            Self::Cancelled => RpcError::Cancelled,
            Self::Time => limit_exceeded(PlayLimit::Time, max_ms, setting),
            Self::Shutdown => RpcError::ShuttingDown,
            Self::HostCalls => limit_exceeded(PlayLimit::Operations, limits.host_calls, LimitSetting::HostCalls),
            Self::HostBytes => limit_exceeded(PlayLimit::Size, limits.host_kib, LimitSetting::HostKib),
            Self::HostOutput => limit_exceeded(PlayLimit::Output, limits.output_kib, LimitSetting::OutputKib),
            Self::LostRight => lost_right_to_play(),
            Self::DetachedCalls => {
                RpcError::Busy { limit: BusyLimit::Running, max: MAX_DETACHED_CALLS, retry_after_ms: None }
            }
        }
    }
}

/// Returns the error of a play that waits while the role of its caller loses the right to play.
pub(crate) fn lost_right_to_play() -> RpcError {
    let reason = "the role of the caller may no longer play scripts".into();
    RpcError::Forbidden { reason, missing: Some(MissingRight::Play) }
}

/// Returns how a play ended, for its host modules.
pub(crate) fn play_end<T>(result: &Result<T, RpcError>) -> PlayEnd {
    match result {
        Ok(_) => PlayEnd::Succeeded,
        Err(RpcError::Cancelled) => PlayEnd::Cancelled,
        Err(RpcError::LimitExceeded { .. } | RpcError::Busy { .. }) => PlayEnd::Limited,
        Err(RpcError::ShuttingDown) => PlayEnd::ShutDown,
        Err(RpcError::EnvironmentLost { .. }) => PlayEnd::Lost,
        Err(_) => PlayEnd::Failed,
    }
}

/// Returns the error of a play whose end a module has refused. It looks like an error of the module that the script
/// did not catch.
pub(crate) fn refusal(module: &str, error: &host::Error) -> RpcError {
    let mut thrown = json!({ "error": worker::HOST_ERROR, "function": module, "message": error.message() });
    if let Some(code) = error.code() {
        thrown["code"] = code.into();
    }
    if let Some(data) = error.data() {
        thrown["data"] = data;
    }
    script_error(format!("{module}: {}", error.message()), ScriptErrorKind::Runtime, &thrown)
}

/// Returns the error of a script that threw this value at no known place.
pub(super) fn script_error(message: String, kind: ScriptErrorKind, thrown: &Value) -> RpcError {
    RpcError::Script(Box::new(ScriptError {
        message,
        kind,
        line: None,
        column: None,
        function: None,
        hint: None,
        thrown: serde_json::value::to_raw_value(thrown).ok(),
        trace: Vec::new(),
    }))
}
