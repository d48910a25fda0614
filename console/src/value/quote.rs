//! Text of strings, characters and closures as a script would write them.

use frontend::text::{Style, StyledLine, SyntaxKind, lines, truncation_note};

/// The maximum size of a string that is shown with escapes, in bytes; a longer one is cut. Escapes make it up to six
/// times as long.
const MAX_ESCAPED: usize = 512 << 10;

/// The beginning of the names that Rhai makes up for closures.
const CLOSURE: &str = "Fn(anon$";

/// Lays out a string in quotes. A string of several lines stands between backticks, as in a script, unless it holds what
/// would end the literal or begin an expression in it.
pub(super) fn lines_of(text: &str) -> Vec<StyledLine> {
    let style = Style::Syntax(SyntaxKind::String);
    // Rhai skips a newline right after the first backtick.
    let is_literal = text.contains('\n') && !text.starts_with('\n') && !text.contains('`') && !text.contains("${");
    if is_literal {
        return lines(style, &format!("`{text}`"));
    }
    let begin = &text[..text.floor_char_boundary(MAX_ESCAPED)];
    let mut quoted = string(begin);
    if begin.len() == text.len() {
        return lines(style, &quoted);
    }
    quoted.pop();
    let mut cut = lines(style, &quoted);
    cut.push(truncation_note(text.len()));
    cut
}

/// Quotes a string, as Rhai does inside of arrays and maps.
pub(crate) fn string(text: &str) -> String {
    format!("{text:?}")
}

/// Quotes a character.
pub(crate) fn character(character: char) -> String {
    format!("{character:?}")
}

/// Returns the text of a function pointer; a closure has no name that means anything to a user.
pub(crate) fn function(text: &str) -> &str {
    if text.starts_with(CLOSURE) && text.ends_with(')') { "<function>" } else { text }
}

/// Quotes the text of a variable's value, and hides the names of closures in it.
pub(crate) fn of_type(r#type: &str, text: &str) -> String {
    let mut characters = text.chars();
    match (r#type, characters.next(), characters.next()) {
        ("string", ..) => string(text),
        ("char", Some(only), None) => character(only),
        ("Fn", ..) => function(text).to_owned(),
        _ => hide_closures(text),
    }
}

/// Replaces the closures in the text of an array or a map.
fn hide_closures(text: &str) -> String {
    let mut shown = String::new();
    let (mut rest, mut is_quoted) = (text, false);
    while let Some(next) = rest.chars().next() {
        let end = if !is_quoted && rest.starts_with(CLOSURE) { rest.find(')') } else { None };
        let taken = match (end, next) {
            (Some(end), _) => {
                shown.push_str("<function>");
                rest = &rest[end + 1..];
                continue;
            }
            (None, '\\') if is_quoted => next.len_utf8() + rest[1..].chars().next().map_or(0, char::len_utf8),
            (None, '"') => {
                is_quoted = !is_quoted;
                1
            }
            (None, next) => next.len_utf8(),
        };
        shown.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closures_are_hidden_outside_of_strings() {
        let cases = [
            (r#"[Fn(anon$1f), "Fn(anon$1f)", 2]"#, r#"[<function>, "Fn(anon$1f)", 2]"#),
            (r#"#{"a\"Fn(anon$1)": Fn(anon$2), "b": Fn(f)}"#, r#"#{"a\"Fn(anon$1)": <function>, "b": Fn(f)}"#),
            ("[Fn(anon$1", "[Fn(anon$1"),
            (r#"["\"#, r#"["\"#),
            ("日本", "日本"),
        ];
        for (text, shown) in cases {
            assert_eq!(of_type("array", text), shown);
        }
        assert_eq!(of_type("string", "Fn(anon$1)"), r#""Fn(anon$1)""#);
        assert_eq!([of_type("char", "'"), of_type("Fn", "Fn(anon$1)")], [r"'\''", "<function>"]);
    }
}
