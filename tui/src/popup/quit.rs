//! What is to become of the circles that were started here, once the screen is left.

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
        let mut lines = vec![match count {
            1 => format!("{names} was started here. Kept, it goes on without this screen."),
            _ => format!("{names} were started here. Kept, they go on without this screen."),
        }];
        if is_playing {
            lines.push("Plays that run are cancelled.".into());
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

/// While they are drained.
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
