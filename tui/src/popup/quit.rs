//! Question about the circles that were started here, when the user quits.

use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent},
    text::Line,
    widgets::Paragraph,
};

use super::{draw_window, wrap_lines};
use crate::{action::Action, theme::Theme};

/// The question.
#[derive(Debug)]
pub(crate) struct QuitPrompt {
    lines: Vec<String>,
}

impl QuitPrompt {
    pub(crate) fn new(names: &str, count: usize, is_playing: bool) -> Self {
        let pronoun = if count == 1 { "it" } else { "them" };
        let mut lines = vec![format!("You started {names}. Keep {pronoun} running after quitting?")];
        if is_playing {
            lines.push("Running plays are cancelled.".into());
        }
        Self { lines }
    }

    pub(super) fn key(key: KeyEvent) -> Option<Action> {
        match key.code {
            KeyCode::Enter | KeyCode::Char('k' | 'K') => Some(Action::QuitAndKeep),
            KeyCode::Char('s' | 'S' | 'x') => Some(Action::QuitAndStop),
            KeyCode::Esc | KeyCode::Char('c' | 'C' | 'n') => Some(Action::Close),
            _ => None,
        }
    }

    pub(super) fn draw(&self, frame: &mut Frame<'_>, theme: Theme) {
        let lines: Vec<Line<'_>> =
            self.lines.iter().flat_map(|line| wrap_lines(frame, Line::from(line.clone()))).collect();
        let area = draw_window(frame, theme, "Quit", &lines, "Enter keep · s stop · Esc cancel");
        frame.render_widget(Paragraph::new(lines), area);
    }
}

/// Handles a key press while the circles drain.
pub(super) fn quitting_key(key: KeyEvent) -> Option<Action> {
    match key.code {
        KeyCode::Esc => Some(Action::Close),
        KeyCode::Char('q') => Some(Action::QuitNow),
        _ => None,
    }
}

pub(super) fn draw_quitting(names: &str, frame: &mut Frame<'_>, theme: Theme, spinner: &str) {
    let lines = wrap_lines(frame, Line::from(format!("{spinner} draining {names}…")));
    let area = draw_window(frame, theme, "Quit", &lines, "q quit without waiting · Esc stay here");
    frame.render_widget(Paragraph::new(lines), area);
}
