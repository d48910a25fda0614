//! What a user can do about an answer of a circle that is no result.

use client_ws::RpcError;
use protocol::error::{BusyLimit, PlayLimit};

pub(crate) fn rpc_fix(error: &RpcError) -> String {
    match error {
        RpcError::LimitExceeded { limit: PlayLimit::Time, .. } => format!(
            "the circle's {}, or a shorter time that was asked for; what it had done stays done",
            play_limit_settings(PlayLimit::Time)
        ),
        RpcError::LimitExceeded { limit: PlayLimit::Depth, .. } => format!(
            "the circle's {}, or how deep a value may be; what it had done stays done",
            play_limit_settings(PlayLimit::Depth)
        ),
        RpcError::LimitExceeded { limit, .. } => {
            format!("the circle's {}; what it had done stays done", play_limit_settings(*limit))
        }
        RpcError::EnvironmentLost { .. } => "its variables are gone; the next play gets a fresh environment".into(),
        RpcError::Cancelled => "someone cancelled it; what it had done stays done".into(),
        RpcError::Busy { limit, .. } => format!("try again later; it is the circle's {}", busy_limit_settings(*limit)),
        RpcError::RateLimited { retry_after_ms } => format!(
            "try again in {}; it is the circle's per_minute, or its limit for clients without a key",
            seconds(*retry_after_ms)
        ),
        RpcError::ShuttingDown => "try again later".into(),
        RpcError::Unauthenticated => "authenticate with a key: --key NAME".into(),
        RpcError::InvalidCredentials => "the circle did not accept the signature; try again".into(),
        RpcError::Internal => "the circle's log says what happened; please report it".into(),
        _ => String::new(),
    }
}

/// Whole seconds, rounded up.
fn seconds(ms: u64) -> String {
    match ms.div_ceil(1000) {
        0 | 1 => "a second".into(),
        seconds => format!("{seconds} seconds"),
    }
}

/// The settings in circles.json that a limit of a play can be, with the unit in which it is told.
fn play_limit_settings(limit: PlayLimit) -> &'static str {
    match limit {
        PlayLimit::Time => "play_ms (milliseconds)",
        PlayLimit::Operations => "operations or host_calls",
        PlayLimit::Memory => "memory_mib (MiB)",
        PlayLimit::Output => "output_kib (KiB)",
        PlayLimit::Depth => "call_depth or expression_depth (levels)",
        PlayLimit::Size => "string_kib (KiB), array_items (items, bytes), map_items (properties) or host_kib (KiB)",
    }
}

/// The same for what a circle has no room for.
fn busy_limit_settings(limit: BusyLimit) -> &'static str {
    match limit {
        BusyLimit::Queued => "queued_plays or queued_kib (KiB) of a session",
        BusyLimit::Running => "running_plays",
        BusyLimit::Sessions => "sessions_per_caller",
        BusyLimit::Workers => "workers",
        BusyLimit::Memory => "total_mib or memory_per_caller_mib (MiB)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        for told in plays.into_iter().map(play_limit_settings).chain(busy.into_iter().map(busy_limit_settings)) {
            let is_name = |word: &&str| word.contains('_') || matches!(*word, "operations" | "workers");
            let names: Vec<&str> = told.split([' ', ',']).filter(is_name).collect();
            assert!(!names.is_empty(), "{told}");
            for name in names {
                assert!(documented.contains(&format!("| `{name}` |")), "{name}");
            }
        }
    }

    #[test]
    fn limit_error_names_its_possible_settings() {
        let fix = rpc_fix(&RpcError::LimitExceeded { limit: PlayLimit::Size, max: 1024 });
        assert!(fix.contains("string_kib (KiB), array_items (items, bytes), map_items"), "{fix}");
        let fix = rpc_fix(&RpcError::LimitExceeded { limit: PlayLimit::Operations, max: 9 });
        assert_eq!(fix, "the circle's operations or host_calls; what it had done stays done");
    }

    #[test]
    fn rate_limit_is_shown_with_the_time_to_wait() {
        for (retry_after_ms, time) in [(1, "a second;"), (1001, "2 seconds;"), (60_000, "60 seconds;")] {
            let fix = rpc_fix(&RpcError::RateLimited { retry_after_ms });
            assert!(fix.starts_with(&format!("try again in {time} it is the circle's per_minute")), "{fix}");
        }
        assert!(include_str!("../../../docs/operating.md").contains("| `per_minute` |"));
    }

    #[test]
    fn shutdown_error_does_not_suggest_a_retry() {
        let error = CliError::Play { script: "1".into(), error: RpcError::ShuttingDown };
        assert_eq!(error.exit_code(), 3);
        let lines: Vec<String> = error.lines(80).iter().map(ToString::to_string).collect();
        let expected = [
            "error: the play has no result: the circle shuts down",
            "  what it had done, if it ran, stays done; look before you play it again",
        ];
        assert_eq!(lines, expected);
    }
}
