//! Vi keys of the editor: motions, operators, registers and undo of the normal mode.

mod motion;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui_textarea::{CursorMove, TextArea};

use motion::{Motion, MotionKind};

/// Largest count before a command.
const MAX_COUNT: usize = 9999;

/// Mode of the editor, and the command that is being typed.
#[derive(Debug, Default)]
pub(super) struct ViKeys {
    is_normal: bool,
    count: usize,
    /// `d`, `c` or `y`, and the count before it.
    operator: Option<(char, usize)>,
    /// A key that needs another one: `g`, `r`, `f`, `F`, `t` or `T`.
    prefix: Option<char>,
    last_find: Option<(char, char)>,
    register: Register,
}

/// Text that was deleted or copied.
#[derive(Debug, Default, Clone)]
struct Register {
    text: String,
    is_lines: bool,
}

/// Outcome of a key press.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ViOutcome {
    Handled,
    /// The editor handles this key.
    Pass(KeyEvent),
}

impl ViKeys {
    pub(super) fn is_normal(&self) -> bool {
        self.is_normal
    }

    /// Returns to the insert mode, for a new input.
    pub(super) fn reset(&mut self) {
        *self = Self { register: std::mem::take(&mut self.register), last_find: self.last_find, ..Self::default() };
    }

    pub(super) fn key(&mut self, area: &mut TextArea<'static>, key: KeyEvent) -> ViOutcome {
        if !self.is_normal {
            if key.code != KeyCode::Esc {
                return ViOutcome::Pass(key);
            }
            self.is_normal = true;
            if area.cursor().1 > 0 {
                area.move_cursor(CursorMove::Back);
            }
            return ViOutcome::Handled;
        }
        let is_pending = self.count > 0 || self.operator.is_some() || self.prefix.is_some();
        let outcome = match key.code {
            KeyCode::Esc if is_pending => {
                self.forget();
                ViOutcome::Handled
            }
            KeyCode::Char(letter) if !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => {
                self.command(area, letter)
            }
            KeyCode::Backspace => self.command(area, 'h'),
            _ => {
                self.forget();
                ViOutcome::Pass(key)
            }
        };
        self.keep_on_character(area);
        outcome
    }

    /// In the normal mode, moves the cursor from the end of a line onto its last character.
    pub(super) fn keep_on_character(&self, area: &mut TextArea<'static>) {
        let (row, column) = cursor(area);
        let width = area.lines().get(row).map_or(0, |line| line.chars().count());
        if self.is_normal && column >= width && width > 0 {
            area.move_cursor(CursorMove::End);
            area.move_cursor(CursorMove::Back);
        }
    }

    fn forget(&mut self) {
        (self.count, self.operator, self.prefix) = (0, None, None);
    }

    fn command(&mut self, area: &mut TextArea<'static>, letter: char) -> ViOutcome {
        if let Some(prefix) = self.prefix.take() {
            self.after_prefix(area, prefix, letter);
            return ViOutcome::Handled;
        }
        match letter {
            '1'..='9' | '0' if letter != '0' || self.count > 0 => {
                let digit = letter.to_digit(10).map_or(0, |digit| digit as usize);
                self.count = (self.count * 10 + digit).min(MAX_COUNT);
                return ViOutcome::Handled;
            }
            'g' | 'r' | 'f' | 'F' | 't' | 'T' => {
                self.prefix = Some(letter);
                return ViOutcome::Handled;
            }
            'd' | 'c' | 'y' => match self.operator {
                Some((operator, _)) if operator == letter => self.operate_on_lines(area),
                Some(_) => self.forget(),
                None => {
                    self.operator = Some((letter, std::mem::take(&mut self.count)));
                }
            },
            ';' | ',' => {
                if let Some((kind, target)) = self.last_find {
                    self.apply(area, Motion::Find(if letter == ',' { opposite(kind) } else { kind }, target));
                }
            }
            'j' | 'k' if self.operator.is_none() => return self.move_line(area, letter == 'k'),
            _ => match Motion::of(letter) {
                Some(motion) => self.apply(area, motion),
                None => return self.edit(area, letter),
            },
        }
        ViOutcome::Handled
    }

    /// Moves by lines; at the first and the last one, through the history.
    fn move_line(&mut self, area: &mut TextArea<'static>, is_up: bool) -> ViOutcome {
        self.forget();
        let row = area.cursor().0;
        if is_up && row == 0 {
            return ViOutcome::Pass(KeyEvent::new(KeyCode::Up, KeyModifiers::NONE));
        }
        if !is_up && row + 1 == area.lines().len() {
            return ViOutcome::Pass(KeyEvent::new(KeyCode::Down, KeyModifiers::NONE));
        }
        area.move_cursor(if is_up { CursorMove::Up } else { CursorMove::Down });
        ViOutcome::Handled
    }

    fn after_prefix(&mut self, area: &mut TextArea<'static>, prefix: char, letter: char) {
        match (prefix, letter) {
            ('g', 'g') => self.apply(area, Motion::FirstLine),
            ('r', _) => {
                let count = std::mem::take(&mut self.count).max(1);
                let (row, column) = cursor(area);
                let width = area.lines().get(row).map_or(0, |line| line.chars().count());
                self.forget();
                if column + count <= width {
                    area.delete_str(count);
                    area.insert_str(letter.to_string().repeat(count));
                    area.move_cursor(CursorMove::Back);
                }
            }
            ('f' | 'F' | 't' | 'T', _) => {
                self.last_find = Some((prefix, letter));
                self.apply(area, Motion::Find(prefix, letter));
            }
            _ => self.forget(),
        }
    }

    /// Moves the cursor, or applies the operator from here to the motion's target.
    fn apply(&mut self, area: &mut TextArea<'static>, motion: Motion) {
        let text: Vec<char> = area.lines().join("\n").chars().collect();
        let place = index(area, cursor(area));
        let (operator, before) = self.operator.take().map_or((None, 0), |(operator, count)| (Some(operator), count));
        let count = self.count.max(1).saturating_mul(before.max(1)).min(MAX_COUNT);
        let has_count = self.count > 0 || before > 0;
        self.forget();
        // `cw` ends with the word, as `ce` does.
        let motion = match (operator, motion) {
            (Some('c'), Motion::NextWord(is_big)) if text.get(place).is_some_and(|here| !here.is_whitespace()) => {
                Motion::WordEnd(is_big)
            }
            (_, motion) => motion,
        };
        let Some((target, kind)) = motion.target(&text, place, count, has_count) else { return };
        match (operator, kind) {
            (None, _) => jump(area, target),
            (Some(operator), MotionKind::Lines) => {
                let rows = [row_of(&text, place), row_of(&text, target)];
                self.operate_on_rows(area, operator, rows[0].min(rows[1]), rows[0].max(rows[1]));
            }
            (Some(operator), _) => {
                let inclusive = usize::from(kind == MotionKind::Inclusive);
                let (start, end) = (place.min(target), (place.max(target) + inclusive).min(text.len()));
                // A word at the end of a line does not take the next line in.
                let end = match motion {
                    Motion::NextWord(_) => {
                        text[start..end].iter().position(|letter| *letter == '\n').map_or(end, |at| start + at)
                    }
                    _ => end,
                };
                self.operate(area, operator, start, end);
            }
        }
    }

    fn operate(&mut self, area: &mut TextArea<'static>, operator: char, start: usize, end: usize) {
        let text: String = area.lines().join("\n").chars().skip(start).take(end - start).collect();
        self.register = Register { text, is_lines: false };
        jump(area, start);
        if operator != 'y' {
            area.delete_str(end - start);
        }
        self.is_normal = operator != 'c';
    }

    fn operate_on_lines(&mut self, area: &mut TextArea<'static>) {
        let Some((operator, before)) = self.operator.take() else { return };
        let count = self.count.max(1).saturating_mul(before.max(1));
        self.forget();
        let row = area.cursor().0;
        let last = (row + count - 1).min(area.lines().len().saturating_sub(1));
        self.operate_on_rows(area, operator, row, last);
    }

    fn operate_on_rows(&mut self, area: &mut TextArea<'static>, operator: char, first: usize, last: usize) {
        let lines: Vec<String> = area.lines().iter().skip(first).take(last + 1 - first).cloned().collect();
        let length = lines.join("\n").chars().count();
        let (rows, before) = (area.lines().len(), index(area, cursor(area)));
        self.register = Register { text: lines.join("\n"), is_lines: true };
        let start = index(area, (first, 0));
        match operator {
            'y' => jump(area, start.min(before)),
            'c' => {
                jump(area, start);
                area.delete_str(length);
                self.is_normal = false;
            }
            // With the newline after the lines, or else with the one before them.
            _ if last + 1 < rows => {
                jump(area, start);
                area.delete_str(length + 1);
            }
            _ => {
                jump(area, start.saturating_sub(1));
                area.delete_str(length + usize::from(first > 0));
                area.move_cursor(CursorMove::Head);
            }
        }
    }

    /// Handles the keys that edit without a motion.
    fn edit(&mut self, area: &mut TextArea<'static>, letter: char) -> ViOutcome {
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
        let count = count.min(super::MAX_BYTES / text.len().max(1));
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

fn opposite(find: char) -> char {
    if find.is_lowercase() { find.to_ascii_uppercase() } else { find.to_ascii_lowercase() }
}

/// Returns the row and the column of the cursor.
fn cursor(area: &TextArea<'_>) -> (usize, usize) {
    let cursor = area.cursor();
    (cursor.0, cursor.1)
}

/// Returns a position in characters of the whole text.
fn index(area: &TextArea<'_>, (row, column): (usize, usize)) -> usize {
    area.lines().iter().take(row).map(|line| line.chars().count() + 1).sum::<usize>() + column
}

fn row_of(text: &[char], place: usize) -> usize {
    text[..place.min(text.len())].iter().filter(|letter| **letter == '\n').count()
}

/// Moves the cursor to a position in characters of the whole text.
pub(super) fn jump(area: &mut TextArea<'static>, place: usize) {
    let mut left = place;
    let mut row = 0;
    for line in area.lines() {
        let width = line.chars().count();
        if left <= width {
            break;
        }
        left -= width + 1;
        row += 1;
    }
    let clip = |value: usize| u16::try_from(value).unwrap_or(u16::MAX);
    area.move_cursor(CursorMove::Jump(clip(row), clip(left)));
}

#[cfg(test)]
mod tests;
