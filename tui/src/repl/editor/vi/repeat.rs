//! The key `.`: the last change, once more.

use ratatui_textarea::{CursorMove, TextArea};

use super::{
    super::MAX_BYTES,
    ViKeys,
    place::{cursor, index},
};

/// A change: the keys of its command, and the text that was inserted after it.
#[derive(Debug, Default, Clone)]
pub(super) struct Change {
    keys: Vec<char>,
    count: usize,
    inserted: String,
}

/// What `.` needs to know of the keys so far.
#[derive(Debug, Default)]
pub(super) struct ChangeRecorder {
    /// Keys of the command that is being typed, without counts.
    keys: Vec<char>,
    last: Option<Change>,
    /// The text when the insertion began, and the place of the cursor.
    insertion: Option<(Vec<char>, usize)>,
}

impl ChangeRecorder {
    /// Ends what is being recorded, for a new input.
    pub(super) fn reset(&mut self) {
        self.keys.clear();
        self.insertion = None;
    }

    /// Takes in a key of a command, and the count before it.
    pub(super) fn push(&mut self, letter: char) {
        self.keys.push(letter);
    }

    /// Ends the recording of a command that has changed nothing.
    pub(super) fn drop_command(&mut self) {
        self.keys.clear();
    }

    /// Keeps the command that has just ended as the last change.
    pub(super) fn finish_command(&mut self, count: usize) {
        let mut keys = std::mem::take(&mut self.keys);
        // The new line and its indentation are part of what is inserted.
        if keys == ['o'] {
            keys = vec!['A'];
        }
        self.last = Some(Change { keys, count, inserted: String::new() });
    }

    pub(super) fn begin_insertion(&mut self, text: Vec<char>, place: usize) {
        self.insertion = Some((text, place));
    }

    /// Adds what was inserted so far to the last change.
    pub(super) fn note_insertion(&mut self, text: &[char]) {
        let (Some((before, place)), Some(last)) = (&self.insertion, &mut self.last) else { return };
        // Where the user has deleted more than was inserted, the text is the same up to there.
        let start = before.iter().take(*place).zip(text).take_while(|(old, new)| old == new).count();
        let after = before.len() - place.min(&before.len());
        last.inserted = text.get(start..text.len().saturating_sub(after)).unwrap_or_default().iter().collect();
    }

    pub(super) fn end_insertion(&mut self, text: &[char]) {
        self.note_insertion(text);
        self.insertion = None;
    }
}

impl ViKeys {
    /// Repeats the last change; a count replaces its count.
    pub(super) fn repeat_change(&mut self, area: &mut TextArea<'static>) {
        let count = std::mem::take(&mut self.count);
        self.forget();
        let Some(change) = &mut self.recorder.last else { return };
        if count > 0 {
            change.count = count;
        }
        let Change { keys, count, inserted } = change.clone();
        self.count = count;
        for letter in keys {
            self.command(area, letter);
        }
        self.forget();
        if self.is_normal {
            return;
        }
        self.is_normal = true;
        let length: usize = area.lines().iter().map(|line| line.len() + 1).sum();
        if length + inserted.len() <= MAX_BYTES {
            area.insert_str(inserted);
        }
        if cursor(area).1 > 0 {
            area.move_cursor(CursorMove::Back);
        }
    }
}

/// Returns the text of the editor, and the place of the cursor.
pub(super) fn snapshot(area: &TextArea<'_>) -> (Vec<char>, usize) {
    (area.lines().join("\n").chars().collect(), index(area, cursor(area)))
}
