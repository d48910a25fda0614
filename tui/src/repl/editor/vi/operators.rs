//! Operators of the normal mode: delete, change and copy.

use ratatui_textarea::{CursorMove, TextArea};

use super::{
    MAX_COUNT, Register, ViKeys,
    motion::{Motion, MotionKind},
    objects::TextObject,
    place::{cursor, index, jump, row_of},
};

impl ViKeys {
    /// Moves the cursor, or applies the operator from here to the motion's target.
    pub(super) fn apply(&mut self, area: &mut TextArea<'static>, motion: Motion) {
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

    /// Applies the operator to a text object. Of lines between brackets, `c` leaves the last line break.
    pub(super) fn apply_to_object(&mut self, area: &mut TextArea<'static>, object: TextObject) {
        let text: Vec<char> = area.lines().join("\n").chars().collect();
        let place = index(area, cursor(area));
        let Some((operator, before)) = self.operator.take() else { return self.forget() };
        let count = self.count.max(1).saturating_mul(before.max(1)).min(MAX_COUNT);
        self.forget();
        if let Some(range) = object.range(&text, place, count) {
            let is_lines = range.start > 0 && text[range.start - 1] == '\n' && text.get(range.end) == Some(&'\n');
            let takes_break = is_lines && operator != 'c' && "(){}[]bB".contains(object.key);
            self.operate(area, operator, range.start, range.end + usize::from(takes_break));
        }
    }

    pub(super) fn operate(&mut self, area: &mut TextArea<'static>, operator: char, start: usize, end: usize) {
        let text: String = area.lines().join("\n").chars().skip(start).take(end - start).collect();
        self.register = Register { text, is_lines: false };
        jump(area, start);
        if operator != 'y' {
            area.delete_str(end - start);
        }
        self.is_normal = operator != 'c';
    }

    pub(super) fn operate_on_lines(&mut self, area: &mut TextArea<'static>) {
        let Some((operator, before)) = self.operator.take() else { return };
        let count = self.count.max(1).saturating_mul(before.max(1));
        self.forget();
        let row = area.cursor().0;
        let last = (row + count - 1).min(area.lines().len().saturating_sub(1));
        self.operate_on_rows(area, operator, row, last);
    }

    pub(super) fn operate_on_rows(&mut self, area: &mut TextArea<'static>, operator: char, first: usize, last: usize) {
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
}
