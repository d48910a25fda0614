//! A key press that can be bound to an action.

use std::fmt;

/// The number of function keys.
const FUNCTION_KEYS: u8 = 12;

/// Keys with one meaning everywhere. Ctrl with h, i, j, m or [ is Backspace, Tab, Enter or Esc to a terminal.
const FIXED_NAMES: [&str; 17] = [
    "enter",
    "return",
    "esc",
    "escape",
    "tab",
    "shift-tab",
    "backtab",
    "backspace",
    "delete",
    "insert",
    "home",
    "end",
    "up",
    "down",
    "left",
    "right",
    "ctrl-c",
];

/// Characters that select a pane or move in a list.
const FIXED_CHARACTERS: &str = "1234jkgG";

/// A key, and what is held with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPress {
    /// The key.
    key: Key,
    /// The key that is held.
    held: Held,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Character(char),
    Function(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Nothing,
    Control,
    Alt,
}

/// The reason for which a text is not a key that can be bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPressError {
    /// It is not a key.
    Unknown,
    /// The key has a fixed meaning.
    Fixed,
}

impl KeyPress {
    /// A character.
    pub const fn character(character: char) -> Self {
        Self { key: Key::Character(character), held: Held::Nothing }
    }

    /// A letter with Ctrl. Terminals report no difference between small and capital letters.
    pub const fn control(letter: char) -> Self {
        Self { key: Key::Character(letter.to_ascii_lowercase()), held: Held::Control }
    }

    /// A character with Alt.
    pub const fn alt(character: char) -> Self {
        Self { key: Key::Character(character), held: Held::Alt }
    }

    /// A function key.
    pub const fn function(number: u8) -> Self {
        Self { key: Key::Function(number), held: Held::Nothing }
    }

    /// Whether the key types a character.
    pub fn is_printable(self) -> bool {
        matches!(self, Self { key: Key::Character(_), held: Held::Nothing })
    }

    /// Whether the key edits an input.
    pub(super) fn is_editing(self) -> bool {
        match (self.key, self.held) {
            (Key::Character(letter), Held::Control) => "abdefghijkmnruvwxy".contains(letter),
            (Key::Character(character), Held::Alt) => "bdfhnpv<>[]".contains(character),
            _ => false,
        }
    }

    /// Parses a key as the settings name it.
    ///
    /// # Errors
    ///
    /// The text is not a key, or the key has a fixed meaning.
    pub fn parse(text: &str) -> Result<Self, KeyPressError> {
        let lower = text.to_ascii_lowercase();
        let is_paging = ["pgup", "pgdn", "pageup", "pagedown"].contains(&lower.as_str());
        if is_paging || FIXED_NAMES.contains(&lower.as_str()) {
            return Err(KeyPressError::Fixed);
        }
        if let Some(number) = lower.strip_prefix('f').and_then(|number| number.parse().ok()) {
            let is_plain = !lower[1..].starts_with(['0', '+']);
            let is_there = (1..=FUNCTION_KEYS).contains(&number) && is_plain;
            return is_there.then_some(Self::function(number)).ok_or(KeyPressError::Unknown);
        }
        let (held, name) = match (lower.strip_prefix("ctrl-"), lower.strip_prefix("alt-")) {
            (Some(_), _) => (Held::Control, &text["ctrl-".len()..]),
            (_, Some(_)) => (Held::Alt, &text["alt-".len()..]),
            _ => (Held::Nothing, text),
        };
        let character = one_character(name).ok_or(KeyPressError::Unknown)?;
        match held {
            Held::Control if "himHIM".contains(character) || "jJ".contains(character) => Err(KeyPressError::Fixed),
            Held::Control if character.is_ascii_alphabetic() => Ok(Self::control(character)),
            Held::Control => Err(KeyPressError::Unknown),
            Held::Alt => Ok(Self::alt(character)),
            Held::Nothing if FIXED_CHARACTERS.contains(character) => Err(KeyPressError::Fixed),
            Held::Nothing => Ok(Self::character(character)),
        }
    }
}

/// Returns the character that a text names.
fn one_character(name: &str) -> Option<char> {
    if name.eq_ignore_ascii_case("space") {
        return Some(' ');
    }
    let mut characters = name.chars();
    let character = characters.next().filter(|character| !character.is_control() && !character.is_whitespace());
    character.filter(|_| characters.next().is_none())
}

impl fmt::Display for KeyPress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.held, self.key) {
            (Held::Control, Key::Character(letter)) => return write!(f, "Ctrl-{}", letter.to_ascii_uppercase()),
            (Held::Alt, _) => f.write_str("Alt-")?,
            _ => {}
        }
        match self.key {
            Key::Character(' ') => f.write_str("Space"),
            Key::Character(character) => write!(f, "{character}"),
            Key::Function(number) => write!(f, "F{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_parsed_and_shown() {
        for (text, shown) in [
            ("R", "R"),
            ("%", "%"),
            ("ü", "ü"),
            ("f", "f"),
            ("F", "F"),
            ("F12", "F12"),
            ("f5", "F5"),
            ("ctrl-p", "Ctrl-P"),
            ("Ctrl-P", "Ctrl-P"),
            ("Alt-x", "Alt-x"),
            ("alt-X", "Alt-X"),
            ("space", "Space"),
            ("Alt-Space", "Alt-Space"),
            ("-", "-"),
            ("Alt--", "Alt--"),
        ] {
            assert_eq!(KeyPress::parse(text).map(|key| key.to_string()), Ok(shown.to_owned()), "{text}");
        }
        assert_eq!(KeyPress::parse("ctrl-P"), Ok(KeyPress::control('p')));
        for text in [
            "",
            " ",
            "\t",
            "ab",
            "F0",
            "F13",
            "F01",
            "F+1",
            "F256",
            "Ctrl-",
            "Ctrl-1",
            "Hyper-x",
            "Ctrl-Alt-x",
            "\u{1b}",
            "é́",
        ] {
            assert_eq!(KeyPress::parse(text), Err(KeyPressError::Unknown), "{text}");
        }
        for text in ["Enter", "ESC", "Ctrl-C", "Tab", "Shift-Tab", "PgUp", "1", "j", "G", "Ctrl-J", "ctrl-m"] {
            assert_eq!(KeyPress::parse(text), Err(KeyPressError::Fixed), "{text}");
        }
    }
}
