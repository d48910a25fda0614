//! Reasons and fixes for errors of the store of a circle.

use client_ws::RpcError;
use protocol::error::{ConflictCause, Happened, ScriptError, StoreFault};

use super::{rpc_fixes::raise_of_circle, to_visible};

/// The settings of circles.json that limit a transaction, or what one operation reads.
const LIMIT_SETTINGS: [&str; 6] = ["store_reads", "store_writes", "store_kib", "value_kib", "events", "host_kib"];

/// Returns what failed and why; `None` for errors of other kinds.
pub(super) fn reason(error: &RpcError) -> Option<(&'static str, String)> {
    Some(match error {
        RpcError::Conflict { cause, key, attempts } => {
            let attempts = if *attempts > 1 { format!(" ({attempts} attempts)") } else { String::new() };
            let why = match (cause, key) {
                (ConflictCause::Changed, Some(key)) => {
                    format!("another caller changed '{}' in the store in the meantime", to_visible(key))
                }
                (ConflictCause::Changed, None) => "another caller changed the store in the meantime".into(),
                (ConflictCause::TooOld, _) => "others changed the store too much since the first access to it".into(),
                _ => "the circle gives a cause that this version does not know".into(),
            };
            ("nothing was written", why + attempts.as_str())
        }
        RpcError::StoreUnavailable { cause, .. } => match cause {
            StoreFault::Full => ("the store takes no writes", "the store or its disk is full".into()),
            StoreFault::Failed => ("the store has failed", "its disk returned an error".into()),
            _ => ("the store is unavailable", "the circle gives a cause that this version does not know".into()),
        },
        _ => return None,
    })
}

/// Returns what the user can do; empty for errors of other kinds.
pub(super) fn fix(error: &RpcError) -> String {
    match error {
        RpcError::Conflict { cause: ConflictCause::TooOld, .. } => "try again, and read less at once".into(),
        RpcError::Conflict { .. } => "try again".into(),
        RpcError::StoreUnavailable { cause, happened } => {
            let effect = match happened {
                Happened::No => "nothing was written",
                _ => "either everything was written or nothing: look before you try again",
            };
            let fix = match cause {
                StoreFault::Full => {
                    "delete entries, raise the circle's store_mib (\"limits\" in circles.json, or circles serve --limit), \
                     or free disk space"
                }
                _ => return format!("{effect}; {}", restart_after_store_failure("NAME", "")),
            };
            format!("{effect}; {fix}")
        }
        _ => String::new(),
    }
}

/// What the user can do about a failed store of a circle of circles.json; `config_flag` is that of
/// [`config_flag`](crate::files::config_flag).
pub fn restart_after_store_failure(name: &str, config_flag: &str) -> String {
    format!("check the disk, then restart the circle: circles restart {name}{config_flag}")
}

/// Returns what the user can do about a limit of a transaction that a script did not catch; `None` for other errors.
pub(crate) fn limit_hint(error: &ScriptError) -> Option<String> {
    let thrown: serde_json::Value = serde_json::from_str(error.thrown.as_ref()?.get()).ok()?;
    let setting = LIMIT_SETTINGS.into_iter().find(|setting| thrown["data"]["setting"] == *setting)?;
    (thrown["code"] == "limit").then(|| {
        format!("do less in one transaction, or {}; nothing was written to the store", raise_of_circle(setting))
    })
}

#[cfg(test)]
mod tests {
    use client_ws::{ClientError, ErrorObject};
    use serde_json::{Value, json};

    use crate::{circle_target::CircleTarget, error::CliError};

    /// The exit codes and texts of a play, a call and another request for a response.
    fn shown(code: i64, data: &Value) -> [(u8, String); 3] {
        let target = || CircleTarget::from_config("shop", "ws://127.0.0.1:9001/".into(), None);
        let error = || -> ClientError {
            let object = json!({ "code": code, "message": "message", "data": data });
            ClientError::Rpc(serde_json::from_value::<ErrorObject>(object).expect("an object").into())
        };
        let errors = [
            CliError::from_play("1", &target(), error()),
            CliError::from_call("order.place", &target(), error()),
            CliError::Client { target: target(), error: error() },
        ];
        errors.map(|error| {
            let lines: Vec<String> = error.lines(400).iter().map(ToString::to_string).collect();
            (error.exit_code(), lines.join("\n"))
        })
    }

    #[test]
    fn errors_of_the_store_say_whether_something_happened() {
        let circle = "circle 'shop' at ws://127.0.0.1:9001";
        let cases = [
            (
                shown(-32010, &json!({ "cause": "changed", "key": "stock/tea\u{1b}", "attempts": 3 })),
                [
                    "nothing was written",
                    "cannot call order.place on {circle}: nothing was written",
                    "nothing was written",
                ],
                "another caller changed 'stock/tea␛' in the store in the meantime (3 attempts)\n  try again",
            ),
            (
                shown(-32010, &json!({ "cause": "too_old", "attempts": 1 })),
                [
                    "nothing was written",
                    "cannot call order.place on {circle}: nothing was written",
                    "nothing was written",
                ],
                "others changed the store too much since the first access to it\n  try again, and read less at once",
            ),
            (
                shown(-32011, &json!({ "cause": "full", "happened": "no" })),
                [
                    "the store takes no writes",
                    "cannot call order.place on {circle}: the store takes no writes",
                    "the store takes no writes",
                ],
                "the store or its disk is full\n  nothing was written; delete entries, raise the circle's store_mib (\"limits\" \
                 in circles.json, or circles serve --limit), or free disk space",
            ),
            (
                shown(-32011, &json!({ "cause": "failed", "happened": "unknown" })),
                [
                    "the store has failed",
                    "cannot call order.place on {circle}: the store has failed",
                    "the store has failed",
                ],
                "its disk returned an error\n  either everything was written or nothing: look before you try again; check the \
                 disk, then restart the circle: circles restart NAME",
            ),
        ];
        for (found, what, rest) in cases {
            for ((exit_code, text), what) in found.into_iter().zip(what) {
                let expected = format!("error: {}: {rest}", what.replace("{circle}", circle));
                assert_eq!((exit_code, text), (5, expected));
            }
        }
    }

    #[test]
    fn limit_of_a_transaction_names_its_setting() {
        let data = |setting: &str| {
            let thrown = json!({ "error": "host", "function": "store::put", "message": "too much", "code": "limit",
                "data": { "setting": setting, "max": 1024 } });
            json!({ "kind": "runtime", "message": "store::put: too much", "thrown": thrown })
        };
        let hint = "do less in one transaction, or raise the circle's store_kib (\"limits\" in circles.json, or circles serve \
                    --limit); nothing was written to the store";
        let [play, call, _] = shown(-32000, &data("store_kib")).map(|(_, text)| text);
        assert_eq!(play, format!("error: message\n  hint: {hint}"));
        assert!(call.contains(hint), "{call}");
        let [play, ..] = shown(-32000, &data("other")).map(|(_, text)| text);
        assert_eq!(play, "error: message");
    }

    #[test]
    fn missing_right_to_subscribe_names_the_role() {
        let data = json!({ "reason": "your role visitor may not subscribe to orders/", "missing": "subscribe" });
        let [_, _, (exit_code, text)] = shown(-32003, &data);
        let expected = "error: circle 'shop' at ws://127.0.0.1:9001 does not let you subscribe: your role visitor may not \
                        subscribe to orders/\n  ask its operator for \"subscribe\" in your role, or use another key: --key NAME";
        assert_eq!((exit_code, text.as_str()), (4, expected));
    }
}
