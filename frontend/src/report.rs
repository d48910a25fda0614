//! Formats errors as lines: the source excerpt, the message, the traceback and the hint.

mod trace;

use protocol::error::{ScriptError, ScriptErrorKind};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::text::{Style, StyledLine, SyntaxKind};
use crate::{error::limit_hint, visible::visible};

/// The minimum width of an excerpt, in columns.
const MIN_EXCERPT: usize = 20;

/// The columns to keep to the right of the caret.
const CARET_MARGIN: usize = 8;

/// Formats a script error with its source line and a caret, in at most `width` columns. An error inside of a function
/// or of another source has a traceback with the source line of each frame.
pub fn script(script: &str, error: &ScriptError, width: usize) -> Vec<StyledLine> {
    let mut lines = match trace::own_name(error) {
        Some(name) => at_top_level(script, error, name, width),
        None => [self::error(&error.message, width), trace::lines(script, error, width)].concat(),
    };
    if let Some(hint) = error.hint.clone().or_else(|| limit_hint(error)) {
        lines.extend(StyledLine::of(Style::Dim, "  hint: ").with(Style::Plain, &hint).wrapped_with_indent(width, 8));
    }
    lines
}

/// Formats an error at the top level of the script that was played: its line, and the message with the position.
fn at_top_level(script: &str, error: &ScriptError, name: Option<&str>, width: usize) -> Vec<StyledLine> {
    let mut lines = excerpt(script, error, width);
    let position = match (locate(script, error), name) {
        (Some(SourceLocation { line, column, .. }), Some(name)) => {
            let column = column.map_or_else(String::new, |column| format!(":{column}"));
            format!(" ({name}:{line}{column})")
        }
        (Some(SourceLocation { line, column: Some(column), .. }), None) => format!(" (line {line}, column {column})"),
        (Some(SourceLocation { line, column: None, .. }), None) => format!(" (line {line})"),
        (None, _) => String::new(),
    };
    lines.extend(self::error(&format!("{}{position}", error.message), width));
    if let Some(function) = &error.function {
        lines.push(StyledLine::of(Style::Dim, "  in function ").with(Style::Syntax(SyntaxKind::Function), function));
    }
    lines
}

/// Formats the source line of an error with a caret; empty if the line is unknown.
pub fn excerpt(script: &str, error: &ScriptError, width: usize) -> Vec<StyledLine> {
    match locate(script, error) {
        Some(SourceLocation { line, column, text: Some(text) }) => {
            caret_excerpt(line as usize, column.unwrap_or(1) as usize, text, width).into()
        }
        _ => Vec::new(),
    }
}

/// Formats a message of one or more lines, prefixed with `error: `.
pub fn error(message: &str, width: usize) -> Vec<StyledLine> {
    let mark = "error: ";
    let message = visible(message);
    let rows = message.split('\n').enumerate().flat_map(|(index, message)| {
        let line = if index == 0 {
            StyledLine::of(Style::Error, mark)
        } else {
            StyledLine::of(Style::Plain, &" ".repeat(mark.len()))
        };
        line.with(Style::Plain, message).wrapped_with_indent(width, mark.len())
    });
    rows.collect()
}

/// The position of an error, with the text of the line.
#[derive(Clone, Copy)]
struct SourceLocation<'a> {
    line: u32,
    column: Option<u32>,
    text: Option<&'a str>,
}

/// Locates an error. For an unexpected end of the script, Rhai has no useful position: it is after the last line with
/// text.
fn locate<'a>(script: &'a str, error: &ScriptError) -> Option<SourceLocation<'a>> {
    let before = error.line.map_or(usize::MAX, |line| line.saturating_sub(1) as usize);
    let is_blank = |line: &str| line.trim().is_empty();
    if error.kind == ScriptErrorKind::Parse && script.lines().skip(before).all(is_blank) {
        let last = script.lines().enumerate().filter(|(_, line)| !is_blank(line)).last();
        if let Some((index, text)) = last {
            let text = text.trim_end();
            let number = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
            return Some(SourceLocation {
                line: number(index),
                column: Some(number(text.chars().count())),
                text: Some(text),
            });
        }
    }
    let line = error.line?;
    let text = line.checked_sub(1).and_then(|before| script.lines().nth(before as usize));
    Some(SourceLocation { line, column: error.column, text })
}

/// Formats the part of a line around a column, and a caret under the column. Both fit into `width` columns, so that the
/// terminal does not wrap them.
pub fn caret_excerpt(number: usize, column: usize, line: &str, width: usize) -> [StyledLine; 2] {
    let line = visible(line).replace('\t', " ");
    let gutter = format!("{number} | ");
    let room = width.saturating_sub(gutter.len()).max(MIN_EXCERPT);
    // Columns count Unicode scalar values; a grapheme can have several.
    let at = line.char_indices().map(|(at, _)| at).nth(column.saturating_sub(1)).unwrap_or(line.len());
    let (before, rest) = line.split_at(at);
    let before: Vec<&str> = before.graphemes(true).collect();
    let (mut excerpt, mut indent) = (String::new(), gutter.len());
    let columns = |pieces: &[&str]| pieces.iter().map(|piece| piece.width()).sum::<usize>();
    let mut begin = 0;
    if columns(&before) + CARET_MARGIN > room {
        // Keep the end of the text before the caret.
        while begin < before.len() && columns(&before[begin..]) + CARET_MARGIN + 1 > room {
            begin += 1;
        }
        excerpt.push('…');
        indent += 1;
    }
    indent += columns(&before[begin..]);
    excerpt.push_str(&before[begin..].concat());
    let mut left = room.saturating_sub(excerpt.width());
    let mut rest = rest.graphemes(true).peekable();
    while let Some(grapheme) = rest.next() {
        if grapheme.width() + usize::from(rest.peek().is_some()) > left {
            excerpt.push('…');
            break;
        }
        left -= grapheme.width();
        excerpt.push_str(grapheme);
    }
    [
        StyledLine::of(Style::Dim, &gutter).with(Style::Plain, &excerpt),
        StyledLine::of(Style::Plain, &" ".repeat(indent)).with(Style::Error, "^"),
    ]
}

/// The line for a play that the user cancelled.
pub fn cancelled_lines() -> Vec<StyledLine> {
    vec![StyledLine::of(Style::Dim, "cancelled")]
}

/// The line for a play that the user no longer waits for.
pub fn given_up_lines() -> Vec<StyledLine> {
    vec![StyledLine::of(Style::Dim, "gave up waiting; it may still be running")]
}

#[cfg(test)]
mod tests {
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
            trace: Vec::new(),
        }
    }

    #[test]
    fn caret_stands_under_the_displayed_column() {
        // (script, line, column, the line shown, columns before the caret)
        let cases = [
            ("x + y", 1, 5, "1 | x + y", 8),
            ("1;\n\ty", 2, 2, "2 |  y", 5),
            ("\"日本\" + y", 1, 8, "1 | \"日本\" + y", 13),
            ("\"e\u{301}👩‍💻\" + y", 1, 11, "1 | \"e\u{301}👩‍💻\" + y", 12),
            ("\"\u{1b}[2J\" + y", 1, 9, "1 | \"␛[2J\" + y", 12),
        ];
        for (input, line, column, shown, before) in cases {
            let lines = script(input, &error(line, column), 80);
            let caret = format!("{}^", " ".repeat(before));
            assert_eq!((lines[0].to_string(), lines[1].to_string()), (shown.to_owned(), caret), "{input}");
        }
    }

    #[test]
    fn report_shows_function_and_hint() {
        let error = ScriptError {
            message: "out of tea\nand of \u{1b}[2J".into(),
            function: Some("reserve".into()),
            hint: Some("call it as stock::reserve(item, count)".into()),
            ..error(2, 3)
        };
        let lines: Vec<String> =
            script("let n = 1;\n  reserve(n)", &error, 80).iter().map(StyledLine::to_string).collect();
        let expected = [
            "2 |   reserve(n)",
            "      ^",
            "error: out of tea",
            "       and of ␛[2J (line 2, column 3)",
            "  in function reserve",
            "  hint: call it as stock::reserve(item, count)",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn unexpected_end_is_marked_after_the_last_line() {
        let incomplete = |kind| ScriptError {
            message: "Script is incomplete".into(),
            kind,
            line: None,
            column: None,
            ..error(1, 1)
        };
        let nowhere = incomplete(ScriptErrorKind::Parse);
        for error in [ScriptError { line: Some(4), column: Some(1), ..nowhere.clone() }, nowhere] {
            let lines = script("if true {\n  1 +  \n\n", &error, 80);
            let lines: Vec<String> = lines.iter().map(StyledLine::to_string).collect();
            assert_eq!(lines, ["2 |   1 +", "         ^", "error: Script is incomplete (line 2, column 6)"]);
        }
        assert_eq!(script(" \n", &incomplete(ScriptErrorKind::Parse), 80).len(), 1);
        assert_eq!(script("1", &incomplete(ScriptErrorKind::Runtime), 80).len(), 1);
    }

    #[test]
    fn report_wraps_between_words() {
        let error = ScriptError {
            message: "out of tea and of everything".into(),
            hint: Some("buy some more of it today".into()),
            ..error(9, 1)
        };
        let lines: Vec<String> = script("1", &error, 26).iter().map(StyledLine::to_string).collect();
        let expected = [
            "error: out of tea and of",
            "       everything (line 9,",
            "       column 1)",
            "  hint: buy some more of",
            "        it today",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn long_line_is_excerpted_around_the_column() {
        let long = format!("{} + y + {}", "a".repeat(100), "b".repeat(100));
        let lines = script(&long, &error(1, 104), 40);
        let (shown, caret) = (lines[0].to_string(), lines[1].to_string());
        assert!(shown.width() <= 40 && shown.starts_with("1 | …a") && shown.ends_with("b…"), "{shown}");
        assert_eq!(shown.chars().nth(caret.chars().count() - 1), Some('y'), "{shown}\n{caret}");
        for (width, column) in [(0, 1), (5, 9), (30, 300), (40, 1), (40, 208)] {
            let lines = script(&long, &error(1, column), width);
            assert!(lines[0].to_string().width() <= width.max(24), "{width}, {column}: {}", lines[0]);
        }
        for (number, column) in [(0, 0), (usize::MAX, usize::MAX)] {
            for (line, width) in [("", 0), (long.as_str(), 0), ("", usize::MAX), (long.as_str(), usize::MAX)] {
                assert!(caret_excerpt(number, column, line, width)[1].to_string().ends_with('^'));
            }
        }
        assert_eq!(script(&long, &error(1, 104), usize::MAX)[0].to_string(), format!("1 | {long}"));
    }

    #[test]
    fn position_outside_of_the_script_has_no_excerpt() {
        for (line, column) in [(0, 1), (9, 1), (1, 4_000_000)] {
            let lines = script("x", &error(line, column), 80);
            assert!(lines.last().is_some_and(|last| last.to_string().contains("Variable not found: y")), "{lines:?}");
        }
    }
}
