//! The functions that the text of a script declares, in order, with the lines of their documentation. No I/O.
//!
//! Rhai's parser reports neither the order of functions nor their lines, and joins comments across gaps.

use super::docs;
use crate::engine::{Scanner, Token, is_doc};

/// A function that a script declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Declaration<'t> {
    pub(super) name: &'t str,
    /// The line of `fn`, from 1.
    pub(super) line: u32,
    pub(super) doc: String,
    /// The line of the first line of the documentation; that of `fn` without documentation.
    pub(super) doc_line: u32,
    /// Whether the function is declared for one type: `fn int.name()`.
    pub(super) is_typed: bool,
}

/// The functions that a script declares. Those of a script that does not parse may be incomplete.
pub(super) fn declarations(script: &str) -> Vec<Declaration<'_>> {
    let (mut scanner, mut lines) = (Scanner::new(script), LineCounter { script, offset: 0, line: 1 });
    let (mut found, mut doc) = (Vec::new(), DocLines::default());
    loop {
        let is_at_top = scanner.is_at_top();
        let Some((start, token)) = scanner.next() else { return found };
        match token {
            _ if !is_at_top => {}
            Token::Comment { .. } => {
                let comment = &script[start..scanner.offset()];
                if is_doc(comment) {
                    doc.add(comment, lines.line(start));
                }
            }
            Token::Word("private") => {}
            Token::Word("fn") => {
                let line = lines.line(start);
                if let Some((name, is_typed)) = name(&mut scanner) {
                    let (doc, doc_line) = std::mem::take(&mut doc).finish(line);
                    found.push(Declaration { name, line, doc, doc_line, is_typed });
                }
            }
            _ => doc = DocLines::default(),
        }
    }
}

/// Reads the name after `fn`, and whether a type precedes it.
fn name<'t>(scanner: &mut Scanner<'t>) -> Option<(&'t str, bool)> {
    let mut tokens = scanner.filter(|(_, token)| !matches!(token, Token::Comment { .. })).map(|(_, token)| token);
    let first = tokens.next()?;
    match (first, tokens.next()?) {
        (_, Token::Dot) => match tokens.next()? {
            Token::Word(name) => Some((name, true)),
            _ => None,
        },
        (Token::Word(name), _) => Some((name, false)),
        _ => None,
    }
}

/// Converts increasing offsets of a script to lines.
struct LineCounter<'t> {
    script: &'t str,
    offset: usize,
    line: u32,
}

impl LineCounter<'_> {
    fn line(&mut self, offset: usize) -> u32 {
        let newlines = self.script[self.offset..offset].bytes().filter(|byte| *byte == b'\n').count();
        self.line = self.line.saturating_add(u32::try_from(newlines).unwrap_or(u32::MAX));
        self.offset = offset;
        self.line
    }
}

/// The lines of the documentation of one function, with an empty line for each line of the script between them.
#[derive(Default)]
struct DocLines<'t> {
    first_line: u32,
    lines: Vec<&'t str>,
}

impl<'t> DocLines<'t> {
    fn add(&mut self, comment: &'t str, line: u32) {
        if self.lines.is_empty() {
            self.first_line = line;
        }
        let index = line.saturating_sub(self.first_line) as usize;
        if self.lines.len() < index {
            self.lines.resize(index, "");
        }
        self.lines.extend(docs::lines(comment));
    }

    /// The text without empty lines at its ends, and the line of its first line.
    fn finish(self, fn_line: u32) -> (String, u32) {
        let is_text = |line: &&str| !line.trim().is_empty();
        let Some(first) = self.lines.iter().position(is_text) else { return (String::new(), fn_line) };
        let last = self.lines.iter().rposition(is_text).unwrap_or(first);
        (self.lines[first..=last].join("\n"), self.first_line.saturating_add(u32::try_from(first).unwrap_or(u32::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(script: &str) -> Vec<(&str, u32, String, u32)> {
        declarations(script).into_iter().map(|found| (found.name, found.line, found.doc, found.doc_line)).collect()
    }

    #[test]
    fn lines_of_documentation_are_those_of_the_script() {
        let script = "/// stray\nconst A = 1;\n\n///\n/// Adds.\n\n// a note\n///   @tag\nfn add(x) { fn_x(`${x}`) }\n\
            /** One\n * two */ private fn helper() {}\nfn int.typed() {} fn \"Type\".other() {}\nlet fns = \"fn no()\";";
        let expected = [
            ("add", 9, "Adds.\n\n\n  @tag".to_owned(), 5),
            ("helper", 11, "One\ntwo".to_owned(), 10),
            ("typed", 12, String::new(), 12),
            ("other", 12, String::new(), 12),
        ];
        assert_eq!(found(script), expected);
        assert_eq!(
            declarations(script).iter().map(|found| found.is_typed).collect::<Vec<_>>(),
            [false, false, true, true]
        );
    }

    #[test]
    fn functions_inside_of_blocks_and_texts_are_none() {
        let script = "{ fn inner() {} } `${ { 1 } } fn text() {}` /* fn comment() {} */ fn";
        assert!(found(script).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn declarations_of_any_text_never_panics(text in "(fn |private |///|/\\*\\*|\\*/|[a-z.:\"'`${}()\n\u{e9} ]){0,60}") {
            drop(declarations(&text));
        }
    }
}
