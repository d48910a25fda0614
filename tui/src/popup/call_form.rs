//! Form for a call of a function: an input for each parameter, made from its schema.

use client_ws::FunctionInfo;
use console::functions;
use frontend::text::{Style, StyledLine};
use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent},
    layout::{Position, Rect},
    text::{Line, Span},
    widgets::Paragraph,
};
use unicode_width::UnicodeWidthStr;

use super::{
    frame::{cursor, draw_window, wrap_lines},
    param_input::ParamInput,
};
use crate::{action::Action, circle_id::CircleId, theme::Theme};

/// The form.
#[derive(Debug)]
pub(crate) struct CallForm {
    circle: CircleId,
    function: FunctionInfo,
    inputs: Vec<ParamInput>,
    /// The input with the focus; one beyond the last for the button.
    at: usize,
    /// First visible row.
    first: usize,
    /// The rows that were last drawn, with the input that each belongs to.
    drawn: Vec<(usize, Rect)>,
}

/// The rows of the form, with the input that each belongs to.
type FormRow = (Line<'static>, Option<usize>);

impl CallForm {
    pub(crate) fn new(circle: CircleId, function: FunctionInfo) -> Self {
        let inputs = function.params.iter().map(|param| ParamInput::new(&function, param)).collect();
        Self { circle, function, inputs, at: 0, first: 0, drawn: Vec::new() }
    }

    fn is_at_button(&self) -> bool {
        self.at >= self.inputs.len()
    }

    /// Moves the focus. A value that does not fit gets its error when the focus leaves it.
    fn move_to(&mut self, at: usize) {
        if let Some(input) = self.inputs.get_mut(self.at) {
            input.check(&self.function);
        }
        self.at = at;
    }

    /// Returns the action that calls the function, unless a value is missing or does not fit.
    fn submit(&mut self) -> Option<Action> {
        for input in &mut self.inputs {
            input.check_complete(&self.function);
        }
        if let Some(at) = self.inputs.iter().position(|input| input.error.is_some()) {
            self.at = at;
            return None;
        }
        let texts = self.inputs.iter().filter_map(|input| Some((input.name(), input.text()?)));
        Some(Action::Call(self.circle, functions::call_text(&self.function, texts)))
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Option<Action> {
        let stops = self.inputs.len() + 1;
        match key.code {
            KeyCode::Esc => return Some(Action::Close),
            KeyCode::Enter if self.is_at_button() => return self.submit(),
            KeyCode::Enter | KeyCode::Tab | KeyCode::Down => self.move_to((self.at + 1) % stops),
            KeyCode::BackTab | KeyCode::Up => self.move_to((self.at + stops - 1) % stops),
            _ => {
                if let Some(input) = self.inputs.get_mut(self.at) {
                    input.key(key);
                }
            }
        }
        None
    }

    pub(super) fn paste(&mut self, text: &str) {
        if let Some(input) = self.inputs.get_mut(self.at) {
            input.paste(text);
        }
    }

    /// Handles a click: it focuses an input, turns a choice that has the focus, or presses the button.
    pub(super) fn click(&mut self, at: Position) -> Option<Action> {
        let (input, _) = *self.drawn.iter().find(|(_, area)| area.contains(at))?;
        if input == self.inputs.len() {
            return self.submit();
        }
        if input == self.at {
            self.inputs[input].turn(1);
        } else {
            self.move_to(input);
        }
        None
    }

    pub(super) fn draw(&mut self, frame: &mut Frame<'_>, theme: Theme) {
        let columns = usize::from(frame.area().width.saturating_sub(4));
        let signature = StyledLine::of(Style::Dim, &self.function.signature);
        let mut rows: Vec<FormRow> =
            wrap_lines(frame, theme.line(&signature)).into_iter().map(|line| (line, None)).collect();
        rows.push((Line::default(), None));
        let label = self.inputs.iter().map(|input| input.name().len()).max().unwrap_or(0) + 2;
        let mut focus = (rows.len(), None);
        for (index, input) in self.inputs.iter().enumerate() {
            let has_focus = index == self.at;
            if has_focus {
                focus = (rows.len(), input.cursor(columns.saturating_sub(label + 2)));
            }
            rows.push((input.line(theme, has_focus, (label, columns)), Some(index)));
            for line in input.notes(theme) {
                let wrapped = wrap_lines(frame, line);
                rows.extend(wrapped.into_iter().map(|line| (line, Some(index))));
            }
        }
        if self.is_at_button() {
            focus = (rows.len(), None);
        }
        let button = Span::raw(if self.is_at_button() { "[ Call ]" } else { "  Call  " });
        let button = if self.is_at_button() { button.style(theme.selected(true)) } else { button };
        rows.push((Line::from(button), Some(self.inputs.len())));
        let lines: Vec<Line<'_>> = rows.iter().map(|(line, _)| line.clone()).collect();
        let title = format!("Call {}", self.function.name);
        let area = draw_window(frame, theme, &title, &lines, "Enter next, then call · Esc cancel");
        self.show_row(focus.0, rows.len(), usize::from(area.height));
        let shown = rows.iter().skip(self.first).take(usize::from(area.height));
        let row =
            |row: usize| Rect { y: area.y.saturating_add(u16::try_from(row).unwrap_or(u16::MAX)), height: 1, ..area };
        self.drawn = shown
            .clone()
            .enumerate()
            .filter_map(|(at, (_, input))| Some((input.as_ref().copied()?, row(at))))
            .collect();
        frame.render_widget(Paragraph::new(shown.map(|(line, _)| line.clone()).collect::<Vec<_>>()), area);
        if let (row, Some(column)) = focus {
            cursor(frame, area, row.saturating_sub(self.first), label + column);
        }
    }

    /// Scrolls so that a row and its note are visible.
    fn show_row(&mut self, row: usize, rows: usize, height: usize) {
        let last = (row + 2).min(rows);
        self.first = self.first.clamp(last.saturating_sub(height), row).min(rows.saturating_sub(height));
    }
}

/// Returns the end of a text that fits into a width.
pub(super) fn tail(text: &str, columns: usize) -> &str {
    let mut begin = 0;
    while text[begin..].width() > columns {
        begin += text[begin..].chars().next().map_or(1, char::len_utf8);
    }
    &text[begin..]
}
