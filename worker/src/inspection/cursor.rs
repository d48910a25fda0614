//! The word before a cursor and its context. No I/O; accepts any text.

use crate::engine::{Scanner, TextEnd, Token};

/// The context of a word.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CursorContext<'t> {
    /// No special context.
    Plain,
    /// The word follows a dot. `receiver` are the names before it, if it consists only of plain names.
    Member { receiver: Option<Vec<&'t str>> },
    /// The word follows `::` and these names.
    Qualified { path: Vec<&'t str> },
    /// The word follows the opening quote of an `import`.
    Import,
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
    // The tokens that the word may belong to, and whether an expression without a name precedes them.
    let mut path: Vec<(usize, Token<'_>)> = Vec::new();
    let mut is_opaque = false;
    for (start, token) in Scanner::new(text) {
        match token {
            Token::Comment { is_closed: true } => {}
            Token::Comment { is_closed: false } => return None,
            Token::Text(TextEnd::Open) => return import(text, start, &path),
            Token::Word(_) if matches!(path.last(), Some((_, Token::Dot | Token::Colons))) => path.push((start, token)),
            Token::Word(_) => {
                path = vec![(start, token)];
                is_opaque = false;
            }
            Token::Dot | Token::Colons => path.push((start, token)),
            Token::Text(_) | Token::Other(_) => {
                path.clear();
                is_opaque = matches!(token, Token::Text(TextEnd::Closed) | Token::Other(')' | ']' | '}'));
            }
        }
    }
    let (start, prefix) = match path.last() {
        Some(&(start, Token::Word(word))) if start + word.len() == text.len() => {
            path.pop();
            (start, word)
        }
        _ => (text.len(), ""),
    };
    if prefix.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let context = match path.pop() {
        Some((_, Token::Dot)) => {
            let receiver = if is_opaque { None } else { names(&path, Token::Dot) };
            let is_number = path.last().is_some_and(|(_, token)| matches!(token, Token::Word(word) if is_number(word)));
            // `1.` is more often the start of a number than of a method call.
            if is_number && prefix.is_empty() {
                return None;
            }
            CursorContext::Member { receiver: receiver.filter(|_| !is_number) }
        }
        Some((_, Token::Colons)) => {
            CursorContext::Qualified { path: names(&path, Token::Colons).filter(|_| !is_opaque)? }
        }
        _ => CursorContext::Plain,
    };
    Some(CursorWord { start, prefix, context })
}

fn is_number(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_digit())
}

/// The names of a chain like `a.b.c`; `None` if the chain is empty or has another form.
fn names<'t>(path: &[(usize, Token<'t>)], joint: Token<'_>) -> Option<Vec<&'t str>> {
    let mut names = Vec::new();
    for (index, (_, token)) in path.iter().enumerate() {
        match token {
            Token::Word(word) if index % 2 == 0 => names.push(*word),
            token if index % 2 == 1 && *token == joint => {}
            _ => return None,
        }
    }
    (path.len() % 2 == 1).then_some(names)
}

fn import<'t>(text: &'t str, quote: usize, path: &[(usize, Token<'_>)]) -> Option<CursorWord<'t>> {
    let start = quote + 1;
    let prefix = text[quote..].strip_prefix('"')?;
    let is_import = matches!(path, [(_, Token::Word("import"))]);
    (is_import && !prefix.contains('\\')).then_some(CursorWord { start, prefix, context: CursorContext::Import })
}

#[cfg(test)]
mod tests;
