//! The functions of a circle: a list that typing narrows, and the documentation of the selected one.

use std::sync::Arc;

use client_ws::FunctionInfo;
use console::commands::NO_FUNCTIONS;
use frontend::{
    functions,
    text::{Style, StyledLine},
};
use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent},
    layout::{Position, Rect},
    style::Stylize,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    Field,
    frame::{cursor, draw_window, labelled},
};
use crate::{action::Action, circle_id::CircleId, theme::Theme};

/// Largest size of the text.
const MAX_SIZE: (u16, u16) = (100, 30);

/// Smallest number of rows of the list.
const MIN_LIST_ROWS: usize = 3;

/// The list.
#[derive(Debug)]
pub(crate) struct FunctionsPopup {
    pub circle: CircleId,
    /// Name of the circle in the list of circles.
    name: String,
    /// The functions; `None` while they are not known.
    functions: Option<Arc<[FunctionInfo]>>,
    /// Whether the session on the circle is connected.
    is_connected: bool,
    filter: Field,
    selected: usize,
    /// First visible row of the documentation.
    scroll: usize,
    /// Rows of the documentation that were last visible.
    page: usize,
    /// Where the rows of the list were last drawn, and the first of them.
    drawn: (Rect, usize),
}

impl FunctionsPopup {
    pub(crate) fn new(circle: CircleId, name: String, functions: Option<Arc<[FunctionInfo]>>) -> Self {
        let (filter, drawn) = (Field::visible(), (Rect::ZERO, 0));
        Self { circle, name, functions, is_connected: true, filter, selected: 0, scroll: 0, page: 1, drawn }
    }

    /// Shows the functions as they are now; the selected one stays selected.
    pub(crate) fn set_functions(&mut self, functions: Option<Arc<[FunctionInfo]>>, is_connected: bool) {
        self.is_connected = is_connected;
        if functions == self.functions {
            return;
        }
        let selected = self.selected_name();
        self.functions = functions;
        let place = self.matching().iter().position(|function| Some(&function.name) == selected.as_ref());
        self.select(place.unwrap_or(0));
    }

    /// Returns the functions whose names or summaries contain what is typed.
    fn matching(&self) -> Vec<&FunctionInfo> {
        let typed = self.filter.text().to_lowercase();
        let is_match = |function: &&FunctionInfo| {
            function.name.contains(&typed) || function.summary.to_lowercase().contains(&typed)
        };
        self.functions.iter().flat_map(|functions| functions.iter()).filter(is_match).collect()
    }

    fn selected_name(&self) -> Option<String> {
        self.matching().get(self.selected).map(|function| function.name.clone())
    }

    fn select(&mut self, place: usize) {
        (self.selected, self.scroll) = (place, 0);
    }

    /// Returns the action that opens the form of the selected function.
    fn ask_call(&self) -> Option<Action> {
        self.selected_name().map(|name| Action::AskCall(self.circle, name))
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Option<Action> {
        let last = self.matching().len().saturating_sub(1);
        match key.code {
            KeyCode::Esc => return Some(Action::Close),
            KeyCode::Enter => return self.ask_call(),
            KeyCode::Up => self.select(self.selected.saturating_sub(1)),
            KeyCode::Down => self.select((self.selected + 1).min(last)),
            KeyCode::Home => self.select(0),
            KeyCode::End => self.select(last),
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(self.page),
            KeyCode::PageDown => self.scroll = self.scroll.saturating_add(self.page),
            _ => {
                self.filter.key(key);
                self.select(0);
            }
        }
        None
    }

    pub(super) fn paste(&mut self, text: &str) {
        self.filter.paste(text);
        self.select(0);
    }

    /// Handles a click: it selects a row, and opens the form of the selected one.
    pub(super) fn click(&mut self, at: Position) -> Option<Action> {
        let (area, first) = self.drawn;
        let row = first + area.contains(at).then(|| usize::from(at.y - area.y))?;
        if row >= self.matching().len() {
            return None;
        }
        if row == self.selected {
            return self.ask_call();
        }
        self.select(row);
        None
    }

    pub(super) fn draw(&mut self, frame: &mut Frame<'_>, theme: Theme) {
        let screen = frame.area();
        let width = usize::from(screen.width.saturating_sub(4).min(MAX_SIZE.0));
        let height = usize::from(screen.height.saturating_sub(4).min(MAX_SIZE.1));
        let matching = self.matching();
        let place = (self.selected, matching.len());
        let most = (height / 3).max(MIN_LIST_ROWS);
        let count = self.functions.as_ref().map_or(0, |functions| functions.len());
        let rows = count.clamp(1, most).min(height.saturating_sub(1));
        let first = (self.selected + 1).saturating_sub(rows);
        let mut lines = vec![labelled("> ", &self.filter)];
        lines.extend(matching.iter().enumerate().skip(first).take(rows).map(|(index, function)| {
            let is_selected = index == self.selected;
            let text = StyledLine::of(Style::Plain, &format!("{} ", function.signature)).truncated(width - 1);
            let mut line = theme.line(&text);
            line.spans.insert(0, theme.bar(is_selected));
            if is_selected { fill(line, width).style(theme.selected(true)) } else { line }
        }));
        if matching.is_empty() {
            lines.push(Line::from(format!(" {}", self.none_text())).dim());
        }
        lines.resize(rows + 1, Line::default());
        lines.push(Line::from("─".repeat(width)).dim());
        let room = height.saturating_sub(lines.len());
        let documentation =
            matching.get(self.selected).map_or(Vec::new(), |function| functions::describe(function, width));
        (self.page, self.scroll) =
            (room.saturating_sub(1).max(1), self.scroll.min(documentation.len().saturating_sub(room)));
        let is_long = documentation.len() > room;
        lines.extend(documentation.iter().skip(self.scroll).take(room).map(|line| theme.line(line)));
        // Always of the same size: a window that changes its size is hard to read.
        lines.resize(height, Line::default());
        lines[0] = with_position(std::mem::take(&mut lines[0]), place, width);
        let scroll = if is_long { "PgDn PgUp scroll · " } else { "" };
        let title = format!("Functions of {}", self.name);
        let area = draw_window(frame, theme, &title, &lines, &format!("Enter call · {scroll}Esc close"));
        let shown = Rect { y: area.y.saturating_add(1), height: u16::try_from(rows).unwrap_or(u16::MAX), ..area };
        self.drawn = (shown.intersection(area), first);
        frame.render_widget(Paragraph::new(lines), area);
        cursor(frame, area, 0, 2 + self.filter.width());
    }

    /// Says why the list is empty.
    fn none_text(&self) -> &'static str {
        match &self.functions {
            None if !self.is_connected => "not connected to the circle",
            None => "asking the circle…",
            Some(functions) if functions.is_empty() => NO_FUNCTIONS,
            Some(_) => "no matches",
        }
    }
}

/// Fills a line with blanks up to a width.
fn fill(mut line: Line<'_>, width: usize) -> Line<'_> {
    line.push_span(Span::raw(" ".repeat(width.saturating_sub(line.width()))));
    line
}

/// Fills a line with blanks up to a width. The place of the selected row is at its end, where there is room.
fn with_position(line: Line<'_>, (selected, count): (usize, usize), width: usize) -> Line<'_> {
    let position = if count == 0 { String::new() } else { format!(" {}/{count}", selected + 1) };
    let room = width.saturating_sub(position.len());
    if line.width() > room {
        return fill(line, width);
    }
    let mut line = fill(line, room);
    line.push_span(Span::raw(position).dim());
    line
}
