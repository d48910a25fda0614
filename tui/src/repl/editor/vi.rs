//! Vi keys of the editor: motions, operators, text objects, registers, repeat and undo of the normal mode.

mod edits;
mod motion;
mod objects;
mod operators;
mod repeat;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui_textarea::{CursorMove, TextArea};

use super::place::{self, cursor};
use motion::Motion;
use objects::TextObject;
use repeat::{ChangeRecorder, snapshot};

/// Largest count before a command.
const MAX_COUNT: usize = 9999;

/// Mode of the editor, and the command that is being typed.
#[derive(Debug, Default)]
pub(super) struct ViKeys {
    is_normal: bool,
    count: usize,
    /// `d`, `c` or `y`, and the count before it.
    operator: Option<(char, usize)>,
    /// A key that needs another one: `g`, `r`, `f`, `F`, `t` or `T`; after an operator, `i` or `a`.
    prefix: Option<char>,
    last_find: Option<(char, char)>,
    register: Register,
    recorder: ChangeRecorder,
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
        let mut recorder = std::mem::take(&mut self.recorder);
        recorder.reset();
        let register = std::mem::take(&mut self.register);
        *self = Self { register, recorder, last_find: self.last_find, ..Self::default() };
    }

    pub(super) fn key(&mut self, area: &mut TextArea<'static>, key: KeyEvent) -> ViOutcome {
        if !self.is_normal {
            match key.code {
                KeyCode::Esc => self.recorder.end_insertion(&snapshot(area).0),
                // It may end the input, and with it the insertion.
                KeyCode::Enter => {
                    self.recorder.note_insertion(&snapshot(area).0);
                    return ViOutcome::Pass(key);
                }
                _ => return ViOutcome::Pass(key),
            }
            self.is_normal = true;
            if area.cursor().1 > 0 {
                area.move_cursor(CursorMove::Back);
            }
            return ViOutcome::Handled;
        }
        let is_pending = self.is_pending();
        let outcome = match key.code {
            KeyCode::Esc if is_pending => {
                self.forget();
                ViOutcome::Handled
            }
            KeyCode::Char(letter) if !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => {
                self.recorded_command(area, letter)
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

    fn is_pending(&self) -> bool {
        self.count > 0 || self.operator.is_some() || self.prefix.is_some()
    }

    /// Handles a key of a command, and keeps a command that changes the text for `.`.
    fn recorded_command(&mut self, area: &mut TextArea<'static>, letter: char) -> ViOutcome {
        let is_count = self.prefix.is_none() && letter.is_ascii_digit() && (letter != '0' || self.count > 0);
        if is_count {
            return self.command(area, letter);
        }
        if letter == '.' && self.prefix.is_none() && self.operator.is_none() {
            self.repeat_change(area);
            return ViOutcome::Handled;
        }
        let before = self.operator.map_or(0, |(_, count)| count);
        let count = if self.count + before > 0 { self.count.max(1) * before.max(1) } else { 0 };
        let is_undo = letter == 'u' && !self.is_pending_command();
        let (text, _) = snapshot(area);
        self.recorder.push(letter);
        let outcome = self.command(area, letter);
        if self.is_pending_command() {
            return outcome;
        }
        let (after, place) = snapshot(area);
        let is_search = matches!(outcome, ViOutcome::Pass(key) if key.code == KeyCode::Char(':'));
        if is_undo || is_search || self.is_normal && text == after {
            self.recorder.drop_command();
        } else {
            self.recorder.finish_command(count.min(MAX_COUNT));
        }
        if !self.is_normal {
            self.recorder.begin_insertion(after, place);
        }
        outcome
    }

    /// Returns whether a command needs more keys.
    fn is_pending_command(&self) -> bool {
        self.operator.is_some() || self.prefix.is_some()
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
            'i' | 'a' if self.operator.is_some() => {
                self.prefix = Some(letter);
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
            ('i' | 'a', _) => self.apply_to_object(area, TextObject { is_around: prefix == 'a', key: letter }),
            _ => self.forget(),
        }
    }
}

fn opposite(find: char) -> char {
    if find.is_lowercase() { find.to_ascii_uppercase() } else { find.to_ascii_lowercase() }
}

#[cfg(test)]
mod tests;
