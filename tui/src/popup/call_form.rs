//! Form for a call of a function: an input for each parameter, made from its schema.

use std::ops::Range;

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
    frame::{cursor, draw_scroll_marks, draw_window, error_rows, window_rows, wrap_lines},
    param_input::ParamInput,
};
use crate::{action::Action, circle_id::CircleId, theme::Theme};

/// How to type a value that is in a file, or that begins like one.
const FILE_HINT: &str = "@FILE reads a value from a file; write \"@text\" for a text that begins with @";

/// Columns between the labels and the values.
const GAP: usize = 2;

/// The inputs of a form, which are kept until a call of the function succeeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallDraft {
    pub circle: CircleId,
    /// Name of the function.
    pub function: String,
    /// The values that there are, each with the name of its parameter.
    pub texts: Vec<(String, String)>,
}

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
    /// Why the call was refused, if no input is the reason.
    error: Option<String>,
    /// Whether the inputs are not those of a new form.
    is_edited: bool,
}

/// The rows of the form, with the input that each belongs to.
type FormRow = (Line<'static>, Option<usize>);

impl CallForm {
    /// Creates the form, with the inputs of an earlier one if there are any.
    pub(crate) fn new(circle: CircleId, function: FunctionInfo, draft: Option<&CallDraft>) -> Self {
        let mut inputs: Vec<ParamInput> =
            function.params.iter().map(|param| ParamInput::new(&function, param)).collect();
        for (name, text) in draft.iter().flat_map(|draft| &draft.texts) {
            if let Some(input) = inputs.iter_mut().find(|input| input.name() == name) {
                input.restore(text);
            }
        }
        let is_edited = draft.is_some();
        Self { circle, function, inputs, at: 0, first: 0, drawn: Vec::new(), error: None, is_edited }
    }

    /// Returns the inputs; `None` if the user has changed none.
    pub(crate) fn draft(&self) -> Option<CallDraft> {
        self.is_edited.then(|| CallDraft {
            circle: self.circle,
            function: self.function.name.clone(),
            texts: self.texts().map(|(name, text)| (name.to_owned(), text.to_owned())).collect(),
        })
    }

    /// Returns the values that there are, each with the name of its parameter.
    fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.inputs.iter().filter_map(|input| Some((input.name(), input.text()?)))
    }

    /// Shows why a call with the inputs was refused, at the input that the error names.
    pub(crate) fn refuse(&mut self, error: &str) {
        let what = format!("cannot call {}: ", self.function.name);
        let why = error.strip_prefix(&what).unwrap_or(error).to_owned();
        let is_named =
            |input: &ParamInput| why.strip_prefix(input.name()).is_some_and(|why| why.starts_with([':', ' ']));
        self.at = self.inputs.iter().position(is_named).unwrap_or(self.inputs.len());
        match self.inputs.get_mut(self.at) {
            Some(input) => input.error = Some(why),
            None => self.error = Some(why),
        }
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
        self.error = None;
        for input in &mut self.inputs {
            input.check_complete(&self.function);
        }
        if let Some(at) = self.inputs.iter().position(|input| input.error.is_some()) {
            self.at = at;
            return None;
        }
        self.is_edited = true;
        let command = functions::call_text(&self.function, self.texts());
        Some(Action::Call(self.draft()?, command))
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
                    self.is_edited = true;
                    input.key(key);
                }
            }
        }
        None
    }

    pub(super) fn paste(&mut self, text: &str) {
        if let Some(input) = self.inputs.get_mut(self.at) {
            self.is_edited = true;
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
            self.is_edited = true;
            self.inputs[input].turn(1);
        } else {
            self.move_to(input);
        }
        None
    }

    pub(super) fn draw(&mut self, frame: &mut Frame<'_>, theme: Theme) {
        let (rows, focus) = self.rows(frame, theme);
        let height = rows.len().min(window_rows(frame));
        self.show_rows(&focus.rows, rows.len(), height);
        let lines: Vec<Line<'_>> = rows.iter().map(|(line, _)| line.clone()).collect();
        let title = format!("Call {}", self.function.name);
        let hint = if self.is_at_button() { "Enter call · Esc close" } else { "Enter next input · Esc close" };
        let area = draw_window(frame, theme, &title, &lines, hint);
        draw_scroll_marks(frame, area, self.first > 0, self.first + height < rows.len());
        let shown = rows.into_iter().skip(self.first).take(usize::from(area.height));
        let (lines, inputs): (Vec<Line<'_>>, Vec<Option<usize>>) = shown.unzip();
        let row =
            |row: usize| Rect { y: area.y.saturating_add(u16::try_from(row).unwrap_or(u16::MAX)), height: 1, ..area };
        self.drawn = inputs.into_iter().enumerate().filter_map(|(index, input)| Some((input?, row(index)))).collect();
        frame.render_widget(Paragraph::new(lines), area);
        if let Some(column) = focus.column {
            cursor(frame, area, focus.rows.start.saturating_sub(self.first), column);
        }
    }

    /// Returns all rows of the form, and those with the focus.
    fn rows(&self, frame: &Frame<'_>, theme: Theme) -> (Vec<FormRow>, FormFocus) {
        let columns = usize::from(frame.area().width.saturating_sub(4));
        let mut head = wrap_lines(frame, theme.line(&StyledLine::of(Style::Dim, &self.function.signature)));
        if self.inputs.iter().any(ParamInput::is_typed) {
            head.extend(wrap_lines(frame, theme.line(&StyledLine::of(Style::Dim, FILE_HINT))));
        }
        head.push(Line::default());
        let mut rows: Vec<FormRow> = head.into_iter().map(|line| (line, None)).collect();
        // Long names leave room for values.
        let longest = self.inputs.iter().map(|input| input.name().width()).max().unwrap_or(0);
        let label = (longest + GAP).min(columns / 2);
        let mut focus = FormFocus::default();
        for (index, input) in self.inputs.iter().enumerate() {
            let (notes, error_rows) = input.notes(frame, theme);
            if index == self.at {
                let column = input.cursor(columns.saturating_sub(label + 1)).map(|column| label + column);
                focus = FormFocus { rows: rows.len()..rows.len() + 1 + error_rows.max(1), column };
            }
            rows.push((input.line(theme, index == self.at, (label, columns.saturating_sub(label + 1))), Some(index)));
            rows.extend(notes.into_iter().map(|line| (line, Some(index))));
        }
        let first = rows.len();
        if let Some(error) = &self.error {
            rows.extend(error_rows(frame, theme, error, 0).into_iter().map(|line| (line, None)));
        }
        let button = Span::raw(if self.is_at_button() { "[ Call ]" } else { "  Call  " });
        let button = if self.is_at_button() { button.style(theme.selected(true)) } else { button };
        rows.push((Line::from(button), Some(self.inputs.len())));
        if self.is_at_button() {
            focus = FormFocus { rows: first..rows.len(), column: None };
        }
        (rows, focus)
    }

    /// Scrolls so that rows are visible, at least the first of them.
    fn show_rows(&mut self, shown: &Range<usize>, rows: usize, height: usize) {
        let least = shown.end.min(rows).saturating_sub(height);
        self.first = self.first.max(least).min(shown.start).min(rows.saturating_sub(height));
    }
}

/// The rows of a form that have the focus.
#[derive(Debug, Default)]
struct FormFocus {
    /// The input and its error, or the button and the error of the call.
    rows: Range<usize>,
    /// Column of the cursor, if the user types there.
    column: Option<usize>,
}
