//! Where a cursor is: the word that it is at the end of, and what that word stands behind. Pure, and of any text.

use crate::engine::{Scanner, TextEnd, Token};

/// What a word stands behind.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CursorContext<'t> {
    /// Nothing that it belongs to.
    Plain,
    /// A dot. `receiver`: the plain names before it, where it has no others.
    Member { receiver: Option<Vec<&'t str>> },
    /// `::`, and these names before it.
    Qualified { path: Vec<&'t str> },
    /// The quote of an `import`.
    Import,
}

/// The word that a cursor is at the end of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CursorWord<'t> {
    /// The byte that it begins at.
    pub(super) start: usize,
    /// What is there of it.
    pub(super) prefix: &'t str,
    /// What it stands behind.
    pub(super) context: CursorContext<'t>,
}

/// The word at the end of a text; `None` in a string, a comment or a number, where nothing can be completed.
pub(super) fn word_at_end(text: &str) -> Option<CursorWord<'_>> {
    // The tokens that the word may belong to, and whether something without a name is before them.
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
            // `1.` begins a number more often than a call.
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

/// The names of `a.b.c`; `None` if they are joined otherwise or there are none.
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
