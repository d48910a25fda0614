//! Errors as lines: where, what, why, and what to do.

use client_ws::{ClientError, RpcError};
use protocol::error::ScriptError;
use unicode_width::UnicodeWidthStr;

use super::text::{Line, Style};
use crate::{error::CliError, printing::visible};

/// A script's error with the line it is in, and a caret under the column.
pub(crate) fn script(script: &str, error: &ScriptError) -> Vec<Line> {
    let mut lines = Vec::new();
    let line = error.line.and_then(|line| Some((line, script.lines().nth(line.checked_sub(1)? as usize)?)));
    if let Some((number, line)) = line {
        lines.extend(pointed_at(number as usize, error.column.unwrap_or(1) as usize, line));
    }
    let place = match (error.line, error.column) {
        (Some(line), Some(column)) => format!(" (line {line}, column {column})"),
        (Some(line), None) => format!(" (line {line})"),
        _ => String::new(),
    };
    // A message can have several lines of its own.
    for (index, message) in visible(&error.message).split('\n').enumerate() {
        let line = if index == 0 { Line::of(Style::Error, "error: ") } else { Line::of(Style::Plain, "       ") };
        lines.push(line.with(Style::Plain, message));
    }
    if let Some(last) = lines.last_mut() {
        last.push(Style::Plain, &place);
    }
    if let Some(function) = &error.function {
        lines.push(Line::of(Style::Plain, &format!("  in function {function}")));
    }
    if let Some(hint) = &error.hint {
        lines.push(Line::of(Style::Plain, &format!("  {hint}")));
    }
    lines
}

/// A line, and a caret under a column of it.
pub(crate) fn pointed_at(number: usize, column: usize, line: &str) -> [Line; 2] {
    let line = visible(line).replace('\t', " ");
    let before: String = line.chars().take(column.saturating_sub(1)).collect();
    let gutter = format!("{number} | ");
    let indent = gutter.len() + before.width();
    [
        Line::of(Style::Dim, &gutter).with(Style::Plain, &line),
        Line::of(Style::Plain, &" ".repeat(indent)).with(Style::Error, "^"),
    ]
}

/// What went wrong with a play or another request.
pub(crate) fn client(input: &str, place: &str, error: ClientError) -> Vec<Line> {
    match error {
        ClientError::Rpc(RpcError::Script(error)) => script(input, &error),
        ClientError::Rpc(error) => CliError::Play { script: input.to_owned(), error }.lines(),
        error => CliError::Client { place: place.to_owned(), error }.lines(),
    }
}

#[cfg(test)]
mod tests {
    use protocol::error::ScriptErrorKind;

    use super::*;

    fn error(line: u32, column: u32) -> ScriptError {
        ScriptError {
            message: "Variable not found: y".into(),
            kind: ScriptErrorKind::Runtime,
            line: Some(line),
            column: Some(column),
            function: None,
            hint: None,
            thrown: None,
        }
    }

    #[test]
    fn the_caret_stands_under_the_column_as_the_terminal_shows_it() {
        // (script, line, column, the line shown, columns before the caret)
        let cases = [
            ("x + y", 1, 5, "1 | x + y", 8),
            ("1;\n\ty", 2, 2, "2 |  y", 5),
            ("\"日本\" + y", 1, 8, "1 | \"日本\" + y", 13),
            ("\"\u{1b}[2J\" + y", 1, 9, "1 | \"␛[2J\" + y", 12),
        ];
        for (input, line, column, shown, before) in cases {
            let lines = script(input, &error(line, column));
            let caret = format!("{}^", " ".repeat(before));
            assert_eq!((lines[0].to_string(), lines[1].to_string()), (shown.to_owned(), caret), "{input}");
        }
    }

    #[test]
    fn a_position_outside_of_the_script_is_only_told() {
        for (line, column) in [(0, 1), (9, 1), (1, 4_000_000)] {
            let lines = script("x", &error(line, column));
            assert!(lines.last().is_some_and(|last| last.to_string().contains("Variable not found: y")), "{lines:?}");
        }
    }
}
