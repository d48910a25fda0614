//! Indentation of new lines, by Rhai's lexer.

use std::time::{Duration, Instant};

use rhai::{Engine, Token};

use crate::highlight;

/// The indentation of one level.
pub const INDENT: &str = "  ";

/// The maximum size of a text to look at, in bytes. Indentation must not delay a key press.
const MAX_BYTES: usize = 16 << 10;

/// The time between two characters that nobody types. Terminals without bracketed paste send a paste like typed text.
const PASTE_INTERVAL: Duration = Duration::from_millis(15);

/// Indents new lines.
#[derive(Debug)]
pub struct Indenter {
    lexer: Engine,
}

impl Default for Indenter {
    fn default() -> Self {
        Self { lexer: Engine::new_raw() }
    }
}

/// An opening bracket that is not closed.
struct OpenBracket {
    literal: &'static str,
    /// Its place, in bytes.
    place: usize,
}

impl Indenter {
    /// Returns the indentation of a new line after a text. Within a string or a comment that goes on, there is none.
    pub fn next_line(&self, before: &str) -> String {
        if before.len() > MAX_BYTES || self.is_in_text(before) {
            return String::new();
        }
        let current = last_line(before);
        if let Some(bracket) = self.open_brackets(before).last() {
            return format!("{}{INDENT}", indentation(line_at(before, bracket.place)));
        }
        let code = current.trim();
        let is_continued = !(code.is_empty() || code.starts_with("//") || code.ends_with(['}', ';']));
        match indentation(current) {
            "" if is_continued => INDENT.to_owned(),
            same => same.to_owned(),
        }
    }

    /// Returns the indentation that a line should have when a closing bracket begins it; `None` if it is right. `before`
    /// is the text before the bracket.
    pub fn dedented(&self, before: &str, closing: char) -> Option<String> {
        let (above, current) = before.rsplit_once('\n')?;
        let is_blank = !current.is_empty() && current.chars().all(|character| character == ' ');
        if !is_blank || before.len() > MAX_BYTES || self.is_in_text(above) {
            return None;
        }
        let brackets = self.open_brackets(above);
        let bracket = brackets.last().filter(|bracket| closes(bracket.literal, closing))?;
        let wanted = indentation(line_at(above, bracket.place));
        (wanted != current).then(|| wanted.to_owned())
    }

    /// Whether the text ends within a string or a comment that goes on in the next line.
    fn is_in_text(&self, text: &str) -> bool {
        let tokens = highlight::lex(&self.lexer, &format!("{text}\n;"));
        !matches!(tokens.last(), Some((Token::SemiColon, place)) if *place > text.len())
    }

    /// Whether code follows a text, and not the rest of a string or a comment.
    pub fn is_code_after(&self, before: &str) -> bool {
        let tokens = || highlight::lex(&self.lexer, &format!("{before}("));
        before.len() <= MAX_BYTES
            && matches!(tokens().last(), Some((Token::LeftParen, place)) if *place == before.len())
    }

    fn open_brackets(&self, text: &str) -> Vec<OpenBracket> {
        let mut open: Vec<OpenBracket> = Vec::new();
        for (token, place) in highlight::lex(&self.lexer, text) {
            match token {
                Token::LeftParen | Token::LeftBracket | Token::LeftBrace | Token::MapStart | Token::QuestionBracket => {
                    open.push(OpenBracket { literal: token.literal_syntax(), place });
                }
                Token::RightParen | Token::RightBracket | Token::RightBrace => {
                    open.pop();
                }
                _ => {}
            }
        }
        open
    }
}

fn closes(opening: &str, closing: char) -> bool {
    matches!((opening.chars().last(), closing), (Some('('), ')') | (Some('['), ']') | (Some('{'), '}'))
}

/// Returns the part of the last line that has been typed.
fn last_line(text: &str) -> &str {
    text.rsplit_once('\n').map_or(text, |(_, line)| line)
}

fn line_at(text: &str, place: usize) -> &str {
    let start = text[..place].rfind('\n').map_or(0, |at| at + 1);
    text[start..].split('\n').next().unwrap_or_default()
}

/// Returns the spaces at the begin of a line.
fn indentation(line: &str) -> &str {
    &line[..line.len() - line.trim_start_matches(' ').len()]
}

/// Recognises pasted text that arrives key by key: it must not be indented.
#[derive(Debug, Default)]
pub struct PasteDetector {
    /// When the last character or the last Enter came, if nothing else came after it.
    last_text: Option<Instant>,
}

impl PasteDetector {
    /// Takes in a key, and returns whether it belongs to a paste. `is_text` says whether pasted text can contain the
    /// key.
    pub fn is_pasted(&mut self, is_text: bool, now: Instant) -> bool {
        let last = std::mem::replace(&mut self.last_text, is_text.then_some(now));
        is_text && last.is_some_and(|last| now.saturating_duration_since(last) < PASTE_INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_lines_are_indented_by_open_brackets() {
        let indenter = Indenter::default();
        let cases = [
            ("fn f(x) {", "  "),
            ("fn f(x) {\n  if x {", "    "),
            ("fn f(x) {\n  if x {\n    1;\n  }", "  "),
            ("fn f(x) {\n  let y = 1;", "  "),
            ("fn f(x) {\n  let y = 1;\n", "  "),
            ("let m = #{", "  "),
            ("let a = [[", "  "),
            ("foo(1,\n  bar(", "    "),
            ("foo(1, [2],", "  "),
            ("let x =", "  "),
            ("1 +\n  2 +", "  "),
            ("// (\nlet s = \"{\" +", "  "),
            ("f();", ""),
            ("/// doubles", ""),
            ("fn f() {}\n", ""),
            ("}", ""),
            // Text that goes on must not change.
            ("let s = `{", ""),
            ("/* {", ""),
            ("`a ${1} {", ""),
        ];
        for (before, expected) in cases {
            assert_eq!(indenter.next_line(before), expected, "{before:?}");
        }
        assert_eq!(indenter.next_line(&"(".repeat(MAX_BYTES + 1)), "");
    }

    #[test]
    fn closing_bracket_on_a_blank_line_is_dedented() {
        let indenter = Indenter::default();
        let cases = [
            ("fn f() {\n  ", '}', Some("")),
            ("fn f() {\n  if x {\n    1;\n    ", '}', Some("  ")),
            ("let a = [\n  ", ']', Some("")),
            ("  f(\n    ", ')', Some("  ")),
            ("fn f() {\n  ", ')', None),
            ("fn f() {\n  x", '}', None),
            ("fn f() {\n", '}', None),
            ("  ", '}', None),
            ("`\n  ", '}', None),
        ];
        for (before, closing, expected) in cases {
            assert_eq!(indenter.dedented(before, closing).as_deref(), expected, "{before:?}");
        }
    }

    #[test]
    fn code_follows_unless_a_string_or_a_comment_goes_on() {
        let indenter = Indenter::default();
        for before in ["", "f", "let x = #", "\"a\" + ", "`a ${", "// a\n", "f(\"a\", ", "日 + "] {
            assert!(indenter.is_code_after(before), "{before}");
        }
        for before in ["\"", "\"a\\\"", "'", "`a", "// a", "/* a", "f(\"a"] {
            assert!(!indenter.is_code_after(before), "{before}");
        }
    }

    #[test]
    fn fast_text_is_a_paste() {
        let start = Instant::now();
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut detector = PasteDetector::default();
        assert!(!detector.is_pasted(true, start));
        assert!(detector.is_pasted(true, after(1)));
        assert!(!detector.is_pasted(true, after(60)));
        // A paste has no other keys.
        assert!(!detector.is_pasted(false, after(61)));
        assert!(!detector.is_pasted(true, after(62)));
    }
}
