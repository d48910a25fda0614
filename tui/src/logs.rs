//! Log lines of the circles and of the app itself, and the pane that shows them.

use std::collections::{HashMap, VecDeque};

use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent},
    layout::Rect,
    style::{Style, Stylize},
    text::Line,
    widgets::Paragraph,
};

use frontend::{log_line, visible::visible};

use super::{
    action::Action,
    circle_id::CircleId,
    help::Hint,
    search::{Highlight, Query, Searchable},
    selection::VisibleRow,
    tasks::{LogFollower, MAX_LINES},
    theme::Theme,
    wrap,
};

/// Filters of the log, with the levels that they show.
const LEVELS: [(&str, &[&str]); 3] = [("all", &[]), ("warnings", &["WARN", "ERROR"]), ("errors", &["ERROR"])];

#[derive(Debug, Default)]
pub(crate) struct LogsPane {
    logs: HashMap<CircleId, CircleLog>,
    /// Rows below the visible ones; 0 follows new lines.
    scroll_back: usize,
    level: usize,
    /// Where it was last drawn, and the rows there.
    area: Rect,
    visible: Vec<VisibleRow>,
    /// Follower of the log files, once their location is known.
    follower: Option<LogFollower>,
}

/// The newest log lines of a circle.
#[derive(Debug, Default)]
struct CircleLog {
    lines: VecDeque<String>,
    /// Number of lines that were dropped; a line keeps its number.
    dropped: usize,
}

impl CircleLog {
    /// Returns the lines that a filter shows, with their numbers.
    fn shown(&self, levels: &'static [&str]) -> impl DoubleEndedIterator<Item = (usize, &String)> {
        let is_shown = move |line: &String| {
            levels.is_empty() || log_line::level(line).is_some_and(|level| levels.contains(&level))
        };
        let numbered = self.lines.iter().enumerate().map(|(index, line)| (self.dropped + index, line));
        numbered.filter(move |(_, line)| is_shown(line))
    }
}

/// The log of a circle as the pane shows it, for a search.
struct ShownLog<'a>(&'a mut LogsPane, CircleId);

/// Key hints of the pane.
pub(crate) const HINTS: &[Hint] = &[
    ("↑ ↓ PgUp PgDn", "scroll"),
    ("End", "follow"),
    ("/", "search"),
    ("l", "all, warnings, errors"),
    ("y", "copy the log"),
];

/// Key hints for the footer.
pub(crate) const SHORT_HINTS: &[Hint] = &[
    ("↑↓", "scroll"),
    ("?", "help"),
    ("q", "quit"),
    ("/", "search"),
    ("l", "level"),
    ("y", "copy"),
    ("f", "zoom"),
    ("1-4", "pane"),
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

    pub(crate) fn key(&mut self, key: KeyEvent, shown: Option<CircleId>) -> Option<Action> {
        match key.code {
            KeyCode::Up | KeyCode::Char('k') => self.scroll_back += 1,
            KeyCode::Down | KeyCode::Char('j') => self.scroll_back = self.scroll_back.saturating_sub(1),
            KeyCode::PageUp => self.scroll_back += 10,
            KeyCode::PageDown => self.scroll_back = self.scroll_back.saturating_sub(10),
            KeyCode::End | KeyCode::Char('G') => self.scroll_back = 0,
            KeyCode::Char('l') => {
                self.level = (self.level + 1) % LEVELS.len();
                self.scroll_back = 0;
            }
            KeyCode::Char('y') => {
                let lines: Vec<&str> = self.logs.get(&shown?)?.lines.iter().map(String::as_str).collect();
                return Some(Action::Copy(lines.join("\n"), "the log"));
            }
            _ => {}
        }
        None
    }

    /// Returns filter and follow mode for the title of the pane.
    pub(crate) fn mode(&self) -> String {
        let follow = if self.scroll_back == 0 { "follow ●" } else { "follow ○" };
        if self.level == 0 { follow.into() } else { format!("{} · {follow}", LEVELS[self.level].0) }
    }

    /// Scrolls by rows, up if negative.
    pub(crate) fn scroll(&mut self, rows: i32) {
        self.scroll_back = self.scroll_back.saturating_add_signed(-(rows as isize));
    }

    /// Returns where the pane was last drawn.
    pub(crate) fn area(&self) -> Rect {
        self.area
    }

    /// Returns the rows that are visible.
    pub(crate) fn visible(&self) -> &[VisibleRow] {
        &self.visible
    }

    /// Returns the log of a circle, for a search.
    pub(crate) fn searched(&mut self, circle: CircleId) -> impl Searchable + '_ {
        ShownLog(self, circle)
    }

    pub(crate) fn draw(
        &mut self,
        frame: &mut Frame<'_>,
        area: Rect,
        theme: Theme,
        circle: Option<CircleId>,
        found: Option<Highlight<'_>>,
    ) {
        self.area = area;
        self.visible.clear();
        let (name, levels) = LEVELS[self.level];
        let log = circle.and_then(|circle| self.logs.get(&circle));
        let (height, mut rows) = (usize::from(area.height), VecDeque::new());
        for (number, line) in log.into_iter().flat_map(|log| log.shown(levels).rev()) {
            let style = match log_line::level(line) {
                Some("ERROR") => theme.error(),
                Some("WARN") => theme.warning(),
                _ => Style::new(),
            };
            let mut shown = Line::from(line.clone()).style(style);
            if let Some(found) = found {
                shown = found.apply(shown, number, theme);
            }
            for (index, row) in wrap::wrap_words(shown, area.width).into_iter().enumerate().rev() {
                rows.push_front((row.style(style), index > 0));
            }
            if rows.len() >= height + self.scroll_back {
                break;
            }
        }
        if rows.is_empty() {
            let is_filtered = log.is_some_and(|log| !log.lines.is_empty());
            let hint =
                if is_filtered { format!("no {name}; l shows all lines") } else { "no log lines yet".to_owned() };
            return frame.render_widget(Paragraph::new(hint.dim()), area);
        }
        self.scroll_back = self.scroll_back.min(rows.len().saturating_sub(height));
        let end = rows.len() - self.scroll_back;
        let start = end.saturating_sub(height);
        let mut shown = Vec::new();
        for (row, is_continued) in rows.into_iter().skip(start).take(end - start) {
            self.visible.push(VisibleRow { text: row.to_string(), is_continued });
            shown.push(row);
        }
        frame.render_widget(Paragraph::new(shown), area);
    }
}

impl Searchable for ShownLog<'_> {
    fn matching_lines(&self, query: &Query) -> Vec<usize> {
        let Self(pane, circle) = self;
        let lines = pane.logs.get(circle).into_iter().flat_map(|log| log.shown(LEVELS[pane.level].1));
        lines.filter(|(_, line)| query.matches(line)).map(|(number, _)| number).collect()
    }

    /// The level is part of it: with another one other lines are shown.
    fn revision(&self) -> usize {
        let Self(pane, circle) = self;
        let end = pane.logs.get(circle).map_or(0, |log| log.dropped + log.lines.len());
        end.wrapping_mul(LEVELS.len()).wrapping_add(pane.level)
    }

    fn reveal(&mut self, line: usize) {
        let Self(pane, circle) = self;
        let Rect { width, height, .. } = pane.area;
        let rows = |line: &String| wrap::wrap_words(Line::from(line.clone()), width).len();
        let (mut below, mut own) = (0, 1);
        let log = pane.logs.get(circle);
        for (number, text) in log.into_iter().flat_map(|log| log.shown(LEVELS[pane.level].1).rev()) {
            own = rows(text);
            if number <= line {
                break;
            }
            below += own;
        }
        let height = usize::from(height.max(1));
        if below < pane.scroll_back || below + own > pane.scroll_back + height {
            pane.scroll_back = (below + 1).saturating_sub(height / 2);
        }
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
