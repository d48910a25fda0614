//! The word before a cursor and its context. No I/O; accepts any text.

mod declared;
mod receiver;

use crate::engine::{Scanner, TextEnd, Token};

pub(super) use declared::{Declared, DeclaredKind};
pub(super) use receiver::{Receiver, Step};

/// The context of a word.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CursorContext<'t> {
    /// No special context. `declared` are the names that the text declares.
    Plain { declared: Vec<Declared<'t>> },
    /// The word follows a dot.
    Member { receiver: Receiver<'t> },
    /// The word follows `::` and these names.
    Qualified { path: Vec<&'t str> },
    /// The word follows the opening quote of an `import`.
    Import,
    /// The word follows the opening quote of an index, and is a key of the receiver.
    Key { receiver: Receiver<'t> },
}

/// The word that ends at the cursor.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CursorWord<'t> {
    /// Start of the word, in bytes.
    pub(super) start: usize,
    /// The typed part of the word.
    pub(super) prefix: &'t str,
    /// The context of the word.
    pub(super) context: CursorContext<'t>,
}

/// Finds the word at the end of a text. Returns `None` in a string, a comment or a number, which cannot be completed.
pub(super) fn word_at_end(text: &str) -> Option<CursorWord<'_>> {
    let mut tokens: Vec<(usize, Token<'_>)> = Vec::new();
    for (start, token) in Scanner::new(text) {
        match token {
            Token::Comment { is_closed: true } => {}
            Token::Comment { is_closed: false } => return None,
            Token::Text(TextEnd::Open) => return quoted(text, start, &tokens),
            _ => tokens.push((start, token)),
        }
    }
    let (start, prefix) = match tokens.last() {
        Some(&(start, Token::Word(word))) if start + word.len() == text.len() => {
            tokens.pop();
            (start, word)
        }
        _ => (text.len(), ""),
    };
    if is_number(prefix) {
        return None;
    }
    let context = match tokens.split_last() {
        Some(((_, Token::Dot), before)) => {
            let is_number =
                before.last().is_some_and(|(_, token)| matches!(token, Token::Word(word) if is_number(word)));
            // `1.` is more often the start of a number than of a method call.
            if is_number && prefix.is_empty() {
                return None;
            }
            CursorContext::Member { receiver: receiver::receiver(text, before) }
        }
        Some(((_, Token::Colons), before)) => CursorContext::Qualified { path: path(before)? },
        _ => CursorContext::Plain { declared: declared::declared(&tokens) },
    };
    Some(CursorWord { start, prefix, context })
}

fn is_number(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_digit())
}

/// The names of a chain like `a::b`; `None` if the chain has another form.
fn path<'t>(tokens: &[(usize, Token<'t>)]) -> Option<Vec<&'t str>> {
    let mut names = Vec::new();
    let mut left = tokens;
    loop {
        let ((_, Token::Word(name)), before) = left.split_last()? else { return None };
        names.push(*name);
        match before.split_last() {
            Some(((_, Token::Colons), before)) => left = before,
            Some(((_, Token::Dot), _)) => return None,
            _ => break,
        }
    }
    names.reverse();
    Some(names)
}

/// Returns the word in a string that is still open: the name of a module, or a key.
fn quoted<'t>(text: &'t str, quote: usize, before: &[(usize, Token<'t>)]) -> Option<CursorWord<'t>> {
    let start = quote + 1;
    let prefix = text[quote..].strip_prefix('"').filter(|prefix| !prefix.contains('\\'))?;
    let ((_, last), left) = before.split_last()?;
    let context = match last {
        Token::Word("import") if !matches!(left.last(), Some((_, Token::Dot | Token::Colons))) => CursorContext::Import,
        Token::Other('[') if receiver::is_indexed(left) => {
            CursorContext::Key { receiver: receiver::receiver(text, left) }
        }
        _ => return None,
    };
    Some(CursorWord { start, prefix, context })
}

#[cfg(test)]
mod tests;
