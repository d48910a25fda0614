//! Indentation in the editor.

use std::time::Instant;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use console::indent::{INDENT, Indenter, PasteDetector};

use super::{Editor, place};

/// What the last keys mean for the indentation of the next line.
#[derive(Debug, Default)]
pub(super) struct IndentState {
    indenter: Indenter,
    paste_detector: PasteDetector,
    /// Whether the last key belongs to pasted text that arrives key by key.
    is_pasted: bool,
    /// Whether the last key was Enter, which indented a new line.
    is_indented: bool,
}

impl IndentState {
    /// Notes a key press. Returns whether the one before indented a new line.
    pub(super) fn key(&mut self, key: KeyEvent, now: Instant) -> bool {
        let is_plain = !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        let is_text = is_plain && matches!(key.code, KeyCode::Char(_) | KeyCode::Enter);
        self.is_pasted = self.paste_detector.is_pasted(is_text, now);
        std::mem::take(&mut self.is_indented)
    }

    /// Whether the last key belongs to pasted text.
    pub(super) fn is_pasted(&self) -> bool {
        self.is_pasted
    }

    /// Whether code follows a text, and not the rest of a string or a comment.
    pub(super) fn is_code_after(&self, before: &str) -> bool {
        self.indenter.is_code_after(before)
    }

    /// Forgets when the last key came.
    #[cfg(test)]
    pub(super) fn forget_time(&mut self) {
        self.paste_detector = PasteDetector::default();
    }
}

impl Editor {
    /// Inserts a line, and indents it unless it is pasted.
    pub(crate) fn newline(&mut self) {
        self.menu = None;
        if self.indentation.is_pasted {
            self.area.insert_newline();
            return;
        }
        let before = self.before_cursor();
        let indent = self.indentation.indenter.next_line(&before);
        let is_in_brackets = self.is_in_empty_brackets();
        // A blank line keeps no indentation.
        let line = before.rsplit('\n').next().unwrap_or_default();
        if line.chars().all(|character| character == ' ') {
            self.delete_before(line.len());
        }
        self.indentation.is_indented = !indent.is_empty();
        self.area.insert_str(format!("\n{indent}"));
        if is_in_brackets {
            let (_, cursor) = self.cursor();
            // The closing bracket begins the line below.
            self.area.insert_str(format!("\n{}", indent.strip_suffix(INDENT).unwrap_or_default()));
            place::jump(&mut self.area, cursor);
        }
    }

    /// Returns the text before the cursor.
    pub(super) fn before_cursor(&self) -> String {
        let (text, cursor) = self.cursor();
        text.chars().take(cursor).collect()
    }

    pub(super) fn delete_before(&mut self, characters: usize) {
        for _ in 0..characters {
            self.area.delete_char();
        }
    }

    /// Gives the line of a closing bracket its indentation. A paste is changed only where its new line was indented.
    pub(super) fn dedent(&mut self, closing: char, was_indented: bool) {
        if self.indentation.is_pasted && !was_indented {
            return;
        }
        let before = self.before_cursor();
        if let Some(indent) = self.indentation.indenter.dedented(&before, closing) {
            self.delete_before(before.len() - before.trim_end_matches(' ').len());
            self.area.insert_str(indent);
        }
    }

    /// Returns whether Tab indents: the cursor has only whitespace before it in its line, and there are several lines.
    pub(super) fn is_at_indent(&self) -> bool {
        let cursor = self.area.cursor();
        let line = self.area.lines().get(cursor.0).map_or("", String::as_str);
        self.area.lines().len() > 1 && line.chars().take(cursor.1).all(char::is_whitespace)
    }
}
