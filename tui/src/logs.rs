//! Log lines of the circles and of the app itself, and the pane that shows them.

use std::{
    collections::{HashMap, VecDeque},
    ops::Range,
};

use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent},
    layout::Rect,
    style::{Style, Stylize},
    text::Line,
    widgets::Paragraph,
};

use frontend::{key_bindings::UserAction, log_line, visible::visible};

use super::{
    action::Action,
    circle_id::CircleId,
    help::HintRow::{self, Bound, Fixed, Short},
    scroll::{NumberedLines, ScrollView},
    search::{Highlight, Query, Searchable},
    selection::VisibleRow,
    tasks::{LogFollower, MAX_LINES},
    theme::Theme,
};

/// Filters of the log, with the levels that they show.
const LEVELS: [(&str, &[&str]); 3] = [("all", &[]), ("warnings", &["WARN", "ERROR"]), ("errors", &["ERROR"])];

#[derive(Debug, Default)]
pub(crate) struct LogsPane {
    logs: HashMap<CircleId, CircleLog>,
    /// The circle whose log was last drawn.
    shown: Option<CircleId>,
    level: usize,
    /// Follower of the log files, once their location is known.
    follower: Option<LogFollower>,
}

/// The newest log lines of a circle.
#[derive(Debug, Default)]
struct CircleLog {
    lines: VecDeque<String>,
    /// Number of lines that were dropped; a line keeps its number.
    dropped: usize,
    view: ScrollView,
}

/// The lines of a log that a filter shows, with what a search has found.
struct ShownLog<'a> {
    lines: &'a VecDeque<String>,
    dropped: usize,
    levels: &'static [&'static str],
    theme: Theme,
    found: Option<Highlight<'a>>,
}

/// The log of a circle and its filter, for a search.
struct SearchedLog<'a> {
    log: &'a mut CircleLog,
    level: usize,
}

/// Key hints of the pane.
pub(crate) const HINTS: &[HintRow] = &[
    Fixed("↑ ↓ PgUp PgDn", "scroll"),
    Fixed("Home g, End G", "scroll to the oldest line, follow new lines"),
    Bound(UserAction::Search),
    Bound(UserAction::LogLevel),
    Bound(UserAction::CopyLog),
];

/// Key hints for the footer.
pub(crate) const SHORT_HINTS: &[HintRow] = &[
    Fixed("↑↓", "scroll"),
    Short(UserAction::Help, "help"),
    Short(UserAction::Quit, "quit"),
    Short(UserAction::Search, "search"),
    Short(UserAction::LogLevel, "level"),
    Short(UserAction::CopyLog, "copy"),
    Short(UserAction::Zoom, "zoom"),
    Fixed("1-4", "pane"),
];

impl LogsPane {
    pub(crate) fn set_follower(&mut self, follower: LogFollower) {
        self.follower = Some(follower);
    }

    /// Starts to follow the log of a circle in circles.json.
    pub(crate) fn follow(&self, circle: CircleId, name: &str) {
        if let Some(follower) = &self.follower {
            follower.follow(circle, name);
        }
    }

    pub(crate) fn push(&mut self, circle: CircleId, line: &str) {
        let log = self.logs.entry(circle).or_default();
        log.lines.extend(visible(line).lines().map(log_line::short_log));
        while log.lines.len() > MAX_LINES {
            log.lines.pop_front();
            log.dropped += 1;
        }
    }

    /// Scrolls the log of a circle by a key press.
    pub(crate) fn key(&mut self, key: KeyEvent, shown: Option<CircleId>) {
        let Some(shown) = shown else { return };
        let view = &mut self.logs.entry(shown).or_default().view;
        match key.code {
            KeyCode::Up | KeyCode::Char('k') => view.scroll(-1),
            KeyCode::Down | KeyCode::Char('j') => view.scroll(1),
            KeyCode::PageUp => view.page(-1),
            KeyCode::PageDown => view.page(1),
            KeyCode::Home | KeyCode::Char('g') => view.scroll_to_begin(),
            KeyCode::End | KeyCode::Char('G') => view.follow(),
            _ => {}
        }
    }

    /// Carries out an action of the user on the log of a circle.
    pub(crate) fn act(&mut self, action: UserAction, shown: Option<CircleId>) -> Option<Action> {
        match action {
            UserAction::LogLevel => {
                self.level = (self.level + 1) % LEVELS.len();
                self.logs.values_mut().for_each(|log| log.view.follow());
            }
            UserAction::CopyLog => {
                let lines: Vec<&str> = self.logs.get(&shown?)?.lines.iter().map(String::as_str).collect();
                return Some(Action::Copy(lines.join("\n"), "the log")).filter(|_| !lines.is_empty());
            }
            _ => {}
        }
        None
    }

    /// Returns a line by its number.
    pub(crate) fn line(&self, circle: CircleId, number: usize) -> String {
        let line = self.logs.get(&circle).and_then(|log| log.lines.get(number.checked_sub(log.dropped)?));
        line.cloned().unwrap_or_default()
    }

    fn view(&self) -> Option<&ScrollView> {
        self.logs.get(&self.shown?).map(|log| &log.view)
    }

    /// Returns filter and follow mode for the title of the pane.
    pub(crate) fn mode(&self) -> String {
        let follow = if self.view().is_none_or(ScrollView::is_following) { "follow ●" } else { "follow ○" };
        if self.level == 0 { follow.into() } else { format!("{} · {follow}", LEVELS[self.level].0) }
    }

    /// Scrolls by rows, up if negative.
    pub(crate) fn scroll(&mut self, rows: isize) {
        if let Some(log) = self.shown.and_then(|shown| self.logs.get_mut(&shown)) {
            log.view.scroll(rows);
        }
    }

    /// Returns where the pane was last drawn.
    pub(crate) fn area(&self) -> Rect {
        self.view().map_or(Rect::ZERO, ScrollView::area)
    }

    /// Returns the rows that are visible.
    pub(crate) fn visible(&self) -> &[VisibleRow] {
        self.view().map_or(&[], ScrollView::visible)
    }

    /// Returns the log of a circle, for a search.
    pub(crate) fn searched(&mut self, circle: CircleId) -> impl Searchable + '_ {
        SearchedLog { log: self.logs.entry(circle).or_default(), level: self.level }
    }

    /// Draws the pane. `level_key` is what changes the filter.
    pub(crate) fn draw(
        &mut self,
        frame: &mut Frame<'_>,
        area: Rect,
        theme: Theme,
        circle: Option<CircleId>,
        found: Option<Highlight<'_>>,
        level_key: &str,
    ) {
        let (name, levels) = LEVELS[self.level];
        let mut is_empty = true;
        self.shown = circle;
        if let Some(circle) = circle {
            let CircleLog { lines, dropped, view } = self.logs.entry(circle).or_default();
            is_empty = lines.is_empty();
            let is_held = found.is_some_and(|found| found.has_current());
            let shown = ShownLog { lines, dropped: *dropped, levels, theme, found };
            view.set_area(area);
            let rows = view.rows(&shown, (area.width, area.height), is_held);
            if !rows.is_empty() {
                return frame.render_widget(Paragraph::new(rows), area);
            }
        }
        let hint =
            if is_empty { "no log lines yet".to_owned() } else { format!("no {name}; {level_key} shows all lines") };
        frame.render_widget(Paragraph::new(hint.dim()), area);
    }
}

fn is_shown(line: &str, levels: &[&str]) -> bool {
    levels.is_empty() || log_line::level(line).is_some_and(|level| levels.contains(&level))
}

impl NumberedLines for ShownLog<'_> {
    fn at_or_before(&self, number: usize) -> Option<usize> {
        let count = number.saturating_add(1).checked_sub(self.dropped)?;
        let index = self.lines.iter().take(count).rposition(|line| is_shown(line, self.levels))?;
        Some(self.dropped + index)
    }

    fn at_or_after(&self, number: usize) -> Option<usize> {
        let first = number.saturating_sub(self.dropped);
        let index = self.lines.iter().skip(first).position(|line| is_shown(line, self.levels))?;
        Some(self.dropped + first + index)
    }

    fn line(&self, number: usize) -> Line<'static> {
        let line = number.checked_sub(self.dropped).and_then(|index| self.lines.get(index));
        let Some(line) = line else { return Line::default() };
        let style = match log_line::level(line) {
            Some("ERROR") => self.theme.error(),
            Some("WARN") => self.theme.warning(),
            _ => Style::new(),
        };
        let shown = Line::from(line.clone()).style(style);
        match self.found {
            Some(found) => found.apply(shown, number, self.theme),
            None => shown,
        }
    }
}

impl Searchable for SearchedLog<'_> {
    fn numbers(&self) -> Range<usize> {
        self.log.dropped..self.log.dropped + self.log.lines.len()
    }

    fn filter(&self) -> usize {
        self.level
    }

    fn matching_lines(&self, query: &Query, numbers: Range<usize>) -> Vec<usize> {
        let levels = LEVELS[self.level].1;
        let is_match = |number: &usize| {
            let line = number.checked_sub(self.log.dropped).and_then(|index| self.log.lines.get(index));
            line.is_some_and(|line| is_shown(line, levels) && query.matches(line))
        };
        numbers.filter(is_match).collect()
    }

    fn reveal(&mut self, line: usize) {
        self.log.view.reveal(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_buffer_is_bounded() {
        let mut logs = LogsPane::default();
        for number in 0..MAX_LINES + 3 {
            logs.push(CircleId(0), &number.to_string());
        }
        assert_eq!(logs.logs[&CircleId(0)].lines.len(), MAX_LINES);
        assert_eq!(logs.logs[&CircleId(0)].lines.back().map(String::as_str), Some("2002"));
    }
}
