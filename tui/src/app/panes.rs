//! The view behind each pane: its keys, its hints, its drawing. A new pane is a view, a line in [`layout`], and one in
//! each of the three functions here.

use console::session::ConnectionStatus;
use frontend::{
    key_bindings::{KeyPane, UserAction},
    quantity,
    visible::visible,
};
use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    layout::{Alignment, Constraint, Layout, Rect},
    style::Stylize,
    text::Line,
    widgets::{Paragraph, Wrap},
};

use super::App;
use crate::{
    action::Action,
    chrome::{self, PaneTitle},
    circles::{self, CircleItem},
    data,
    help::{self, HintRow},
    keys,
    layout::{self, Pane, ScreenLayout},
    logs,
    popup::TextPopup,
    repl::{self, SessionView},
    search::Search,
    session_status::SessionStatus,
    welcome::{self, Present},
};

/// Rows of the list of circles that stay free of the details below it.
const MIN_LIST_ROWS: u16 = 4;

/// Key hints for the pane with the focus.
pub(super) struct KeyContext {
    title: &'static str,
    long: &'static [HintRow],
    short: &'static [HintRow],
}

impl App {
    /// Handles a key press. In the REPL pane letters are text, in the others they are commands.
    pub(super) fn on_pane_key(&mut self, key: KeyEvent) -> Option<Action> {
        if let Some(action) = self.bound_action(key) {
            return self.on_user_action(action);
        }
        if self.window.focus == Pane::Repl {
            return self.on_repl_key(key);
        }
        if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) {
            return None;
        }
        match key.code {
            KeyCode::Char(digit @ '1'..='5') => {
                let index = digit.to_digit(10).unwrap_or(1) as usize - 1;
                return Some(Action::Focus(Pane::ALL[index]));
            }
            KeyCode::Tab => return Some(Action::Focus(self.window.focus.step(1, self.window.sizes.is_data_open))),
            KeyCode::BackTab => return Some(Action::Focus(self.window.focus.step(-1, self.window.sizes.is_data_open))),
            KeyCode::Esc if self.window.focus == Pane::Data && self.data.end_filter() => return None,
            KeyCode::Esc => return Some(Action::Focus(Pane::Circles)),
            _ => {}
        }
        match self.window.focus {
            Pane::Circles => self.circles.key(key),
            Pane::Keys => self.keys.key(key),
            Pane::Data => self.data.key(key),
            Pane::Logs => {
                self.logs.key(key, self.circles.selected());
                None
            }
            Pane::Repl => None,
        }
    }

    fn on_repl_key(&mut self, key: KeyEvent) -> Option<Action> {
        match self.circles.selected() {
            // What is typed before the session is open is kept, too.
            Some(id) if self.session(id).is_some() => self.repl.key(key, id),
            _ => (key.code == KeyCode::Esc).then_some(Action::Focus(Pane::Circles)),
        }
    }

    fn key_context(&self) -> KeyContext {
        let (title, long, short) = match self.window.focus {
            Pane::Circles => ("Circles", circles::HINTS, circles::SHORT_HINTS),
            Pane::Keys => ("Keys", keys::HINTS, keys::SHORT_HINTS),
            Pane::Repl => ("REPL", repl::HINTS, self.repl_hints()),
            Pane::Logs => ("Logs", logs::HINTS, logs::SHORT_HINTS),
            Pane::Data if self.is_filtering() => ("Data", data::HINTS, data::FILTER_HINTS),
            Pane::Data => ("Data", data::HINTS, data::SHORT_HINTS),
        };
        KeyContext { title, long, short }
    }

    fn repl_hints(&self) -> &'static [HintRow] {
        match self.circles.selected().and_then(|shown| self.repl.get(shown)) {
            Some(session) if session.takes_input() || !session.editor.is_empty() => repl::SHORT_HINTS,
            Some(session) if session.state.connection == ConnectionStatus::Connected => repl::SIGN_IN_HINTS,
            _ => repl::UNREADY_HINTS,
        }
    }

    /// Returns the help for the present context.
    pub(super) fn help(&self) -> TextPopup {
        let context = self.key_context();
        let bound = (self.bindings(), self.window.focus.key_pane());
        let hints = help::help_hints(context.title, context.long, bound);
        TextPopup::hints("Help", &hints, self.window.look().theme)
    }

    /// Returns the title of a pane, and the note beside it.
    fn title(&self, pane: Pane) -> PaneTitle {
        let shown = self.circles.selected();
        let entry = shown.and_then(|shown| self.circles.get(shown));
        let session = shown.and_then(|shown| self.repl.get(shown));
        let (title, note) = match pane {
            Pane::Circles => ("Circles".to_owned(), self.control.mark().to_owned()),
            Pane::Keys => ("Keys".to_owned(), String::new()),
            Pane::Data => {
                let name = entry.map_or("", |entry| entry.name.as_str());
                (format!("Data {name}").trim_end().to_owned(), self.data.status().to_owned())
            }
            Pane::Logs => {
                let (name, details) =
                    entry.map_or(("", String::new()), |entry| (entry.name.as_str(), CircleItem::details(entry)));
                let title =
                    if details.is_empty() { format!("Logs {name}") } else { format!("Logs {name} · {details}") };
                (title, self.logs.mode())
            }
            Pane::Repl => {
                let title = session.map_or("REPL".to_owned(), |session| format!("REPL {}", session.title()));
                let elapsed = session.and_then(|session| session.state.last_elapsed);
                (title, elapsed.map_or(String::new(), quantity::duration))
            }
        };
        PaneTitle { title, note }
    }

    /// Returns the title of the terminal's window: the circle, and a mark while it plays or is lost.
    pub(crate) fn terminal_title(&self) -> String {
        let shown = self.circles.selected().and_then(|shown| self.repl.get(shown));
        let Some(session) = shown.filter(|session| session.is_open() || session.is_lost) else {
            return "circles".to_owned();
        };
        let mark = match SessionStatus::of(&session.state) {
            _ if session.is_lost => "✗ ",
            SessionStatus::Running => "▶ ",
            _ => "",
        };
        format!("{mark}{} · circles", visible(&session.name))
    }

    fn draw_pane(&mut self, frame: &mut Frame<'_>, pane: Pane, area: Rect) {
        let (look, has_focus) = (self.window.look(), self.window.focus == pane);
        let area = chrome::pane(frame, area, look.theme, has_focus);
        match pane {
            Pane::Circles => {
                let session_status = |id| self.repl.get(id).map_or(SessionStatus::None, SessionView::status);
                let selected = self.circles.selected().and_then(|id| self.circles.get(id));
                // On a wide screen the details have a column of their own.
                let rows = selected.map_or(0, CircleItem::summary_rows);
                let rows = if area.height > MIN_LIST_ROWS + rows && self.window.detail.is_none() { rows } else { 0 };
                let [list, summary] = Layout::vertical([Constraint::Fill(1), Constraint::Length(rows)]).areas(area);
                self.circles.draw(frame, list, look.theme, (look.now, has_focus), session_status);
                if let Some(entry) = selected.filter(|_| rows > 0) {
                    entry.draw_summary(frame, summary);
                }
            }
            Pane::Keys => {
                let new_key = self.bindings().hint(KeyPane::Keys, UserAction::NewKey);
                self.keys.draw(frame, area, look.theme, has_focus, &new_key);
            }
            Pane::Logs => self.draw_logs(frame, area),
            Pane::Data => self.data.draw(frame, area, look.theme, (look.now, has_focus)),
            Pane::Repl => self.draw_repl(frame, area, has_focus),
        }
    }

    fn draw_logs(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let (theme, shown) = (self.window.look().theme, self.circles.selected());
        let mut search = self.window.search.as_mut().filter(|search| search.pane() == Pane::Logs);
        if let (Some(search), Some(shown)) = (search.as_deref_mut(), shown) {
            search.update(shown, &mut self.logs.searched(shown));
        }
        let found = search.as_deref().map(Search::highlight);
        let level_key = self.setup.settings.keys.hint(KeyPane::Logs, UserAction::LogLevel);
        self.logs.draw(frame, area, theme, shown, found, &level_key);
    }

    fn draw_repl(&mut self, frame: &mut Frame<'_>, area: Rect, has_focus: bool) {
        let look = self.window.look();
        let is_editing = has_focus && self.window.popup.is_none() && self.window.search.is_none();
        let shown = self.circles.selected();
        let entry = shown.and_then(|shown| self.circles.get(shown));
        let has_config = self.control.config_file().is_some();
        let has = Present { config: has_config, keys: !self.keys.is_empty() };
        let welcome = welcome::lines((look.theme, self.bindings()), &self.circles, entry, has, has_focus);
        let search = self.window.search.as_mut().filter(|search| search.pane() == Pane::Repl);
        match shown.filter(|shown| self.repl.get(*shown).is_some()) {
            Some(shown) => self.repl.draw(frame, area, look, shown, (is_editing, search), welcome),
            None => frame.render_widget(Paragraph::new(welcome), area),
        }
    }

    /// Draws the screen.
    pub(crate) fn draw(&mut self, frame: &mut Frame<'_>) {
        let (focus, look) = (self.window.focus, self.window.look());
        let (header, mut panes, detail, message, footer) =
            match layout::screen_layout(frame.area(), focus, self.window.is_zoomed, self.window.sizes) {
                ScreenLayout::TooSmall => {
                    let text = "This terminal is too small for circles: it needs 40 columns and 10 rows.";
                    let paragraph = Paragraph::new(text).wrap(Wrap { trim: true }).alignment(Alignment::Left);
                    return frame.render_widget(paragraph, frame.area());
                }
                ScreenLayout::Panes { header, panes, detail, message, footer } => {
                    (header, panes, detail, message, footer)
                }
            };
        if panes.len() == 1 {
            chrome::tabs(frame, header, look.theme, focus, self.window.sizes.is_data_open);
        } else {
            let circles = (&self.circles, self.control.are_circles_known());
            let bound = |action| self.bindings().hint(KeyPane::Repl, action);
            let shortcuts = (bound(UserAction::Palette), bound(UserAction::Help));
            chrome::header(frame, header, look.theme, circles, &self.keys, &shortcuts);
        }
        self.window.is_repl_visible = panes.iter().any(|(pane, _)| *pane == Pane::Repl);
        self.window.screen = frame.area();
        self.window.detail = detail;
        self.window.panes.clone_from(&panes);
        self.window.tabs = (panes.len() == 1).then_some(header);
        let selected = self.circles.selected().and_then(|id| self.circles.get(id));
        if let (Some(area), Some(entry)) = (detail, selected) {
            let inside = chrome::pane(frame, area, look.theme, false);
            entry.draw_details(frame, inside, look.theme, look.now);
        }
        // The pane with the focus comes last, so that its border covers the others.
        panes.sort_by_key(|(pane, _)| *pane == focus);
        for (pane, area) in &panes {
            self.draw_pane(frame, *pane, *area);
        }
        for (pane, area) in panes {
            chrome::title(frame, area, look.theme, pane, pane == focus, &self.title(pane));
        }
        if let (Some(area), Some(entry)) = (detail, self.circles.selected().and_then(|id| self.circles.get(id))) {
            let title = Line::from(entry.name.clone()).bold();
            let room = Rect { x: area.x + 1, width: area.width.saturating_sub(2), height: 1, ..area };
            frame.render_widget(title, room);
        }
        if let Some(selection) = &self.window.selection {
            selection.draw(frame.buffer_mut());
        }
        if let Some(shown) = self.circles.selected().filter(|_| focus == Pane::Repl && self.window.popup.is_none()) {
            self.repl.draw_menu(frame, look.theme, shown);
        }
        if let Some(toast) = self.window.toast() {
            toast.draw(frame, message, look.theme);
        }
        match (&mut self.window.popup, &self.window.search) {
            (Some(popup), _) => popup.draw(frame, look.theme, look.spinner),
            (None, Some(search)) => search.draw(frame, footer, look.theme),
            (None, None) => {
                let (keys, pane) = (self.bindings(), focus.key_pane());
                let hints = self.key_context().short.iter().filter_map(|row| row.shown(keys, pane));
                chrome::footer(frame, footer, look.theme, hints);
            }
        }
    }
}
