//! The pane in which one plays: what was said, what runs, what is being typed.

use std::time::Instant;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Stylize,
    text::Line as ShownLine,
    widgets::Paragraph,
};
use rhai::Engine;

use super::{
    session::{Running, Session},
    theme::Theme,
};
use console::{highlight, progress::Status};
use frontend::text::{Line, Style};
use terminal::waiting::PATIENCE;

/// What is needed to draw it.
pub(crate) struct View<'a> {
    pub theme: Theme,
    pub lexer: &'a Engine,
    pub now: Instant,
    pub spinner: &'a str,
    /// Whether letters that are typed go into the editor.
    pub is_editing: bool,
}

impl View<'_> {
    pub(crate) fn draw(&self, frame: &mut Frame<'_>, area: Rect, session: &mut Session) {
        let waiting = session.waiting();
        let status = match &session.running {
            Some(running) => self.status(running, waiting, area.width),
            None if waiting > 0 => {
                Some(ShownLine::from(format!("{} {waiting} waiting until it can be played", self.spinner)))
            }
            None => None,
        };
        let wanted = session.editor.height(area.width).clamp(1, (area.height / 2).max(1));
        let [said, running, rule, typed] = Layout::vertical([
            Constraint::Fill(1),
            Constraint::Length(u16::from(status.is_some())),
            Constraint::Length(u16::from(area.height > 4)),
            Constraint::Length(wanted),
        ])
        .areas(area);
        let rows = session.transcript.rows(self.theme, said.width, said.height);
        frame.render_widget(Paragraph::new(rows), said);
        if let Some(status) = status {
            frame.render_widget(Paragraph::new(status), running);
        }
        let mark = match (session.transcript.is_following(), self.is_editing) {
            (true, _) => "",
            (false, true) => " ↓ more below: PgDn ",
            (false, false) => " ↓ more below: End ",
        };
        let line = "─".repeat(usize::from(rule.width).saturating_sub(mark.chars().count()));
        frame.render_widget(Paragraph::new(format!("{line}{mark}")).dim(), rule);
        if session.takes_input() {
            session.editor.draw(frame, typed, self.theme, self.lexer, self.is_editing);
        } else {
            frame.render_widget(Paragraph::new(hint(session)).dim(), typed);
        }
    }

    fn status(&self, running: &Running, waiting: usize, width: u16) -> Option<ShownLine<'static>> {
        let elapsed = self.now.saturating_duration_since(running.started);
        if elapsed < PATIENCE && running.progress.is_none() {
            return None;
        }
        let status = Status {
            spinner: self.spinner,
            elapsed,
            progress: running.progress.as_ref(),
            waiting,
            is_cancelling: running.is_cancelled(),
        };
        Some(self.theme.line(&status.line(width.into())))
    }
}

fn hint(session: &Session) -> String {
    match session.description() {
        Some(description) => format!("for {}: a proves yours", whom(description.access)),
        None => "Enter connects".into(),
    }
}

/// For whom a circle is.
pub(crate) fn whom(access: protocol::methods::Access) -> &'static str {
    match access {
        protocol::methods::Access::Open => "anyone",
        protocol::methods::Access::Authenticated => "any key that proves itself",
        protocol::methods::Access::Members => "its members' keys",
    }
}

/// An input as it stands among what was said.
pub(crate) fn echo(lexer: &Engine, name: &str, input: &str) -> Vec<Line> {
    let prompt = format!("{name}> ");
    let more = format!("{}| ", " ".repeat(prompt.chars().count() - 2));
    let mut lines = Vec::new();
    for (index, line) in highlight::lines(lexer, input).iter().enumerate() {
        let mut shown = Line::of(Style::Dim, if index == 0 { &prompt } else { &more });
        for piece in line.pieces() {
            shown.push(piece.style, &piece.text);
        }
        lines.push(shown);
    }
    lines
}
