//! Reasons and fixes for the error responses of a circle.

use std::fmt::Display;

use client_ws::RpcError;
use protocol::error::{BusyLimit, LimitSetting, LossReason, PlayLimit};

use super::store_errors;

/// Returns why the circle stopped a play; `None` for errors of other kinds.
pub(crate) fn stop_reason(error: &RpcError) -> Option<String> {
    Some(match error {
        RpcError::ResultLost { max, is_recorded: false, .. } => {
            format!("succeeded, and its result is larger than {max} KiB")
        }
        RpcError::ResultLost { .. } => "succeeded earlier; only smaller results are recorded".into(),
        RpcError::LimitExceeded { setting: Some(setting), max, .. } => exceeded(*setting, *max),
        RpcError::LimitExceeded { limit, max, setting: None } => match limit {
            PlayLimit::Time => format!("ran longer than {max} ms"),
            PlayLimit::Operations => format!("took more than {max} operations or host calls"),
            PlayLimit::Memory => format!("used more than {max} MiB of memory"),
            PlayLimit::Output => format!("produced more than {max} KiB of output"),
            PlayLimit::Depth => format!("nested deeper than {max} levels"),
            PlayLimit::Size => format!("made a value larger than the limit ({max})"),
            other => format!("exceeded the limit {other} ({max})"),
        },
        RpcError::EnvironmentLost { reason } => match reason {
            LossReason::Memory => "the session ran out of memory",
            LossReason::Time => "the play did not stop within a second of its time limit",
            LossReason::Crash => "the session's worker crashed",
            LossReason::Killed => "the session's worker was killed",
            LossReason::Idle => "the session was idle for too long",
            _ => "the circle gives a reason that this version does not know",
        }
        .into(),
        RpcError::Cancelled => "someone cancelled the play".into(),
        RpcError::ShuttingDown => "the circle is shutting down".into(),
        _ => return None,
    })
}

/// Returns which limit a play exceeded.
fn exceeded(setting: LimitSetting, max: u64) -> String {
    match setting {
        LimitSetting::PlayMs | LimitSetting::TimeoutMs | LimitSetting::CallMs | LimitSetting::FunctionTimeout => {
            format!("ran longer than {max} ms")
        }
        LimitSetting::Operations => format!("took more than {max} operations"),
        LimitSetting::HostCalls => format!("called host functions more than {max} times"),
        LimitSetting::MemoryMib => format!("used more than {max} MiB of memory"),
        LimitSetting::OutputKib => format!("produced more than {max} KiB of output"),
        LimitSetting::CallDepth => format!("called functions more than {max} levels deep"),
        LimitSetting::ExpressionDepth => format!("has an expression or block nested deeper than {max} levels"),
        LimitSetting::StringKib => format!("made a string larger than {max} KiB"),
        LimitSetting::ArrayItems => format!("made an array or blob of more than {max} items"),
        LimitSetting::MapItems => format!("made a map of more than {max} properties"),
        LimitSetting::HostKib => format!("passed more than {max} KiB to or from a host function"),
        other => format!("exceeded {other} ({max})"),
    }
}

/// Returns how to raise a limit.
fn raise(setting: LimitSetting) -> String {
    match setting {
        LimitSetting::TimeoutMs => "raise --timeout".into(),
        LimitSetting::FunctionTimeout => "raise @timeout of the function".into(),
        LimitSetting::CallDepth => format!("look for a recursion without an end, or {}", raise_of_circle(setting)),
        setting => raise_of_circle(setting),
    }
}

pub(super) fn raise_of_circle(setting: impl Display) -> String {
    format!("raise the circle's {setting} (\"limits\" in circles.json, or circles serve --limit)")
}

/// Returns what the user can do about an exceeded limit; empty for other errors.
pub(super) fn limit_fix(error: &RpcError) -> String {
    match error {
        RpcError::LimitExceeded { setting: Some(setting), .. } => raise(*setting),
        // From here on, errors of circles that do not name the setting; or of a value, whose depth has none.
        RpcError::LimitExceeded { limit: PlayLimit::Time, .. } => {
            format!("raise --timeout, or the circle's {}", play_limit_settings(PlayLimit::Time))
        }
        RpcError::LimitExceeded { limit: PlayLimit::Depth, .. } => {
            format!("raise the circle's {}, or nest values less deeply", play_limit_settings(PlayLimit::Depth))
        }
        RpcError::LimitExceeded { limit, .. } => format!("raise the circle's {}", play_limit_settings(*limit)),
        _ => String::new(),
    }
}

/// Returns what the user can do about an error response.
pub(crate) fn rpc_fix(error: &RpcError) -> String {
    match error {
        RpcError::LimitExceeded { .. } => format!("{}; changes made so far are kept", limit_fix(error)),
        RpcError::EnvironmentLost { .. } => "the variables are gone; the next play gets a new environment".into(),
        RpcError::ResultLost { .. } => "do not send it again: it has taken effect".into(),
        RpcError::Cancelled => "changes made so far are kept".into(),
        // Without worker machines, no time is known.
        RpcError::Busy { limit: BusyLimit::Workers, retry_after_ms: Some(time), .. } => format!(
            "try again in {}; no worker machine of the circle has room, or there is none: its operator sees the reason in \
             circles status",
            seconds(*time)
        ),
        RpcError::Busy { limit, .. } => {
            format!("try again later; the limit is the circle's {}", busy_limit_settings(*limit))
        }
        RpcError::RateLimited { retry_after_ms } => format!(
            "try again in {}; the limit is the circle's per_minute, or its limit for clients without a key",
            seconds(*retry_after_ms)
        ),
        RpcError::ShuttingDown => "try again later".into(),
        RpcError::Unauthenticated => "authenticate with a key: --key NAME".into(),
        RpcError::InvalidCredentials => "the circle did not accept the signature; try again".into(),
        RpcError::Internal => "the circle's log says what happened; please report it".into(),
        other => store_errors::fix(other),
    }
}

/// Formats milliseconds as whole seconds, rounded up.
pub(super) fn seconds(ms: u64) -> String {
    match ms.div_ceil(1000) {
        0 | 1 => "a second".into(),
        seconds => format!("{seconds} seconds"),
    }
}

/// The settings in circles.json that a play's limit can come from, with the unit of the number in the error.
fn play_limit_settings(limit: PlayLimit) -> &'static str {
    match limit {
        PlayLimit::Time => "play_ms",
        PlayLimit::Operations => "operations or host_calls",
        PlayLimit::Memory => "memory_mib (MiB)",
        PlayLimit::Output => "output_kib (KiB)",
        PlayLimit::Depth => "call_depth or expression_depth (levels)",
        PlayLimit::Size => "string_kib (KiB), array_items (items, bytes), map_items (properties) or host_kib (KiB)",
        _ => "limits",
    }
}

/// The settings in circles.json that a bound of a session or a circle can come from.
fn busy_limit_settings(limit: BusyLimit) -> &'static str {
    match limit {
        BusyLimit::Queued => "queued_plays or queued_kib (KiB) of a session",
        BusyLimit::Running => "running_plays",
        BusyLimit::Calls => "queued_calls or function_workers",
        BusyLimit::Sessions => "sessions_per_caller",
        BusyLimit::Workers => "workers",
        BusyLimit::Memory => "total_mib or memory_per_caller_mib (MiB)",
        BusyLimit::Commits => "disk, for which too many commits wait",
        BusyLimit::Subscriptions => "the subscriptions of a session, which are fixed",
        _ => "limits",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_of_the_protocol_has_a_text_of_its_own() {
        for limit in PlayLimit::ALL.iter().copied() {
            let reason = stop_reason(&RpcError::LimitExceeded { limit, max: 1, setting: None }).expect("a reason");
            assert!(!reason.starts_with("exceeded"), "{limit}: {reason}");
            assert_ne!(play_limit_settings(limit), "limits", "{limit}");
        }
        for setting in LimitSetting::ALL.iter().copied() {
            assert!(!exceeded(setting, 1).starts_with("exceeded"), "{setting}");
        }
        for limit in BusyLimit::ALL.iter().copied() {
            assert_ne!(busy_limit_settings(limit), "limits", "{limit}");
        }
        for reason in LossReason::ALL.iter().copied().filter(|reason| *reason != LossReason::Unknown) {
            let text = stop_reason(&RpcError::EnvironmentLost { reason }).expect("a reason");
            assert!(!text.contains("does not know"), "{reason}: {text}");
        }
    }
    use crate::error::CliError;

    #[test]
    fn settings_are_those_of_the_documentation() {
        let documented = include_str!("../../../docs/operating.md");
        let plays = [
            PlayLimit::Time,
            PlayLimit::Operations,
            PlayLimit::Memory,
            PlayLimit::Output,
            PlayLimit::Depth,
            PlayLimit::Size,
        ];
        let busy = [BusyLimit::Queued, BusyLimit::Running, BusyLimit::Sessions, BusyLimit::Workers, BusyLimit::Memory];
        for text in plays.into_iter().map(play_limit_settings).chain(busy.into_iter().map(busy_limit_settings)) {
            let is_name = |word: &&str| word.contains('_') || matches!(*word, "operations" | "workers");
            let names: Vec<&str> = text.split([' ', ',']).filter(is_name).collect();
            assert!(!names.is_empty(), "{text}");
            for name in names {
                assert!(documented.contains(&format!("| `{name}` |")), "{name}");
            }
        }
    }

    #[test]
    fn limit_error_names_its_possible_settings() {
        let fix = rpc_fix(&RpcError::LimitExceeded { limit: PlayLimit::Size, max: 1024, setting: None });
        assert!(fix.contains("string_kib (KiB), array_items (items, bytes), map_items"), "{fix}");
        let fix = rpc_fix(&RpcError::LimitExceeded { limit: PlayLimit::Operations, max: 9, setting: None });
        assert_eq!(fix, "raise the circle's operations or host_calls; changes made so far are kept");
    }

    #[test]
    fn limit_error_says_which_limit_it_was_and_how_to_raise_it() {
        let shown = |setting, max| {
            let error = RpcError::LimitExceeded { limit: PlayLimit::Size, max, setting: Some(setting) };
            (stop_reason(&error).expect("a reason"), rpc_fix(&error))
        };
        let (why, fix) = shown(LimitSetting::StringKib, 1024);
        assert_eq!(why, "made a string larger than 1024 KiB");
        assert!(fix.starts_with("raise the circle's string_kib (\"limits\" in circles.json"), "{fix}");
        let (why, fix) = shown(LimitSetting::TimeoutMs, 50);
        assert_eq!(
            (why.as_str(), fix.as_str()),
            ("ran longer than 50 ms", "raise --timeout; changes made so far are kept")
        );
    }

    #[test]
    fn rate_limit_is_shown_with_the_time_to_wait() {
        for (retry_after_ms, time) in [(1, "a second;"), (1001, "2 seconds;"), (60_000, "60 seconds;")] {
            let fix = rpc_fix(&RpcError::RateLimited { retry_after_ms });
            assert!(fix.starts_with(&format!("try again in {time} the limit is the circle's per_minute")), "{fix}");
        }
        assert!(include_str!("../../../docs/operating.md").contains("| `per_minute` |"));
    }

    #[test]
    fn shutdown_error_does_not_suggest_a_retry() {
        let error = CliError::Play { script: "1".into(), error: RpcError::ShuttingDown };
        assert_eq!(error.exit_code(), 3);
        let lines: Vec<String> = error.lines(80).iter().map(ToString::to_string).collect();
        let expected =
            ["error: no result: the circle is shutting down", "  the play may have run; check before you retry it"];
        assert_eq!(lines, expected);
    }
}
