//! Menu of completions for the word at the cursor. It narrows as the word grows.

use std::cell::Cell;

use console::completion::{CompletionItem, CompletionList};
use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent},
    layout::{Margin, Position, Rect},
    style::{Style, Stylize},
    text::{Line, Span},
    widgets::{Block, BorderType, Clear, Paragraph},
};
use unicode_width::UnicodeWidthStr;

use frontend::text;

use crate::theme::Theme;

/// Largest number of rows.
const ROWS: u16 = 8;

/// Number of candidates from which on the circle may know more of them.
const CUT: usize = 200;

/// Several completions, and which one is selected.
#[derive(Debug)]
pub(super) struct Menu {
    /// The completions of the word when the menu was opened.
    all: CompletionList,
    /// Those of the word as it is now.
    completion: CompletionList,
    selected: usize,
    /// A name, and the first line of its documentation.
    doc: Option<(String, String)>,
    /// Where the rows were last drawn, and the first of them.
    drawn: Cell<(Rect, usize)>,
}

/// Outcome of a key press.
pub(super) enum MenuOutcome {
    /// The menu stays open.
    Open(Menu),
    /// The menu closes without a completion.
    Closed,
    /// The menu closes, and the text replaces these characters.
    Accepted { start: usize, end: usize, text: String },
    /// The editor handles the key, and the menu shows what fits the word after it.
    Typed(Menu),
    /// The menu closes, and the editor handles the key.
    Unhandled,
}

impl Menu {
    pub(super) fn new(completion: CompletionList) -> Self {
        Self { all: completion.clone(), completion, selected: 0, doc: None, drawn: Cell::default() }
    }

    pub(super) fn key(mut self, key: KeyEvent) -> MenuOutcome {
        let count = self.completion.candidates.len();
        let has_modifier = !(key.modifiers - ratatui::crossterm::event::KeyModifiers::SHIFT).is_empty();
        match key.code {
            KeyCode::Tab | KeyCode::Down => self.selected = (self.selected + 1) % count,
            KeyCode::BackTab | KeyCode::Up => self.selected = (self.selected + count - 1) % count,
            KeyCode::PageDown => self.selected = (self.selected + usize::from(ROWS)).min(count - 1),
            KeyCode::PageUp => self.selected = self.selected.saturating_sub(ROWS.into()),
            KeyCode::Esc => return MenuOutcome::Closed,
            KeyCode::Enter => return self.accept(),
            KeyCode::Char(_) | KeyCode::Backspace if !has_modifier => return MenuOutcome::Typed(self),
            _ => return MenuOutcome::Unhandled,
        }
        MenuOutcome::Open(self)
    }

    fn accept(self) -> MenuOutcome {
        let CompletionList { start, cursor: end, mut candidates, .. } = self.completion;
        MenuOutcome::Accepted { start, end, text: candidates.swap_remove(self.selected).text }
    }

    /// Returns whether the menu was drawn at a place.
    pub(super) fn contains(&self, at: Position) -> bool {
        self.drawn.get().0.outer(Margin::new(1, 1)).contains(at) && !self.drawn.get().0.is_empty()
    }

    /// Handles a click: it selects a row, and accepts the selected one.
    pub(super) fn click(mut self, at: Position) -> MenuOutcome {
        let (rows, first) = self.drawn.get();
        let index = first + usize::from(at.y.saturating_sub(rows.y));
        if !rows.contains(at) || index >= self.completion.candidates.len() {
            return MenuOutcome::Open(self);
        }
        if index == self.selected {
            return self.accept();
        }
        self.selected = index;
        MenuOutcome::Open(self)
    }

    /// Moves the selection by a row.
    pub(super) fn wheel(&mut self, is_down: bool) {
        let last = self.completion.candidates.len().saturating_sub(1);
        self.selected = if is_down { (self.selected + 1).min(last) } else { self.selected.saturating_sub(1) };
    }

    /// Returns the menu for the input as it is now; `None` if nothing fits, or nothing is left to complete.
    pub(super) fn narrow(mut self, input: &str, cursor: usize) -> Option<Self> {
        let before = self.name().to_owned();
        self.completion = self.all.narrow(input, cursor)?;
        let word: String = input.chars().take(cursor).skip(self.completion.start).collect();
        match self.completion.candidates.as_slice() {
            [] => return None,
            [only] if only.text == word => return None,
            candidates => {
                self.selected = candidates.iter().position(|candidate| candidate.text == before).unwrap_or(0);
            }
        }
        Some(self)
    }

    /// Returns whether the circle may know candidates that the menu does not have.
    pub(super) fn is_cut(&self) -> bool {
        self.all.candidates.len() >= CUT
    }

    #[cfg(test)]
    pub(super) fn texts(&self) -> Vec<&str> {
        self.completion.candidates.iter().map(|candidate| candidate.text.as_str()).collect()
    }

    fn item(&self) -> Option<&CompletionItem> {
        self.completion.candidates.get(self.selected)
    }

    /// Returns the selected candidate.
    fn name(&self) -> &str {
        self.item().map_or("", |item| &item.text)
    }

    /// Returns the selected function, if its documentation is not known yet.
    pub(super) fn undocumented(&self) -> Option<&str> {
        let item = self.item().filter(|item| item.detail.contains('('))?;
        let is_known = self.doc.as_ref().is_some_and(|(name, _)| *name == item.text);
        (!is_known).then_some(&*item.text)
    }

    pub(super) fn set_doc(&mut self, name: String, doc: String) {
        self.doc = Some((name, doc));
    }

    /// Draws the menu above the cursor.
    pub(super) fn draw(&self, frame: &mut Frame<'_>, cursor: Position, theme: Theme) {
        let (screen, candidates) = (frame.area(), &self.completion.candidates);
        self.drawn.set((Rect::ZERO, 0));
        // The border has two rows; the header of the screen stays visible.
        let Some(room) = cursor.y.checked_sub(3).filter(|room| *room > 0) else { return };
        let height = ROWS.min(u16::try_from(candidates.len()).unwrap_or(ROWS)).min(room);
        let first = (self.selected + 1).saturating_sub(usize::from(height));
        let shown: Vec<(usize, String, String)> = candidates
            .iter()
            .enumerate()
            .skip(first)
            .take(usize::from(height))
            .map(|(index, CompletionItem { text, detail })| (index, single_line(text), single_line(detail)))
            .collect();
        // A format's width is limited, and no screen is that wide.
        let longest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0).min(200);
        let name = longest(&mut shown.iter().map(|(_, name, _)| name.width()));
        let detail = longest(&mut shown.iter().map(|(_, _, detail)| detail.width()));
        let doc = self.doc.as_ref().filter(|(name, _)| name == self.name()).map(|(_, doc)| single_line(doc));
        let position = format!(" {}/{} ", self.selected + 1, candidates.len());
        let about = doc.filter(|doc| !doc.is_empty()).map(|doc| format!(" {doc} ")).unwrap_or_default();
        let needed = (name + detail + 6).max(about.width().min(60) + position.len() + 4);
        let width = u16::try_from(needed).unwrap_or(u16::MAX).min(screen.width);
        let x = cursor.x.saturating_sub(2).min(screen.right().saturating_sub(width));
        let area = Rect { x, y: cursor.y - height - 2, width, height: height + 2 };
        let about = shorten(&about, usize::from(width).saturating_sub(position.len() + 3));
        let plain = |text: String| Line::from(Span::styled(text, Style::reset()));
        let block = Block::bordered()
            .border_type(BorderType::Rounded)
            .border_style(theme.border(true))
            .title_bottom(plain(about))
            .title_bottom(plain(position).right_aligned());
        let room = usize::from(width).saturating_sub(name + 6);
        let rows: Vec<Line<'_>> = shown
            .into_iter()
            .map(|(index, text, about)| {
                let is_selected = index == self.selected;
                let padding = " ".repeat(name.saturating_sub(text.width()));
                let about = shorten(&about, room);
                let fill = " ".repeat(room.saturating_sub(about.width()));
                let line = Line::from(vec![
                    theme.bar(is_selected),
                    Span::raw(format!("{text}{padding}  ")),
                    if is_selected { Span::raw(about) } else { Span::raw(about).dim() },
                    Span::raw(fill),
                ]);
                if is_selected { line.style(theme.selected(true)) } else { line }
            })
            .collect();
        let inner = block.inner(area);
        self.drawn.set((inner, first));
        frame.render_widget(Clear, area);
        frame.render_widget(block, area);
        frame.render_widget(Paragraph::new(rows), inner);
    }
}

/// Formats a text on one line, with visible control characters.
fn single_line(text: &str) -> String {
    text::StyledLine::of(text::Style::Plain, text).to_string()
}

/// Cuts a text to a number of columns, with a mark where it goes on.
fn shorten(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut short = String::new();
    for character in text.chars() {
        if short.width() + character.to_string().width() + 1 > columns {
            break;
        }
        short.push(character);
    }
    if columns > 0 {
        short.push('…');
    }
    short
}
