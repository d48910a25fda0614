//! Formats the lines of a circle's log and audit for people.

use std::{borrow::Cow, fmt::Write};

use serde_json::{Map, Value};

/// The number of shown digits of a hash.
const HASH_DIGITS: usize = 12;

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

/// Formats a line of an audit in columns.
pub fn format_audit(line: &str) -> Cow<'_, str> {
    let Some(fields) = parse_object(line) else { return Cow::Borrowed(line) };
    let field = |name: &str| fields.get(name).map(plain).unwrap_or_default();
    if fields.contains_key("lost") {
        return Cow::Owned(format!("{}  ({} lines lost)", field("timestamp"), field("lost")));
    }
    if fields.contains_key("plays") {
        return Cow::Owned(format!(
            "{}  {:>6}  {:<16}  {} plays since {}  {}",
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
        "{}  {:>6}  {:<16}  {:>9} µs  {hash}  {}",
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
    fn audit_line_is_shown_in_columns() {
        let play = r#"{"timestamp":"T","session":3,"caller":"02ff","outcome":"ok","elapsed_us":12,"script_sha256":"0123456789abcdef","script":"1\n2"}"#;
        assert_eq!(format_audit(play), "T      #3  ok                       12 µs  0123456789ab  02ff  1\u{240a}2");
        assert_eq!(format_audit(r#"{"timestamp":"T","lost":7}"#), "T  (7 lines lost)");
        let counted = r#"{"timestamp":"T","circle":"a","caller":"02ff","outcome":"ok","plays":7,"since":"S"}"#;
        assert_eq!(format_audit(counted), "T          ok                7 plays since S  02ff");
        assert_eq!(format_audit("torn"), "torn");
    }
}
