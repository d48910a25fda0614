//! Just enough of Rhai's lexical grammar to know where a cursor is: strings, characters, templates and comments end
//! where Rhai ends them. Pure, and of any text.

/// A piece of a script, whitespace left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'t> {
    /// Letters, digits and underscores.
    Word(&'t str),
    /// `.` or `?.`, but not `..`.
    Dot,
    /// `::`.
    Colons,
    /// A string, a character, or a template up to its end or its next `${`.
    Text(TextEnd),
    /// `is_closed`: the cursor behind it is not inside of it.
    Comment { is_closed: bool },
    /// Any other character.
    Other(char),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextEnd {
    Closed,
    /// Code follows.
    Interpolation,
    /// The text ends inside of it.
    Open,
}

/// Where the scanner is: the innermost last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    /// With so many braces open in it.
    Code {
        braces: usize,
    },
    Template,
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
    frames: Vec<Frame>,
}

impl<'t> Scanner<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, at: 0, frames: vec![Frame::Code { braces: 0 }] }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// Whether what comes next is outside of every block.
    fn is_at_top(&self) -> bool {
        self.frames == [Frame::Code { braces: 0 }]
    }

    /// Moves behind that many bytes of what is left; without a number, behind all of it.
    fn skip(&mut self, bytes: Option<usize>) {
        self.at = bytes.map_or(self.text.len(), |bytes| (self.at + bytes).min(self.text.len()));
    }

    /// Behind the quote that was just passed.
    fn quoted(&mut self, quote: char) -> TextEnd {
        let mut characters = self.rest().char_indices();
        while let Some((index, character)) = characters.next() {
            match character {
                '\\' => {
                    characters.next();
                }
                // A string does not go on over lines: what follows is code to whoever types it.
                '\n' => {
                    self.skip(Some(index));
                    return TextEnd::Closed;
                }
                _ if character == quote => {
                    self.skip(Some(index + 1));
                    return TextEnd::Closed;
                }
                _ => {}
            }
        }
        self.skip(None);
        TextEnd::Open
    }

    /// Behind the `#`s and the quote of a raw string.
    fn raw(&mut self, hashes: usize) -> TextEnd {
        let end = format!("\"{}", "#".repeat(hashes));
        let found = self.rest().find(&end);
        self.skip(found.map(|index| index + end.len()));
        if found.is_some() { TextEnd::Closed } else { TextEnd::Open }
    }

    fn template(&mut self) -> TextEnd {
        let rest = self.rest();
        let Some(index) = rest.char_indices().find_map(|(index, character)| {
            (character == '`' || (character == '$' && rest[index..].starts_with("${"))).then_some(index)
        }) else {
            self.skip(None);
            return TextEnd::Open;
        };
        if rest[index..].starts_with('`') {
            self.skip(Some(index + 1));
            self.frames.pop();
            return TextEnd::Closed;
        }
        self.skip(Some(index + 2));
        self.frames.push(Frame::Code { braces: 0 });
        TextEnd::Interpolation
    }

    fn block_comment(&mut self) -> bool {
        let mut depth = 0_usize;
        loop {
            let rest = self.rest();
            if rest.starts_with("/*") {
                depth += 1;
                self.skip(Some(2));
            } else if rest.starts_with("*/") {
                depth -= 1;
                self.skip(Some(2));
                if depth == 0 {
                    return true;
                }
            } else if let Some(character) = rest.chars().next() {
                self.skip(Some(character.len_utf8()));
            } else {
                return false;
            }
        }
    }

    fn brace(&mut self, character: char) {
        let Some(Frame::Code { braces }) = self.frames.last_mut() else { return };
        match character {
            '{' => *braces += 1,
            '}' if *braces > 0 => *braces -= 1,
            // The end of an interpolation; the outermost frame stays whatever comes.
            '}' if self.frames.len() > 1 => {
                self.frames.pop();
            }
            _ => {}
        }
    }

    fn code(&mut self, first: char) -> Piece<'t> {
        let rest = self.rest();
        if first.is_ascii_alphanumeric() || first == '_' {
            let length = rest.find(|character: char| !character.is_ascii_alphanumeric() && character != '_');
            let word = &rest[..length.unwrap_or(rest.len())];
            self.skip(Some(word.len()));
            return Piece::Word(word);
        }
        if rest.starts_with("//") {
            let end = rest.find('\n');
            self.skip(end);
            return Piece::Comment { is_closed: end.is_some() };
        }
        if rest.starts_with("/*") {
            return Piece::Comment { is_closed: self.block_comment() };
        }
        let hashes = rest.len() - rest.trim_start_matches('#').len();
        if hashes > 0 && rest[hashes..].starts_with('"') {
            self.skip(Some(hashes + 1));
            return Piece::Text(self.raw(hashes));
        }
        if hashes > 0 {
            // All of them at once, or each would be counted again for the next.
            self.skip(Some(hashes));
            return Piece::Other('#');
        }
        let (length, piece) = match first {
            '.' if rest.starts_with("..") => (2, Piece::Other('.')),
            '.' => (1, Piece::Dot),
            '?' if rest.starts_with("?.") => (2, Piece::Dot),
            ':' if rest.starts_with("::") => (2, Piece::Colons),
            _ => (first.len_utf8(), Piece::Other(first)),
        };
        self.skip(Some(length));
        match first {
            '"' | '\'' => Piece::Text(self.quoted(first)),
            '`' => {
                self.frames.push(Frame::Template);
                Piece::Text(self.template())
            }
            _ => {
                self.brace(first);
                piece
            }
        }
    }
}

/// Each piece with where it begins.
impl<'t> Iterator for Scanner<'t> {
    type Item = (usize, Piece<'t>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at < self.text.len() && self.frames.last() == Some(&Frame::Template) {
            let start = self.at;
            return Some((start, Piece::Text(self.template())));
        }
        let rest = self.rest();
        self.skip(Some(rest.len() - rest.trim_start().len()));
        let first = self.rest().chars().next()?;
        let start = self.at;
        Some((start, self.code(first)))
    }
}

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

fn is_doc(comment: &str) -> bool {
    let is_marked = |marker: &str, no_more: &str| comment.starts_with(marker) && !comment.starts_with(no_more);
    is_marked("///", "////") || is_marked("/**", "/***")
}

/// The script with those doc comments made plain ones that document no function: Rhai refuses a script for them as soon
/// as it keeps documentation at all. Everything stays in its place.
pub(crate) fn without_stray_docs(script: &str) -> String {
    let mut scanner = Scanner::new(script);
    let mut stray: Vec<usize> = Vec::new();
    let mut waiting: Vec<usize> = Vec::new();
    loop {
        let is_at_top = scanner.is_at_top();
        let Some((start, piece)) = scanner.next() else { break };
        match piece {
            Piece::Comment { .. } if is_at_top => waiting.push(start),
            Piece::Comment { .. } => stray.push(start),
            Piece::Word("fn" | "private") => waiting.clear(),
            _ => stray.append(&mut waiting),
        }
    }
    stray.append(&mut waiting);
    let mut bytes = script.as_bytes().to_vec();
    for start in stray {
        let comment = &script[start..];
        if comment.starts_with("/**/") {
            bytes[start..start + 4].fill(b' ');
        } else if is_doc(comment) {
            bytes[start + 2] = b' ';
        }
    }
    // Only ASCII was put in the place of ASCII.
    String::from_utf8(bytes).unwrap_or_else(|_| script.to_owned())
}

#[cfg(test)]
mod tests;
