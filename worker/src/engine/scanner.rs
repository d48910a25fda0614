//! A scanner for the part of Rhai's lexical grammar that separates code from strings, characters, templates and
//! comments. No I/O; accepts any text.

/// A token of a script, other than whitespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'t> {
    /// A word of letters, digits and underscores.
    Word(&'t str),
    /// `.` or `?.`, but not `..`.
    Dot,
    /// `::`.
    Colons,
    /// A string, a character, or a part of a template up to its end or its next `${`.
    Text(TextEnd),
    /// A comment. `is_closed` says whether the position after it is outside of it.
    Comment { is_closed: bool },
    /// Any other character.
    Other(char),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextEnd {
    Closed,
    /// An interpolation follows.
    Interpolation,
    /// The script ends inside the text.
    Open,
}

/// A lexical scope around the scanner's position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LexicalScope {
    /// Code with a number of open braces.
    Code {
        braces: usize,
    },
    Template,
}

pub(crate) struct Scanner<'t> {
    text: &'t str,
    at: usize,
    scopes: Vec<LexicalScope>,
}

impl<'t> Scanner<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, at: 0, scopes: vec![LexicalScope::Code { braces: 0 }] }
    }

    /// The number of bytes before the next token and the space before it.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// Whether the next token is outside of every block.
    pub(crate) fn is_at_top(&self) -> bool {
        self.scopes == [LexicalScope::Code { braces: 0 }]
    }

    /// Skips a number of bytes, or the whole rest.
    fn skip(&mut self, bytes: Option<usize>) {
        self.at = bytes.map_or(self.text.len(), |bytes| (self.at + bytes).min(self.text.len()));
    }

    /// Skips a quoted text after its opening quote.
    fn quoted(&mut self, quote: char) -> TextEnd {
        let mut characters = self.rest().char_indices();
        while let Some((index, character)) = characters.next() {
            match character {
                '\\' => {
                    characters.next();
                }
                // A string ends at the end of its line: to a person who types it, the next line is code.
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

    /// Skips a raw string after its `#`s and its opening quote.
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
            self.scopes.pop();
            return TextEnd::Closed;
        }
        self.skip(Some(index + 2));
        self.scopes.push(LexicalScope::Code { braces: 0 });
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
        let Some(LexicalScope::Code { braces }) = self.scopes.last_mut() else { return };
        match character {
            '{' => *braces += 1,
            '}' if *braces > 0 => *braces -= 1,
            // The end of an interpolation. The outermost scope always remains.
            '}' if self.scopes.len() > 1 => {
                self.scopes.pop();
            }
            _ => {}
        }
    }

    fn code(&mut self, first: char) -> Token<'t> {
        let rest = self.rest();
        if first.is_ascii_alphanumeric() || first == '_' {
            let length = rest.find(|character: char| !character.is_ascii_alphanumeric() && character != '_');
            let word = &rest[..length.unwrap_or(rest.len())];
            self.skip(Some(word.len()));
            return Token::Word(word);
        }
        if rest.starts_with("//") {
            let end = rest.find('\n');
            self.skip(end);
            return Token::Comment { is_closed: end.is_some() };
        }
        if rest.starts_with("/*") {
            return Token::Comment { is_closed: self.block_comment() };
        }
        let hashes = rest.len() - rest.trim_start_matches('#').len();
        if hashes > 0 && rest[hashes..].starts_with('"') {
            self.skip(Some(hashes + 1));
            return Token::Text(self.raw(hashes));
        }
        if hashes > 0 {
            // Skip all of them together, or the scanner would count them again for each one.
            self.skip(Some(hashes));
            return Token::Other('#');
        }
        let (length, token) = match first {
            '.' if rest.starts_with("..") => (2, Token::Other('.')),
            '.' => (1, Token::Dot),
            '?' if rest.starts_with("?.") => (2, Token::Dot),
            ':' if rest.starts_with("::") => (2, Token::Colons),
            _ => (first.len_utf8(), Token::Other(first)),
        };
        self.skip(Some(length));
        match first {
            '"' | '\'' => Token::Text(self.quoted(first)),
            '`' => {
                self.scopes.push(LexicalScope::Template);
                Token::Text(self.template())
            }
            _ => {
                self.brace(first);
                token
            }
        }
    }
}

/// Yields each token with its start.
impl<'t> Iterator for Scanner<'t> {
    type Item = (usize, Token<'t>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at < self.text.len() && self.scopes.last() == Some(&LexicalScope::Template) {
            let start = self.at;
            return Some((start, Token::Text(self.template())));
        }
        let rest = self.rest();
        self.skip(Some(rest.len() - rest.trim_start().len()));
        let first = self.rest().chars().next()?;
        let start = self.at;
        Some((start, self.code(first)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_of_hashes_is_one_token() {
        // If the scanner counted them again for each one, a message full of them would take half a minute.
        assert_eq!(Scanner::new(&"#".repeat(1000)).count(), 1);
        assert_eq!(Scanner::new("##{").count(), 2);
        assert_eq!(Scanner::new("###\"a\"###").count(), 1);
    }
}
