//! Keys of the normal mode that edit without a motion.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui_textarea::{CursorMove, TextArea};

use super::{
    super::MAX_BYTES,
    Register, ViKeys, ViOutcome,
    motion::Motion,
    place::{cursor, index, jump},
};

impl ViKeys {
    /// Handles the keys that edit without a motion.
    pub(super) fn edit(&mut self, area: &mut TextArea<'static>, letter: char) -> ViOutcome {
        let count = std::mem::take(&mut self.count).max(1);
        // An operator needs a motion.
        if self.operator.take().is_some() {
            return ViOutcome::Handled;
        }
        let (row, column) = cursor(area);
        let width = area.lines().get(row).map_or(0, |line| line.chars().count());
        let place = index(area, (row, column));
        let line_end = place + width - column.min(width);
        match letter {
            'i' => self.is_normal = false,
            'a' => self.insert_at(area, if width > 0 { CursorMove::Forward } else { CursorMove::End }),
            'A' => self.insert_at(area, CursorMove::End),
            'I' => {
                self.apply(area, Motion::FirstCharacter);
                self.is_normal = false;
            }
            'o' => {
                area.move_cursor(CursorMove::End);
                return self.open_line();
            }
            'O' => {
                area.move_cursor(CursorMove::Head);
                area.insert_newline();
                area.move_cursor(CursorMove::Up);
                self.is_normal = false;
            }
            'x' => self.operate(area, 'd', place, (place + count).min(line_end)),
            'X' => self.operate(area, 'd', place - count.min(column), place),
            's' => self.operate(area, 'c', place, (place + count).min(line_end)),
            'D' => self.operate(area, 'd', place, line_end),
            'C' => self.operate(area, 'c', place, line_end),
            'S' => self.operate_on_rows(area, 'c', row, row),
            'Y' => self.operate_on_rows(area, 'y', row, row),
            'p' | 'P' => self.put(area, letter == 'p', count),
            'u' => undo(area, count),
            '/' => return ViOutcome::Pass(KeyEvent::new(KeyCode::Char('r'), KeyModifiers::CONTROL)),
            ':' if area.is_empty() => {
                self.is_normal = false;
                return ViOutcome::Pass(KeyEvent::new(KeyCode::Char(':'), KeyModifiers::NONE));
            }
            _ => {}
        }
        ViOutcome::Handled
    }

    fn insert_at(&mut self, area: &mut TextArea<'static>, place: CursorMove) {
        area.move_cursor(place);
        self.is_normal = false;
    }

    /// The editor indents the new line.
    fn open_line(&mut self) -> ViOutcome {
        self.is_normal = false;
        ViOutcome::Pass(KeyEvent::new(KeyCode::Char('j'), KeyModifiers::CONTROL))
    }

    fn put(&self, area: &mut TextArea<'static>, is_after: bool, count: usize) {
        let Register { text, is_lines } = &self.register;
        // A count must not make an input of any size.
        let count = count.min(MAX_BYTES / text.len().max(1));
        if text.is_empty() || count == 0 {
            return;
        }
        if *is_lines {
            let lines = vec![text.as_str(); count].join("\n");
            if is_after {
                area.move_cursor(CursorMove::End);
                let row = area.cursor().0;
                area.insert_str(format!("\n{lines}"));
                jump(area, index(area, (row + 1, 0)));
            } else {
                area.move_cursor(CursorMove::Head);
                let start = index(area, cursor(area));
                area.insert_str(format!("{lines}\n"));
                jump(area, start);
            }
        } else {
            let (row, column) = cursor(area);
            let width = area.lines().get(row).map_or(0, |line| line.chars().count());
            if is_after && column < width {
                area.move_cursor(CursorMove::Forward);
            }
            area.insert_str(text.repeat(count));
            area.move_cursor(CursorMove::Back);
        }
    }
}

/// Undoes changes, and moves the cursor to the begin of what has changed.
fn undo(area: &mut TextArea<'static>, count: usize) {
    let before = area.lines().join("\n");
    for _ in 0..count {
        if !area.undo() {
            break;
        }
    }
    let after = area.lines().join("\n");
    if before != after {
        jump(area, before.chars().zip(after.chars()).take_while(|(old, new)| old == new).count());
    }
}
