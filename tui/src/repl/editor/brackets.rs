//! Closing brackets that the editor inserts with their opening ones.
//!
//! They stand for what the user has still to type: while one is open, Enter continues the input and never submits it.
//! A closing bracket goes with its opening one, and becomes the user's own once the cursor has passed it.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use console::commands;

use super::{Editor, place};
use crate::action::Action;

/// The pairs that the editor has completed.
#[derive(Debug, Default)]
pub(super) struct Brackets {
    /// Whether the user wants them.
    is_on: bool,
    /// The open pairs, the innermost last.
    pairs: Vec<Pair>,
    /// The text for which the places of the pairs are right.
    text: Vec<char>,
    /// Whether the last key made the innermost pair.
    is_fresh: bool,
}

/// An opening bracket and the closing one that was inserted, by their places in the text in characters.
#[derive(Debug, Clone, Copy)]
struct Pair {
    open: usize,
    close: usize,
}

impl Brackets {
    pub(super) fn new(is_on: bool) -> Self {
        Self { is_on, ..Self::default() }
    }

    /// Forgets the pairs, because there is another text.
    pub(super) fn clear(&mut self) {
        self.pairs.clear();
        self.is_fresh = false;
    }
}

impl Editor {
    /// Handles a key that is about brackets. Returns whether the key was used.
    pub(super) fn bracket_key(&mut self, key: KeyEvent) -> bool {
        let is_plain = !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        let (text, cursor) = self.characters();
        match key.code {
            KeyCode::Char(character) if is_plain && self.type_over(&text, cursor, character) => true,
            KeyCode::Char(opening) if is_plain && !self.indentation.is_pasted() => match closing(opening) {
                Some(closing) if self.brackets.is_on && self.is_pair_wanted(&text, cursor, opening) => {
                    self.area.insert_str(format!("{opening}{closing}"));
                    place::jump(&mut self.area, cursor + 1);
                    self.sync_brackets();
                    self.brackets.pairs.push(Pair { open: cursor, close: cursor + 1 });
                    self.brackets.text = self.characters().0;
                    self.brackets.is_fresh = true;
                    true
                }
                _ => false,
            },
            KeyCode::Backspace if is_plain => {
                let pair = self.brackets.pairs.last();
                let is_empty = pair.is_some_and(|pair| pair.open + 1 == cursor && pair.close == cursor);
                if is_empty {
                    self.area.delete_next_char();
                    self.area.delete_char();
                }
                is_empty
            }
            _ => false,
        }
    }

    /// Returns what Enter does. It submits nothing while a closing bracket is not the user's own.
    pub(super) fn enter(&mut self) -> Option<Action> {
        let (text, cursor) = self.characters();
        let Some(pair) = self.brackets.pairs.last() else { return Some(Action::Submit) };
        if text[pair.close] == '"' {
            // A new line would break the string.
            place::jump(&mut self.area, (pair.close + 1).max(cursor));
        } else {
            self.newline();
        }
        None
    }

    /// Returns whether the cursor is between two brackets that belong together, with nothing else between them.
    pub(super) fn is_in_empty_brackets(&self) -> bool {
        let (text, cursor) = self.characters();
        let pair = self.brackets.pairs.last();
        pair.is_some_and(|pair| pair.open + 1 == cursor && pair.close == cursor && text[pair.close] != '"')
    }

    /// Follows the pairs through a change of the text, of whatever kind.
    pub(super) fn sync_brackets(&mut self) {
        if self.brackets.pairs.is_empty() {
            return;
        }
        let (text, cursor) = self.characters();
        let old = std::mem::take(&mut self.brackets.text);
        // What is after the cursor did not change, so an inserted quote is not taken for the one behind it.
        let shorter = old.len().min(text.len());
        let after = shorter.min(text.len() - cursor);
        let same_at_end =
            old.iter().rev().zip(text.iter().rev()).take(after).take_while(|(old, new)| old == new).count();
        let rest = shorter - same_at_end;
        let same_at_start = old.iter().zip(&text).take(rest).take_while(|(old, new)| old == new).count();
        let moved = |place: usize| match place {
            _ if place < same_at_start => Some(place),
            _ if place >= old.len() - same_at_end => Some(place + text.len() - old.len()),
            _ => None,
        };
        let (mut pairs, mut orphans) = (Vec::new(), Vec::new());
        for pair in std::mem::take(&mut self.brackets.pairs) {
            match (moved(pair.open), moved(pair.close)) {
                (Some(open), Some(close)) if cursor <= close => pairs.push(Pair { open, close }),
                (None, Some(close)) if cursor <= close => orphans.push(close),
                _ => {}
            }
        }
        self.brackets.pairs = pairs;
        self.brackets.text = text;
        // From the end, so that the other places stay right.
        orphans.sort_unstable();
        for place in orphans.into_iter().rev() {
            self.remove(place);
        }
    }

    /// Takes back the bracket that the last key inserted, if that key was the first one of a paste.
    pub(super) fn take_back_bracket(&mut self) {
        let is_fresh = std::mem::take(&mut self.brackets.is_fresh);
        if is_fresh
            && self.indentation.is_pasted()
            && let Some(pair) = self.brackets.pairs.pop()
        {
            self.remove(pair.close);
        }
    }

    /// Removes a character behind the cursor.
    fn remove(&mut self, place: usize) {
        let (_, cursor) = self.characters();
        place::jump(&mut self.area, place);
        self.area.delete_next_char();
        place::jump(&mut self.area, cursor);
        self.sync_brackets();
    }

    /// Moves over a closing bracket that was inserted, if the user types it. Blank space before it goes.
    fn type_over(&mut self, text: &[char], cursor: usize, typed: char) -> bool {
        let Some(pair) = self.brackets.pairs.last().copied().filter(|pair| text[pair.close] == typed) else {
            return false;
        };
        let between = &text[cursor..pair.close];
        let is_escaped = text[..cursor].iter().rev().take_while(|character| **character == '\\').count() % 2 == 1;
        let is_string = typed == '"';
        if !between.iter().all(|character| character.is_whitespace())
            || is_string && (is_escaped || !between.is_empty())
        {
            return false;
        }
        let line = text[..cursor].iter().rposition(|character| *character == '\n').map_or(0, |at| at + 1);
        let below = between.iter().rposition(|character| *character == '\n').map(|at| cursor + at + 1);
        let mut close = pair.close;
        if let Some(below) = below.filter(|_| text[line..cursor].iter().all(|character| *character == ' ')) {
            place::jump(&mut self.area, line);
            self.area.delete_str(below - line);
            close -= below - line;
        }
        place::jump(&mut self.area, close + 1);
        true
    }

    /// Returns whether an opening bracket gets its closing one.
    fn is_pair_wanted(&self, text: &[char], cursor: usize, opening: char) -> bool {
        let is_free = text.get(cursor).is_none_or(|next| next.is_whitespace() || ")]}".contains(*next));
        let before: String = text[..cursor].iter().collect();
        let is_after_word = before.ends_with(|last: char| last.is_alphanumeric() || last == '_');
        let is_script = commands::script_part(&format!("{before}{opening}")).is_some();
        is_free && is_script && !(opening == '"' && is_after_word) && self.indentation.is_code_after(&before)
    }

    /// Returns the text in characters, and the place of the cursor.
    fn characters(&self) -> (Vec<char>, usize) {
        let (text, cursor) = self.cursor();
        (text.chars().collect(), cursor)
    }
}

/// Returns the bracket that closes a pair.
fn closing(opening: char) -> Option<char> {
    Some(match opening {
        '(' => ')',
        '[' => ']',
        '{' => '}',
        '"' => '"',
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
