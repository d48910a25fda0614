//! The whole screen: every pane in its place, and what stands before them.

use ratatui::{
    Frame,
    layout::{Alignment, Rect},
    widgets::{Paragraph, Wrap},
};

use super::{
    App, chrome,
    circles::Entry,
    layout::{self, Pane, Places},
    orders::Standby,
    repl,
    session::{Session, Standing},
    welcome,
};
use console::progress;

impl App {
    /// Draws everything.
    pub(crate) fn draw(&mut self, frame: &mut Frame<'_>) {
        let (header, panes, message, footer) = match layout::places(frame.area(), self.focus, self.is_zoomed) {
            Places::Sentence => {
                let sentence = "This terminal is too small for circles: it wants 40 columns and 10 rows.";
                let paragraph = Paragraph::new(sentence).wrap(Wrap { trim: true }).alignment(Alignment::Left);
                return frame.render_widget(paragraph, frame.area());
            }
            Places::Panes { header, panes, message, footer } => (header, panes, message, footer),
        };
        if panes.len() == 1 {
            chrome::tabs(frame, header, self.theme, self.focus);
        } else {
            chrome::header(frame, header, self.theme, &self.circles, &self.keys);
        }
        // The one with the focus last, so that its border is the one that is seen.
        let mut panes = panes;
        panes.sort_by_key(|(pane, _)| *pane == self.focus);
        for (pane, area) in panes {
            self.draw_pane(frame, pane, area);
        }
        chrome::message(frame, message, self.theme, self.toast.as_ref());
        if self.popup.is_none() {
            chrome::footer(frame, footer, self.theme, self.here());
        }
        let spinner = self.spinner();
        if let Some(popup) = &mut self.popup {
            popup.draw(frame, self.theme, spinner);
        }
    }

    fn draw_pane(&mut self, frame: &mut Frame<'_>, pane: Pane, area: Rect) {
        let (theme, now, focus) = (self.theme, self.now, (pane, self.focus == pane));
        let shown = self.circles.selected();
        let name = shown.and_then(|shown| self.circles.get(shown)).map_or("", |entry| entry.name.as_str());
        match pane {
            Pane::Circles => {
                let note = match (self.background.standby, &self.background.refused) {
                    (Standby::Silent, _) => "no answer",
                    (_, Some(_)) => "circles.json ✗",
                    _ => "",
                };
                let area = chrome::pane(frame, area, theme, focus, "Circles", note);
                let standing = |id| self.sessions.get(&id).map_or(Standing::None, Session::standing);
                self.circles.draw(frame, area, theme, now, standing);
            }
            Pane::Keys => {
                let area = chrome::pane(frame, area, theme, focus, "Keys", "");
                self.keys.draw(frame, area, theme);
            }
            Pane::Logs => {
                let details = shown.and_then(|shown| self.circles.get(shown)).map_or(String::new(), Entry::details);
                let title =
                    if details.is_empty() { format!("Logs {name}") } else { format!("Logs {name} · {details}") };
                let mode = self.logs.mode();
                let area = chrome::pane(frame, area, theme, focus, &title, &mode);
                self.logs.draw(frame, area, theme, shown);
            }
            Pane::Repl => self.draw_repl(frame, area),
        }
    }

    fn draw_repl(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let (is_editing, spinner) = (self.is_typing() && self.popup.is_none(), self.spinner());
        let view = repl::View { theme: self.theme, lexer: &self.lexer, now: self.now, spinner, is_editing };
        let focus = (Pane::Repl, self.focus == Pane::Repl);
        let shown = self.circles.selected();
        if let Some(session) = shown.and_then(|shown| self.sessions.get_mut(&shown)) {
            let took = session.last_elapsed.map_or(String::new(), took);
            let title = format!("REPL {}", session.title());
            let area = chrome::pane(frame, area, self.theme, focus, &title, &took);
            return view.draw(frame, area, session);
        }
        let area = chrome::pane(frame, area, self.theme, focus, "REPL", "");
        let chosen = shown.and_then(|shown| self.circles.get(shown));
        let lines = welcome::lines(self.theme, &self.circles, chosen, !self.keys.is_empty());
        frame.render_widget(Paragraph::new(lines), area);
    }

    fn spinner(&self) -> &'static str {
        progress::spinner(self.now.saturating_duration_since(self.begun))
    }
}

/// A time in the unit that suits it.
fn took(time: std::time::Duration) -> String {
    match time.as_micros() {
        micros @ 0..1000 => format!("{micros}µs"),
        micros @ 1000..10_000_000 => format!("{}ms", micros / 1000),
        _ => format!("{:.1}s", time.as_secs_f64()),
    }
}
