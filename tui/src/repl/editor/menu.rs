//! Menu of completions for the word at the cursor.

use console::completion::{CompletionItem, CompletionList};
use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent},
    layout::{Position, Rect},
    style::Stylize,
    text::{Line, Span},
    widgets::{Clear, Paragraph},
};

use frontend::text;

use crate::theme::Theme;

/// Rows of the menu.
const ROWS: u16 = 6;

/// Several completions, and which one is selected.
#[derive(Debug)]
pub(super) struct Menu {
    completion: CompletionList,
    selected: usize,
}

/// Outcome of a key press.
pub(super) enum MenuOutcome {
    /// The menu stays open.
    Open(Menu),
    /// The menu closes without a completion.
    Closed,
    /// The menu closes, and the text replaces these characters.
    Accepted { start: usize, end: usize, text: String },
    /// The menu closes, and the editor handles the key.
    Unhandled,
}

impl Menu {
    pub(super) fn new(completion: CompletionList) -> Self {
        Self { completion, selected: 0 }
    }

    pub(super) fn key(mut self, key: KeyEvent) -> MenuOutcome {
        let count = self.completion.candidates.len();
        match key.code {
            KeyCode::Tab | KeyCode::Down => self.selected = (self.selected + 1) % count,
            KeyCode::BackTab | KeyCode::Up => self.selected = (self.selected + count - 1) % count,
            KeyCode::Esc => return MenuOutcome::Closed,
            KeyCode::Enter => {
                let CompletionList { start, cursor: end, mut candidates, .. } = self.completion;
                return MenuOutcome::Accepted { start, end, text: candidates.swap_remove(self.selected).text };
            }
            _ => return MenuOutcome::Unhandled,
        }
        MenuOutcome::Open(self)
    }

    /// Draws the menu above the cursor.
    pub(super) fn draw(&self, frame: &mut Frame<'_>, cursor: Position, theme: Theme) {
        let (screen, candidates) = (frame.area(), &self.completion.candidates);
        let height = ROWS.min(u16::try_from(candidates.len()).unwrap_or(ROWS)).min(cursor.y);
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
        let name = longest(&mut shown.iter().map(|(_, name, _)| name.chars().count()));
        let detail = longest(&mut shown.iter().map(|(_, _, detail)| detail.chars().count()));
        let width = u16::try_from(name + detail + 4).unwrap_or(u16::MAX).min(screen.width);
        let x = cursor.x.min(screen.right().saturating_sub(width));
        let area = Rect { x, y: cursor.y - height, width, height };
        let rows: Vec<Line<'_>> = shown
            .into_iter()
            .map(|(index, text, about)| {
                let line = Line::from(vec![
                    Span::raw(format!(" {text:name$}  ")),
                    Span::raw(format!("{about:detail$} ")).dim(),
                ]);
                if index == self.selected { line.style(theme.selected()) } else { line }
            })
            .collect();
        frame.render_widget(Clear, area);
        frame.render_widget(Paragraph::new(rows), area);
    }
}

/// Formats a text on one line, with visible control characters.
fn single_line(text: &str) -> String {
    text::StyledLine::of(text::Style::Plain, text).to_string()
}
