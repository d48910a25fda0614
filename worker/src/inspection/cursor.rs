//! Where a cursor is: the word that it is at the end of, and what that word stands behind. Pure, and of any text.

use crate::engine::{Piece, Scanner, TextEnd};

/// What a word stands behind.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<'t> {
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
pub(super) struct Word<'t> {
    /// The byte that it begins at.
    pub(super) start: usize,
    /// What is there of it.
    pub(super) prefix: &'t str,
    /// What it stands behind.
    pub(super) place: Place<'t>,
}

/// The word at the end of a text; `None` in a string, a comment or a number, where nothing can be completed.
pub(super) fn word_at_end(text: &str) -> Option<Word<'_>> {
    // The pieces that the word may belong to, and whether something without a name is before them.
    let mut path: Vec<(usize, Piece<'_>)> = Vec::new();
    let mut is_opaque = false;
    for (start, piece) in Scanner::new(text) {
        match piece {
            Piece::Comment { is_closed: true } => {}
            Piece::Comment { is_closed: false } => return None,
            Piece::Text(TextEnd::Open) => return import(text, start, &path),
            Piece::Word(_) if matches!(path.last(), Some((_, Piece::Dot | Piece::Colons))) => path.push((start, piece)),
            Piece::Word(_) => {
                path = vec![(start, piece)];
                is_opaque = false;
            }
            Piece::Dot | Piece::Colons => path.push((start, piece)),
            Piece::Text(_) | Piece::Other(_) => {
                path.clear();
                is_opaque = matches!(piece, Piece::Text(TextEnd::Closed) | Piece::Other(')' | ']' | '}'));
            }
        }
    }
    let (start, prefix) = match path.last() {
        Some(&(start, Piece::Word(word))) if start + word.len() == text.len() => {
            path.pop();
            (start, word)
        }
        _ => (text.len(), ""),
    };
    if prefix.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let place = match path.pop() {
        Some((_, Piece::Dot)) => {
            let receiver = if is_opaque { None } else { names(&path, Piece::Dot) };
            let is_number = path.last().is_some_and(|(_, piece)| matches!(piece, Piece::Word(word) if is_number(word)));
            // `1.` begins a number more often than a call.
            if is_number && prefix.is_empty() {
                return None;
            }
            Place::Member { receiver: receiver.filter(|_| !is_number) }
        }
        Some((_, Piece::Colons)) => Place::Qualified { path: names(&path, Piece::Colons).filter(|_| !is_opaque)? },
        _ => Place::Plain,
    };
    Some(Word { start, prefix, place })
}

fn is_number(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_digit())
}

/// The names of `a.b.c`; `None` if they are joined otherwise or there are none.
fn names<'t>(path: &[(usize, Piece<'t>)], joint: Piece<'_>) -> Option<Vec<&'t str>> {
    let mut names = Vec::new();
    for (index, (_, piece)) in path.iter().enumerate() {
        match piece {
            Piece::Word(word) if index % 2 == 0 => names.push(*word),
            piece if index % 2 == 1 && *piece == joint => {}
            _ => return None,
        }
    }
    (path.len() % 2 == 1).then_some(names)
}

fn import<'t>(text: &'t str, quote: usize, path: &[(usize, Piece<'_>)]) -> Option<Word<'t>> {
    let start = quote + 1;
    let prefix = text[quote..].strip_prefix('"')?;
    let is_import = matches!(path, [(_, Piece::Word("import"))]);
    (is_import && !prefix.contains('\\')).then_some(Word { start, prefix, place: Place::Import })
}

#[cfg(test)]
mod tests;
