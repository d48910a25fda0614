//! Formats the lines of a circle's log and audit: for people, for a terminal, and as JSON.

use std::{borrow::Cow, fmt::Write};

use protocol::error::ERROR_CODES;
use serde_json::{Map, Value, json};

use crate::text::{Style, StyledLine};

/// The number of shown digits of a hash.
const HASH_DIGITS: usize = 12;

/// The end of a failed play in a log, before its error code.
const FAILED_PLAY: &str = "play finished code=";

/// Error code of a script's own error.
const SCRIPT_ERROR: i64 = -32000;

/// Formats a line of a log: JSON as plain text, other lines unchanged.
pub fn format_log(line: &str) -> Cow<'_, str> {
    let Some(mut fields) = parse_object(line) else { return Cow::Borrowed(line) };
    let mut take = |name: &str| fields.remove(name).map(|value| plain(&value)).unwrap_or_default();
    let mut text = format!("{} {:>5} ", take("timestamp"), take("level"));
    let message = take("message");
    if let Some(Value::Object(mut span)) = fields.remove("span") {
        let name = span.remove("name").map(|name| plain(&name)).unwrap_or_default();
        let span_fields: Vec<String> = span.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
        write!(text, "{name}{{{}}}: ", span_fields.join(" ")).expect("a string takes it");
    }
    text.push_str(&message);
    for (name, value) in &fields {
        write!(text, " {name}={}", plain(value)).expect("a string takes it");
    }
    Cow::Owned(text)
}

/// The levels of log lines, as they are written.
const LEVELS: [&str; 5] = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];

/// Returns the date of a line of a log or an audit, such as `2026-11-24` (UTC); `None` for a line without a time.
pub fn date(line: &str) -> Option<String> {
    match parse_object(line) {
        Some(fields) => clock(fields.get("timestamp")?.as_str()?).map(|(date, _)| date.to_owned()),
        None => text_parts(line).and_then(|(timestamp, ..)| clock(timestamp)).map(|(date, _)| date.to_owned()),
    }
}

/// Formats a line of a log for a terminal: the time of the day without the date, and the level in its colour.
pub fn styled_log(line: &str) -> StyledLine {
    let text = format_log(line);
    let Some((timestamp, level, message)) = text_parts(&text) else { return StyledLine::of(Style::Plain, &text) };
    let time = clock(timestamp).map_or(timestamp, |(_, time)| time);
    let style = match level {
        "ERROR" => Style::Error,
        "WARN" => Style::Warning,
        "INFO" => Style::Success,
        _ => Style::Dim,
    };
    StyledLine::of(Style::Dim, time)
        .with(Style::Plain, " ")
        .with(style, &format!("{level:>5}"))
        .with(Style::Plain, &format!(" {message}"))
}

/// Shortens a line of text of a log for a narrow pane: the time of the day without the date, and the name of a play's
/// error instead of its code.
pub fn short_log(line: &str) -> String {
    let Some((timestamp, level, message)) = text_parts(line) else { return name_error(line) };
    let time = clock(timestamp).map_or(timestamp, |(_, time)| time);
    name_error(&format!("{time} {level} {message}"))
}

/// Replaces the error code of a play by its name: `play finished code=-32000` becomes `play failed: script error`.
fn name_error(line: &str) -> String {
    let Some((before, after)) = line.split_once(FAILED_PLAY) else { return line.to_owned() };
    let end = after.find(' ').unwrap_or(after.len());
    let code: Option<i64> = after[..end].parse().ok();
    let name = match code {
        Some(SCRIPT_ERROR) => "script error".to_owned(),
        _ => match ERROR_CODES.iter().find(|(other, ..)| Some(*other) == code) {
            Some((_, name, _)) => name.to_lowercase(),
            None => return line.to_owned(),
        },
    };
    format!("{before}play failed: {name}{}", &after[end..])
}

/// Formats a line of a log or an audit as a JSON object with the name of its circle. A line of text gets the members
/// that a JSON log has: `timestamp`, `level` and `message`; a line without a time has `message` alone.
pub fn json_line<'a>(circle: &str, line: &'a str) -> Cow<'a, str> {
    let circle = Value::from(circle);
    match parse_object(line) {
        Some(fields) if fields.contains_key("circle") => Cow::Borrowed(line),
        Some(fields) if fields.is_empty() => format!("{{\"circle\":{circle}}}").into(),
        Some(_) => format!("{{\"circle\":{circle},{}", &line[1..]).into(),
        None => match text_parts(line) {
            Some((timestamp, level, message)) => {
                json!({ "circle": circle, "timestamp": timestamp, "level": level, "message": message })
            }
            None => json!({ "circle": circle, "message": line }),
        }
        .to_string()
        .into(),
    }
}

/// Returns the level of a line of a log as [`format_log`] and [`short_log`] show it.
pub fn level(line: &str) -> Option<&str> {
    parts(line, |time| is_time_of_day(time) || clock(time).is_some()).map(|(_, level, _)| level)
}

/// Splits a line of text into its time, its level and the rest.
fn text_parts(line: &str) -> Option<(&str, &str, &str)> {
    parts(line, |time| clock(time).is_some())
}

fn parts(line: &str, is_time: impl FnOnce(&str) -> bool) -> Option<(&str, &str, &str)> {
    let (timestamp, rest) = line.split_once(' ').filter(|(time, _)| is_time(time))?;
    let (level, message) = rest.trim_start().split_once(' ')?;
    LEVELS.contains(&level).then_some((timestamp, level, message))
}

/// Splits a time in RFC 3339 into its date and its time of the day in whole seconds.
fn clock(timestamp: &str) -> Option<(&str, &str)> {
    let (date, time) = timestamp.split_once('T')?;
    let time = time.get(..8)?;
    (has_form(date, "0000-00-00") && is_time_of_day(time)).then_some((date, time))
}

fn is_time_of_day(text: &str) -> bool {
    has_form(text, "00:00:00")
}

/// Whether a text has digits where the form has a 0, and is otherwise the same.
fn has_form(text: &str, form: &str) -> bool {
    let is_alike = |(byte, form): (u8, u8)| if form == b'0' { byte.is_ascii_digit() } else { byte == form };
    text.len() == form.len() && text.bytes().zip(form.bytes()).all(is_alike)
}

/// Returns the titles of the columns of [`format_audit`].
pub fn audit_titles() -> String {
    format!("{:<27}  SESSION  {:<16}  {:>12}  {:<HASH_DIGITS$}  CALLER", "TIME (UTC)", "OUTCOME", "ELAPSED", "SCRIPT")
}

/// Formats a line of an audit in columns.
pub fn format_audit(line: &str) -> Cow<'_, str> {
    let Some(fields) = parse_object(line) else { return Cow::Borrowed(line) };
    let field = |name: &str| fields.get(name).map(plain).unwrap_or_default();
    if fields.contains_key("lost") {
        return Cow::Owned(format!("{}  ({} lines lost)", field("timestamp"), field("lost")));
    }
    if fields.contains_key("plays") {
        return Cow::Owned(format!(
            "{}  {:>7}  {:<16}  {} plays since {}  {}",
            field("timestamp"),
            "",
            field("outcome"),
            field("plays"),
            field("since"),
            field("caller"),
        ));
    }
    let hash: String = field("script_sha256").chars().take(HASH_DIGITS).collect();
    let mut text = format!(
        "{}  {:>7}  {:<16}  {:>9} µs  {hash}  {}",
        field("timestamp"),
        format!("#{}", field("session")),
        field("outcome"),
        field("elapsed_us"),
        field("caller"),
    );
    if let Some(Value::String(script)) = fields.get("script") {
        // So that a script of several lines stays on one line.
        write!(text, "  {}", script.replace('\n', "\u{240a}")).expect("a string takes it");
    }
    Cow::Owned(text)
}

fn parse_object(line: &str) -> Option<Map<String, Value>> {
    line.starts_with('{').then(|| serde_json::from_str(line).ok())?
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_line_is_shown_as_text() {
        let cases = [
            ("2026-11-24T12:00:00Z  INFO plain", "2026-11-24T12:00:00Z  INFO plain"),
            ("{ half", "{ half"),
            (
                r#"{"timestamp":"T","level":"INFO","message":"play finished","elapsed_us":12,"span":{"number":1,"name":"session"}}"#,
                "T  INFO session{number=1}: play finished elapsed_us=12",
            ),
            (r#"{"timestamp":"T","level":"WARN","message":"killed"}"#, "T  WARN killed"),
        ];
        for (line, shown) in cases {
            assert_eq!(format_log(line), shown);
        }
    }

    #[test]
    fn terminal_shows_the_time_of_the_day_and_the_level_in_its_colour() {
        let line = "2026-11-24T12:00:01.123456Z  WARN session{number=1}: killed";
        let shown = styled_log(line);
        assert_eq!(shown.to_string(), "12:00:01  WARN session{number=1}: killed");
        assert!(shown.spans().iter().any(|span| span.style == Style::Warning && span.text == " WARN"), "{shown:?}");
        let object = r#"{"timestamp":"2026-11-24T12:00:01Z","level":"ERROR","message":"failed"}"#;
        assert_eq!(styled_log(object).to_string(), "12:00:01 ERROR failed");
        for line in ["", "and more", "2026-11-24T12:00 WARN x", "2026-11-24T12:00:01Z LOUD x", "T", "äöT12"] {
            assert_eq!(styled_log(line), StyledLine::of(Style::Plain, line), "{line}");
        }
        assert_eq!([date(line), date(object)], [Some("2026-11-24".into()), Some("2026-11-24".into())]);
        assert_eq!([date("and more"), date("{ half"), date(r#"{"timestamp":1}"#)], [None, None, None]);
    }

    #[test]
    fn failed_play_is_logged_with_the_name_of_its_error() {
        for (line, shown) in [
            (
                "12:01 INFO session{n=1}: play finished code=-32000",
                "12:01 INFO session{n=1}: play failed: script error",
            ),
            ("play finished code=-32004 suppressed=3", "play failed: limit exceeded suppressed=3"),
            ("play finished code=1", "play finished code=1"),
            ("play finished code=é", "play finished code=é"),
            ("play finished elapsed_us=12", "play finished elapsed_us=12"),
        ] {
            assert_eq!(name_error(line), shown);
        }
    }

    #[test]
    fn short_line_has_the_time_of_the_day_and_keeps_its_level() {
        let cases = [
            ("2026-11-24T12:01:07.123456Z  INFO play finished", "12:01:07 INFO play finished", Some("INFO")),
            (
                "2026-11-24T12:01:07Z ERROR play finished code=-32000",
                "12:01:07 ERROR play failed: script error",
                Some("ERROR"),
            ),
            ("listening on ws://127.0.0.1:9001", "listening on ws://127.0.0.1:9001", None),
            ("", "", None),
            ("éTZ x", "éTZ x", None),
        ];
        for (line, shown, of) in cases {
            assert_eq!((short_log(line).as_str(), level(&short_log(line))), (shown, of));
        }
    }

    #[test]
    fn any_line_becomes_a_json_object_with_its_circle() {
        let cases = [
            (
                "2026-11-24T12:00:01Z  INFO a \"word\"",
                r#"{"circle":"a","timestamp":"2026-11-24T12:00:01Z","level":"INFO","message":"a \"word\""}"#,
            ),
            (r#"{"timestamp":"T","level":"WARN"}"#, r#"{"circle":"a","timestamp":"T","level":"WARN"}"#),
            (r#"{"timestamp":"T","circle":"a"}"#, r#"{"timestamp":"T","circle":"a"}"#),
            ("{}", r#"{"circle":"a"}"#),
            ("{ half", r#"{"circle":"a","message":"{ half"}"#),
            ("and more", r#"{"circle":"a","message":"and more"}"#),
        ];
        for (line, object) in cases {
            let parsed = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
            assert_eq!(parsed(&json_line("a", line)), parsed(object), "{line}");
        }
    }

    #[test]
    fn audit_line_is_shown_in_columns() {
        let play = r#"{"timestamp":"T","session":3,"caller":"02ff","outcome":"ok","elapsed_us":12,"script_sha256":"0123456789abcdef","script":"1\n2"}"#;
        assert_eq!(format_audit(play), "T       #3  ok                       12 µs  0123456789ab  02ff  1\u{240a}2");
        assert_eq!(format_audit(r#"{"timestamp":"T","lost":7}"#), "T  (7 lines lost)");
        let counted = r#"{"timestamp":"T","circle":"a","caller":"02ff","outcome":"ok","plays":7,"since":"S"}"#;
        assert_eq!(format_audit(counted), "T           ok                7 plays since S  02ff");
        assert_eq!(format_audit("torn"), "torn");
    }
}
