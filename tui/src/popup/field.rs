//! Single-line input field that is edited at its end: a name, an address, a passphrase.

use ratatui::{
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    style::Stylize,
    text::Span,
};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;
use zeroize::Zeroizing;

/// Largest text in bytes. The capacity is reserved from the start, so that no reallocation leaves a part of a
/// passphrase in freed memory.
const MAX_BYTES: usize = 1024;

/// Largest text of a long field in bytes.
const MAX_LONG_BYTES: usize = 64 << 10;

pub(crate) struct Field {
    text: Zeroizing<String>,
    is_hidden: bool,
    max_bytes: usize,
    /// Value of an empty field.
    default: &'static str,
}

/// Why a field does not take a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PasteError {
    /// The text has control characters besides newlines and tabs.
    HasControls,
    /// There is no room for the text.
    TooLong,
}

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Field").finish_non_exhaustive()
    }
}

impl Field {
    pub(crate) fn visible() -> Self {
        Self {
            text: Zeroizing::new(String::with_capacity(MAX_BYTES)),
            is_hidden: false,
            max_bytes: MAX_BYTES,
            default: "",
        }
    }

    /// A field with a value for when it is empty.
    pub(crate) fn with_default(default: &'static str) -> Self {
        Self { default, ..Self::visible() }
    }

    /// A field for a long text that is no secret.
    pub(crate) fn long() -> Self {
        Self { max_bytes: MAX_LONG_BYTES, ..Self::visible() }
    }

    /// A field that shows only the length of its text.
    pub(crate) fn hidden() -> Self {
        Self { is_hidden: true, ..Self::visible() }
    }

    pub(crate) fn text(&self) -> &str {
        if self.text.is_empty() { self.default } else { &self.text }
    }

    /// Returns a copy of the text that is wiped on drop, too.
    pub(crate) fn secret(&self) -> Zeroizing<String> {
        self.text.clone()
    }

    /// Clears the field, and wipes its text.
    pub(crate) fn clear(&mut self) {
        let Self { is_hidden, max_bytes, default, .. } = *self;
        *self = Self { is_hidden, max_bytes, default, ..Self::visible() };
    }

    /// Appends a text without its control characters, as far as there is room.
    pub(crate) fn paste(&mut self, text: &str) {
        for character in text.chars().filter(|character| !character.is_control()) {
            if self.text.len() + character.len_utf8() > self.max_bytes {
                return;
            }
            self.text.push(character);
        }
    }

    /// Appends all of a text, with its newlines and tabs.
    ///
    /// # Errors
    ///
    /// The field cannot hold all of the text, and stays as it was.
    pub(crate) fn paste_whole(&mut self, text: &str) -> Result<(), PasteError> {
        // Terminals send a carriage return for each line end.
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        if text.contains(|character: char| character.is_control() && !matches!(character, '\n' | '\t')) {
            return Err(PasteError::HasControls);
        }
        if self.text.len() + text.len() > self.max_bytes {
            return Err(PasteError::TooLong);
        }
        self.text.push_str(&text);
        Ok(())
    }

    pub(crate) fn key(&mut self, key: KeyEvent) {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('u') if is_control => self.clear(),
            KeyCode::Backspace => {
                if let Some((at, _)) = self.text.grapheme_indices(true).next_back() {
                    self.text.truncate(at);
                }
            }
            KeyCode::Char(character) if !is_control && !key.modifiers.contains(KeyModifiers::ALT) => {
                self.paste(character.encode_utf8(&mut [0; 4]));
            }
            _ => {}
        }
    }

    /// Returns the visible text: what was typed, or else the default.
    pub(crate) fn spans(&self) -> [Span<'static>; 2] {
        let default = if self.text.is_empty() { self.default } else { "" };
        [Span::raw(self.masked_text()), Span::raw(default).dim()]
    }

    fn masked_text(&self) -> String {
        if self.is_hidden { "•".repeat(self.text.graphemes(true).count()) } else { self.text.to_string() }
    }

    /// Returns the width of the visible text in columns.
    pub(crate) fn width(&self) -> usize {
        self.masked_text().width()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_field_shows_only_its_length() {
        let mut field = Field::hidden();
        field.paste("pass\nwörd");
        assert_eq!((field.text(), field.masked_text().as_str()), ("passwörd", "••••••••"));
        assert!(!format!("{field:?}").contains("pass"));
        field.key(KeyEvent::new(KeyCode::Backspace, KeyModifiers::NONE));
        assert_eq!(field.text(), "passwör");
        field.key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL));
        assert_eq!(field.text(), "");
    }

    #[test]
    fn whole_paste_keeps_lines_or_leaves_the_field_as_it_was() {
        let mut field = Field::long();
        assert_eq!(field.paste_whole("a\tb\r\nc\rd\n"), Ok(()));
        assert_eq!(field.paste_whole("\u{1b}[2J"), Err(PasteError::HasControls));
        assert_eq!(field.paste_whole(&"x".repeat(MAX_LONG_BYTES)), Err(PasteError::TooLong));
        assert_eq!(field.text(), "a\tb\nc\nd\n");
        field.clear();
        assert_eq!(field.paste_whole(&"x".repeat(MAX_LONG_BYTES)), Ok(()));
    }

    #[test]
    fn field_never_exceeds_its_capacity() {
        let mut field = Field::visible();
        let room = field.text.capacity();
        field.paste(&"é".repeat(10_000));
        assert_eq!((field.text().len(), field.text.capacity()), (MAX_BYTES, room));
    }
}
