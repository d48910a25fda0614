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

    pub(crate) fn paste(&mut self, text: &str) {
        let _is_whole = self.try_paste(text);
    }

    /// Appends a text without its control characters. Returns whether there was room for all of it.
    pub(crate) fn try_paste(&mut self, text: &str) -> bool {
        for character in text.chars().filter(|character| !character.is_control()) {
            if self.text.len() + character.len_utf8() > self.max_bytes {
                return false;
            }
            self.text.push(character);
        }
        true
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
    fn field_never_exceeds_its_capacity() {
        let mut field = Field::visible();
        let room = field.text.capacity();
        field.paste(&"é".repeat(10_000));
        assert_eq!((field.text().len(), field.text.capacity()), (MAX_BYTES, room));
    }
}
