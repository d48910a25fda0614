//! Errors of calls of functions.

use std::fmt;

use client_ws::{CallerInfo, ClientError, FunctionInfo, RpcError, ScriptErrorKind};
use protocol::error::{BusyLimit, LimitSetting, LossReason, ScriptError};

use super::{CliError, ErrorParts, rpc_exit_code, to_visible};
use crate::{circle_target::CircleTarget, suggest};

/// Maximum number of characters of a thrown value that an error shows.
const MAX_THROWN_CHARS: usize = 4096;

/// The commands and options of a front end that advice names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdviceCommands {
    /// The command that lists and describes functions.
    pub functions: &'static str,
    /// The command or option that authenticates with a key.
    pub key: &'static str,
    /// The argument whose value is the text `@text`.
    pub text_with_at: &'static str,
}

impl AdviceCommands {
    /// The command line.
    pub const SHELL: Self =
        Self { functions: "circles functions", key: "--key NAME", text_with_at: "PARAM='\"@text\"'" };
    /// The consoles.
    pub const CONSOLE: Self = Self { functions: ":functions", key: ":key NAME", text_with_at: "PARAM=\"@text\"" };
}

/// The caller of a function, as the circle identifies it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The name of the member.
    pub name: Option<String>,
    /// The role.
    pub role: Option<String>,
    /// Whether the caller has authenticated with a key.
    pub has_key: bool,
}

impl From<&CallerInfo> for Caller {
    fn from(you: &CallerInfo) -> Self {
        Self { name: you.name.clone(), role: you.role.clone(), has_key: you.public_key.is_some() }
    }
}

/// Formats the caller after "you are".
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.has_key) {
            (Some(name), _) => f.write_str(&to_visible(name))?,
            (None, true) => f.write_str("a caller with a key that is no member's")?,
            (None, false) => f.write_str("an anonymous caller")?,
        }
        match &self.role {
            Some(role) => write!(f, ", with the role {}", to_visible(role)),
            None => f.write_str(", without a role"),
        }
    }
}

impl CliError {
    /// Converts a client's error about a call of a function.
    pub fn from_call(function: &str, target: &CircleTarget, error: ClientError) -> Self {
        match error {
            ClientError::Rpc(error) => {
                Self::Call { function: function.to_owned(), target: target.clone(), error: Box::new(error) }
            }
            ClientError::BadParams { function, reason } => {
                Self::usage(format!("cannot call {}", to_visible(&function)), to_visible(&reason), "")
            }
            error => Self::Client { target: target.clone(), error },
        }
    }

    /// Returns the error for a function that the caller may not call, or that does not exist; exit code 2. The circle
    /// does not say which.
    pub fn function_not_found(
        function: &str,
        target: &CircleTarget,
        caller: &Caller,
        functions: &[FunctionInfo],
        commands: AdviceCommands,
    ) -> Self {
        // A function that the client still knows may be gone.
        let others = functions.iter().map(|known| known.name.as_str()).filter(|known| *known != function);
        let mut fix = match suggest::nearest(function, others) {
            Some(near) => format!("did you mean {near}? "),
            None => String::new(),
        };
        fix.push_str("list what you may call: ");
        fix.push_str(commands.functions);
        if !caller.has_key {
            fix.push_str("; or authenticate with a key: ");
            fix.push_str(commands.key);
        }
        Self::usage(
            cannot_call(function, target),
            format!("the circle has no such function, or your role may not call it; you are {caller}"),
            fix,
        )
    }

    /// Returns the error for a call on a circle without functions; exit code 2.
    pub fn no_functions(function: &str, target: &CircleTarget, fix: &str) -> Self {
        Self::usage(cannot_call(function, target), "the circle has no functions", fix)
    }

    /// Returns the error for arguments that do not fit a function; exit code 2.
    pub fn bad_argument(function: &str, why: &str, commands: AdviceCommands) -> Self {
        let function = to_visible(function);
        let fix = format!("describe its parameters: {} {function}", commands.functions);
        Self::usage(format!("cannot call {function}"), to_visible(why), fix)
    }
}

fn cannot_call(function: &str, target: &CircleTarget) -> String {
    format!("you cannot call '{}' on {target}", to_visible(function))
}

/// The exit code of an error of a call.
pub(super) fn exit_code(error: &RpcError) -> u8 {
    match error {
        RpcError::MethodNotFound { .. } | RpcError::InvalidParams { .. } => 2,
        // The function failed, not the circle.
        RpcError::Internal => 1,
        error => rpc_exit_code(error),
    }
}

/// The script error to show with its trace; `None` for a thrown value, which is shown alone.
pub(super) fn script_error(error: &RpcError) -> Option<&ScriptError> {
    match error {
        RpcError::Script(error) if error.kind != ScriptErrorKind::Thrown => Some(error),
        _ => None,
    }
}

/// The parts of the message about a call.
pub(super) fn parts(function: &str, target: &CircleTarget, error: &RpcError) -> ErrorParts {
    let function = to_visible(function);
    let parts = |what: String, why: String, fix: String| ErrorParts { what, why, fix };
    let cannot = |why: String, fix: String| parts(format!("cannot call {function} on {target}"), why, fix);
    let stopped = |why: &str, fix: String| parts(format!("stopped {function}"), why.to_owned(), fix);
    match error {
        RpcError::Script(error) => {
            parts(format!("{function} threw"), thrown_text(error), super::limit_hint(error).unwrap_or_default())
        }
        RpcError::MethodNotFound { .. } => cannot(
            "the circle has no such function, or your role may not call it".into(),
            "list what you may call: circles functions".into(),
        ),
        RpcError::InvalidParams { param, reason } => parts(
            format!("cannot call {function}"),
            format!("{}: {}", to_visible(param), to_visible(reason)),
            format!("describe its parameters: circles functions {function}"),
        ),
        RpcError::Internal => parts(
            format!("{function} failed"),
            "it made an error that it did not throw deliberately, or its value does not have the declared type".into(),
            "the circle's log has the details: circles logs, or ask the operator of the circle".into(),
        ),
        RpcError::LimitExceeded { setting, max, .. } => match setting {
            Some(LimitSetting::TimeoutMs) => stopped(&format!("it ran longer than {max} ms"), "raise --timeout".into()),
            Some(LimitSetting::FunctionTimeout) => {
                stopped(&format!("it ran longer than {max} ms"), "raise @timeout of the function".into())
            }
            Some(setting @ LimitSetting::CallMs) => stopped(
                &format!("it ran longer than {max} ms"),
                format!(
                    "raise the circle's {setting} (\"limits\" in circles.json), or declare @timeout in the function"
                ),
            ),
            _ => {
                let why = super::stop_reason(error).unwrap_or_default();
                stopped(&format!("it {why}"), super::limit_fix(error))
            }
        },
        RpcError::EnvironmentLost { reason } => {
            let why = match reason {
                LossReason::Memory => "its worker ran out of memory",
                LossReason::Time => "it did not stop at its time limit",
                LossReason::Crash => "its worker crashed",
                LossReason::Killed => "its worker was killed",
                _ => "its worker ended",
            };
            stopped(why, "check what it has done before you call it again".into())
        }
        RpcError::Cancelled => stopped("someone cancelled the call", String::new()),
        RpcError::Busy { limit: BusyLimit::Calls, max, .. } => cannot(
            format!("too many calls wait or run ({max})"),
            "try again later; the limits are the circle's queued_calls and function_workers".into(),
        ),
        RpcError::RateLimited { retry_after_ms } => cannot(
            "you make too many calls".into(),
            format!(
                "try again in {}; the limit is per_minute of your role, or of the circle",
                super::rpc_fixes::seconds(*retry_after_ms)
            ),
        ),
        RpcError::ShuttingDown => parts(
            format!("no value of {function}"),
            "the circle is shutting down".into(),
            "the function may have run; check before you call it again".into(),
        ),
        error => {
            let why = match super::store_errors::reason(error) {
                Some((what, why)) => format!("{what}: {why}"),
                None => to_visible(&error.to_string()),
            };
            cannot(why, super::rpc_fix(error))
        }
    }
}

/// The thrown value: a text as it is, anything else as JSON.
fn thrown_text(error: &ScriptError) -> String {
    let Some(thrown) = &error.thrown else { return to_visible(&error.message) };
    let text = serde_json::from_str::<String>(thrown.get()).unwrap_or_else(|_| thrown.get().to_owned());
    to_visible(&text.chars().take(MAX_THROWN_CHARS).collect::<String>())
}

#[cfg(test)]
mod tests {
    use client_ws::ErrorObject;
    use serde_json::json;

    use super::*;
    use crate::functions::tests::shop;

    fn target() -> CircleTarget {
        CircleTarget::from_config("shop", "ws://127.0.0.1:9001/".into(), None)
    }

    /// The exit code and the lines of the error for a response.
    fn shown(code: i64, data: &serde_json::Value) -> (u8, String) {
        let object = json!({ "code": code, "message": "message", "data": data });
        let object: ErrorObject = serde_json::from_value(object).expect("an error object");
        let error = CliError::from_call("order.place", &target(), ClientError::Rpc(object.into()));
        let lines: Vec<String> = error.lines(200).iter().map(ToString::to_string).collect();
        (error.exit_code(), lines.join("\n"))
    }

    #[test]
    fn errors_of_calls_say_what_to_do() {
        let cases = [
            (
                shown(-32000, &json!({ "kind": "thrown", "thrown": { "code": "sold_out", "left": 3 } })),
                1,
                "error: order.place threw: {\"code\":\"sold_out\",\"left\":3}",
            ),
            (
                shown(-32000, &json!({ "kind": "thrown", "thrown": "sold out\u{1b}[2J" })),
                1,
                "error: order.place threw: sold out␛[2J",
            ),
            (shown(-32000, &json!({ "kind": "runtime", "line": 3 })), 1, "error: message (line 3)"),
            (
                shown(-32602, &json!({ "param": "items[2].count", "reason": "expected int 1..100" })),
                2,
                "error: cannot call order.place: items[2].count: expected int 1..100\n  \
                 describe its parameters: circles functions order.place",
            ),
            (
                shown(-32601, &json!({ "method": "fn.order.place" })),
                2,
                "error: cannot call order.place on circle 'shop' at ws://127.0.0.1:9001: the circle has no such function, or \
                 your role may not call it\n  list what you may call: circles functions",
            ),
            (
                shown(-32603, &json!(null)),
                1,
                "error: order.place failed: it made an error that it did not throw deliberately, or its value does not \
                 have the declared type\n  the circle's log has the details: circles logs, or ask the operator of the \
                 circle",
            ),
            (
                shown(-32004, &json!({ "limit": "time", "max": 2000, "setting": "call_ms" })),
                5,
                "error: stopped order.place: it ran longer than 2000 ms\n  \
                 raise the circle's call_ms (\"limits\" in circles.json), or declare @timeout in the function",
            ),
            (
                shown(-32004, &json!({ "limit": "time", "max": 50, "setting": "@timeout" })),
                5,
                "error: stopped order.place: it ran longer than 50 ms\n  raise @timeout of the function",
            ),
            (
                shown(-32004, &json!({ "limit": "size", "max": 64, "setting": "string_kib" })),
                5,
                "error: stopped order.place: it made a string larger than 64 KiB\n  \
                 raise the circle's string_kib (\"limits\" in circles.json, or circles serve --limit)",
            ),
            (
                shown(-32006, &json!({ "limit": "calls", "max": 64 })),
                5,
                "error: cannot call order.place on circle 'shop' at ws://127.0.0.1:9001: too many calls wait or run (64)\n  \
                 try again later; the limits are the circle's queued_calls and function_workers",
            ),
            (
                shown(-32007, &json!({ "retry_after_ms": 1500 })),
                5,
                "error: cannot call order.place on circle 'shop' at ws://127.0.0.1:9001: you make too many calls\n  \
                 try again in 2 seconds; the limit is per_minute of your role, or of the circle",
            ),
            (shown(-32005, &json!(null)), 5, "error: stopped order.place: someone cancelled the call"),
            (
                shown(-32008, &json!(null)),
                3,
                "error: no value of order.place: the circle is shutting down\n  \
                 the function may have run; check before you call it again",
            ),
        ];
        for ((code, text), expected_code, expected) in cases {
            assert_eq!((code, text.as_str()), (expected_code, expected));
        }
    }

    #[test]
    fn unknown_function_names_the_nearest_and_the_role() {
        let error = |name: &str, caller: &Caller| {
            let error = CliError::function_not_found(name, &target(), caller, &shop(), AdviceCommands::SHELL);
            assert_eq!(error.exit_code(), 2);
            error.lines(300).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        let member = Caller { name: Some("alice".into()), role: Some("clerk".into()), has_key: true };
        assert_eq!(
            error("prise", &member),
            "error: you cannot call 'prise' on circle 'shop' at ws://127.0.0.1:9001: the circle has no such function, or your \
             role may not call it; you are alice, with the role clerk\n  \
             did you mean price? list what you may call: circles functions"
        );
        let anonymous = Caller { role: Some("visitor".into()), ..Caller::default() };
        assert!(error("xyzzy", &anonymous).ends_with(
            "you are an anonymous caller, with the role visitor\n  \
             list what you may call: circles functions; or authenticate with a key: --key NAME"
        ));
        // The role has just lost the right to call it: the same name is no help.
        assert!(error("price", &anonymous).contains("\n  list what you may call"), "{}", error("price", &anonymous));
        let error = CliError::function_not_found("prise", &target(), &anonymous, &shop(), AdviceCommands::CONSOLE);
        assert_eq!(
            error.parts().fix,
            "did you mean price? list what you may call: :functions; or authenticate with a key: :key NAME"
        );
    }

    #[test]
    fn missing_right_to_play_names_the_commands_for_functions() {
        let object = json!({ "code": -32003, "message": "Forbidden",
            "data": { "reason": "your role visitor may not play", "missing": "play" } });
        let error = || -> RpcError { serde_json::from_value::<ErrorObject>(object.clone()).expect("an object").into() };
        let expected = "it does not let you play scripts: your role visitor may not play\n  \
                        list what you may call instead: circles functions; call one: circles call NAME";
        let play = CliError::Play { script: "1".into(), error: error() };
        let client = CliError::Client { target: target(), error: ClientError::Rpc(error()) };
        for (error, subject) in [(play, "the circle"), (client, "circle 'shop' at ws://127.0.0.1:9001")] {
            assert_eq!(error.exit_code(), 4);
            let lines: Vec<String> = error.lines(200).iter().map(ToString::to_string).collect();
            assert_eq!(lines.join("\n"), format!("error: {}", expected.replacen("it", subject, 1)));
        }
    }
}
