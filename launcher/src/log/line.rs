//! Format of log lines: how to write one, and how to read its time.

use std::time::{Duration, SystemTime};

use serde_json::value::RawValue;

use crate::fields::LogFormat;

/// Severity of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Normal operation.
    Info,
    /// Something was lost or given up.
    Warn,
    /// Something failed.
    Error,
}

impl LogLevel {
    fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

impl LogFormat {
    /// Formats a line as a circle writes it, with its newline.
    pub fn format_line(self, now: SystemTime, level: LogLevel, message: &str) -> String {
        let (now, level) = (humantime::format_rfc3339_micros(now), level.as_str());
        match self {
            Self::Text => format!("{now} {level:>5} {message}\n"),
            Self::Json => {
                let message = serde_json::Value::from(message);
                format!("{{\"timestamp\":\"{now}\",\"level\":\"{level}\",\"message\":{message}}}\n")
            }
        }
    }
}

/// Returns the time in a line of a log or an audit; `None` for a continuation line or a truncated one.
pub(super) fn line_time(line: &str) -> Option<SystemTime> {
    #[derive(serde::Deserialize)]
    struct TimestampField<'a> {
        #[serde(borrow)]
        timestamp: &'a RawValue,
    }
    let timestamp = if line.starts_with('{') {
        // The first field, so that the line need not be parsed to its end.
        match line.strip_prefix("{\"timestamp\":\"") {
            Some(rest) => rest.split('"').next()?,
            None => serde_json::from_str::<TimestampField>(line).ok()?.timestamp.get().trim_matches('"'),
        }
    } else {
        line.split(' ').next()?
    };
    humantime::parse_rfc3339(timestamp).ok()
}

/// Parses a time in RFC 3339, with any offset from UTC.
pub fn parse_time(text: &str) -> Option<SystemTime> {
    let (local, offset) = match text.char_indices().rev().nth(5) {
        Some((at, sign @ ('+' | '-'))) => {
            let (hours, minutes) = text[at + 1..].split_once(':')?;
            let two = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok())?;
            let (hours, minutes): (u64, u64) = (two(hours)?, two(minutes)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (&text[..at], Some((sign, Duration::from_secs((hours * 60 + minutes) * 60))))
        }
        _ => (text, None),
    };
    let Some((sign, offset)) = offset else { return humantime::parse_rfc3339(local).ok() };
    let local = humantime::parse_rfc3339(&format!("{local}Z")).ok()?;
    // East of Greenwich, local time is ahead.
    if sign == '+' { local.checked_sub(offset) } else { local.checked_add(offset) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_time_accepts_any_offset() {
        let noon = humantime::parse_rfc3339("2026-11-24T12:00:00Z").expect("a time");
        for text in ["2026-11-24T12:00:00Z", "2026-11-24T14:30:00+02:30", "2026-11-24T07:00:00.000-05:00"] {
            assert_eq!(parse_time(text), Some(noon), "{text}");
        }
        for text in ["", "noon", "2026-11-24", "2026-11-24T12:00:00", "2026-11-24T12:00:00+24:00", "ä+02:00", "+1:000"]
        {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn line_time_reads_both_formats() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_micros(1_795_500_000_000_001);
        for format in [LogFormat::Text, LogFormat::Json] {
            let line = format.format_line(now, LogLevel::Info, "a \"word\"\nand more");
            assert_eq!(line_time(&line), Some(now), "{line}");
        }
        assert_eq!(
            line_time(r#"{"level":"INFO","timestamp":"2026-11-24T12:00:00Z"}"#),
            parse_time("2026-11-24T12:00:00Z")
        );
        for line in ["", "and more", "{", r#"{"timestamp":"#, r#"{"timestamp":"soon"}"#, r#"{"level":1}"#] {
            assert_eq!(line_time(line), None, "{line}");
        }
    }
}
