//! The list of circles, their state, and the pane that shows them.

mod activity;
mod changes;
mod detail;
mod item;
mod rows;

use std::{cell::Cell, time::Instant};

use launcher::{CircleConfig, CircleStatus};
use ratatui::{
    crossterm::event::{KeyCode, KeyEvent},
    layout::{Position, Rect},
};

use frontend::{key_bindings::UserAction, target};

use super::{
    action::Action,
    circle_id::CircleId,
    event::ProbeResult,
    help::HintRow::{self, Bound, Fixed, Short},
    list,
    tasks::Tasks,
};
pub(crate) use changes::StatusChange;
use changes::{PreviousState, detect_change};
pub(crate) use item::{CircleAvailability, CircleItem, CircleSource};

/// Key hints of the pane.
pub(crate) const HINTS: &[HintRow] = &[
    Fixed("Enter", "connect; starts the circle if it is down, signs in if it needs a key"),
    Bound(UserAction::Start),
    Bound(UserAction::StartAll),
    Bound(UserAction::Stop),
    Bound(UserAction::Restart),
    Bound(UserAction::SignIn),
    Bound(UserAction::Disconnect),
    Bound(UserAction::ConnectTo),
    Bound(UserAction::Admit),
    Bound(UserAction::EditConfig),
    Bound(UserAction::CopyUrl),
    Bound(UserAction::NewKey),
    Fixed("↑ ↓", "select; the REPL and the logs show the selected circle"),
];

/// Key hints for the footer.
pub(crate) const SHORT_HINTS: &[HintRow] = &[
    Fixed("Enter", "connect"),
    Short(UserAction::Help, "help"),
    Short(UserAction::Quit, "quit"),
    Short(UserAction::Start, "start"),
    Short(UserAction::Stop, "stop"),
    Short(UserAction::NewKey, "new key"),
    Short(UserAction::EditConfig, "edit"),
    Short(UserAction::ConnectTo, "other"),
    Fixed("1-4", "pane"),
];

#[derive(Debug, Default)]
pub(crate) struct CirclesPane {
    entries: Vec<CircleItem>,
    selected: usize,
    /// Where the rows were last drawn.
    drawn: Cell<Rect>,
}

/// Circles that a supervisor's report covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReportScope {
    /// All: the supervisor does not know other circles.
    All,
    /// Only the circles in the report.
    Some,
}

impl CirclesPane {
    pub(crate) fn get(&self, id: CircleId) -> Option<&CircleItem> {
        self.entries.get(id.0).filter(|entry| !entry.is_removed)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (CircleId, &CircleItem)> {
        let all = self.entries.iter().enumerate().map(|(index, entry)| (CircleId(index), entry));
        all.filter(|(_, entry)| !entry.is_removed)
    }

    /// Removes a circle from the list, and selects its neighbour.
    pub(crate) fn remove(&mut self, id: CircleId) {
        let row = self.row();
        if let Some(entry) = self.entries.get_mut(id.0) {
            entry.is_removed = true;
        }
        if self.selected == id.0 {
            let count = self.iter().count();
            let next = self.iter().nth(row.min(count.saturating_sub(1))).map(|(id, _)| id.0);
            self.selected = next.unwrap_or_default();
        }
    }

    /// Returns the row of the selected circle.
    fn row(&self) -> usize {
        self.iter().position(|(id, _)| id.0 == self.selected).unwrap_or(0)
    }

    /// Samples what the circles do. Returns whether a chart looks different than before.
    pub(crate) fn sample(&mut self, now: Instant) -> bool {
        // Each of them has to be sampled.
        let changed = self.entries.iter_mut().filter_map(|entry| entry.activity.sample(now).then_some(()));
        changed.count() > 0
    }

    /// Returns whether an uptime is shown in seconds, or has just turned into minutes.
    pub(crate) fn needs_second_updates(&self, now: Instant) -> bool {
        let since = |entry: &CircleItem| entry.since.filter(|_| entry.source == CircleSource::Config);
        self.entries.iter().filter_map(since).any(|since| {
            let seconds = now.saturating_duration_since(since).as_secs();
            seconds < 60 || seconds % 60 <= 1
        })
    }

    /// Returns the circle at a place on the screen.
    pub(crate) fn item_at(&self, at: Position) -> Option<CircleId> {
        let area = self.drawn.get();
        let row = area.contains(at).then(|| usize::from(at.y - area.y))?;
        self.iter().nth(self.first_row(area.height) + row).map(|(id, _)| id)
    }

    /// Returns the first row that is visible.
    fn first_row(&self, height: u16) -> usize {
        self.row().saturating_sub(usize::from(height).saturating_sub(1))
    }

    pub(crate) fn selected(&self) -> Option<CircleId> {
        self.get(CircleId(self.selected)).map(|_| CircleId(self.selected))
    }

    pub(crate) fn select(&mut self, id: CircleId) {
        self.selected = id.0;
    }

    pub(crate) fn add_scratch(&mut self, name: &str, url: String, now: Instant) -> CircleId {
        let since = Some(now);
        self.add(CircleItem { since, ..CircleItem::new(name.to_owned(), url, CircleSource::Scratch) })
    }

    /// Adds a circle by its address, or returns the one that has it.
    pub(crate) fn add_address(&mut self, url: String) -> CircleId {
        let matches = |entry: &CircleItem| target::is_same_url(entry.url(), &url);
        if let Some(index) = self.entries.iter().position(matches) {
            self.entries[index].is_removed = false;
            return CircleId(index);
        }
        let name = url.trim_start_matches("ws://").trim_end_matches('/').to_owned();
        self.add(CircleItem::new(name, url, CircleSource::Address))
    }

    fn add(&mut self, entry: CircleItem) -> CircleId {
        self.entries.push(entry);
        CircleId(self.entries.len() - 1)
    }

    /// Returns the circle of that name that is or was in circles.json.
    fn find_by_name(&self, name: &str) -> Option<CircleId> {
        let matches = |entry: &CircleItem| entry.source != CircleSource::Scratch && entry.name == name;
        self.entries.iter().position(matches).map(CircleId)
    }

    /// Applies circles.json. A circle that is not in it any more, and that no supervisor runs, stays as one known by
    /// its address.
    pub(crate) fn configure(&mut self, circles: &[CircleConfig], tasks: &Tasks) {
        for entry in self.entries.iter_mut().filter(|entry| entry.source == CircleSource::Config) {
            if !entry.is_supervised() && !circles.iter().any(|circle| circle.name == entry.name) {
                entry.source = CircleSource::Address;
            }
        }
        for circle in circles {
            let new = || CircleItem::new(circle.name.clone(), circle.url(), CircleSource::Config);
            let id = self.find_by_name(&circle.name).unwrap_or_else(|| self.add(new()));
            let entry = &mut self.entries[id.0];
            entry.is_removed = false;
            (entry.source, entry.url) = (CircleSource::Config, circle.url());
            (entry.access, entry.description) = (Some(circle.access), circle.description.clone());
            // Port 0 is a different port each time, so it cannot be probed.
            let address = Some(launcher::connect_address(circle.address)).filter(|address| address.port() != 0);
            if entry.address != address {
                (entry.address, entry.probe_guard, entry.probe_result) = (address, None, None);
            }
        }
        self.probe(tasks);
    }

    fn probe(&mut self, tasks: &Tasks) {
        for (index, entry) in self.entries.iter_mut().enumerate() {
            entry.probe(CircleId(index), tasks);
        }
    }

    /// Applies a supervisor's report, and returns the changes.
    pub(crate) fn apply_statuses(
        &mut self,
        statuses: Vec<CircleStatus>,
        scope: ReportScope,
        now: Instant,
        tasks: &Tasks,
    ) -> Vec<(CircleId, StatusChange)> {
        let before: Vec<_> = self.entries.iter().map(PreviousState::of).collect();
        if scope == ReportScope::All {
            let is_reported = |entry: &CircleItem| statuses.iter().any(|status| status.name == entry.name);
            for entry in self.entries.iter_mut().filter(|entry| entry.status.is_some()) {
                if !is_reported(entry) {
                    entry.take(None, now);
                }
            }
        }
        for status in statuses {
            let new = || CircleItem::new(status.name.clone(), status.url.clone(), CircleSource::Config);
            let id = self.find_by_name(&status.name).unwrap_or_else(|| self.add(new()));
            let entry = &mut self.entries[id.0];
            entry.is_removed = false;
            // A circle that is up is in circles.json, or was when it was started.
            entry.source = CircleSource::Config;
            entry.take(Some(status), now);
        }
        self.probe(tasks);
        let before = before.into_iter().chain(std::iter::repeat(PreviousState::UNKNOWN));
        self.iter().zip(before).filter_map(|((id, entry), before)| Some((id, detect_change(entry, before)?))).collect()
    }

    /// Records what listens at the address of a circle.
    pub(crate) fn set_probe_result(&mut self, id: CircleId, listening: ProbeResult) {
        // The supervisor knows better what it runs.
        if let Some(entry) = self.entries.get_mut(id.0).filter(|entry| !entry.is_supervised()) {
            entry.probe_result = Some(listening);
        }
    }

    /// Probes a circle at once, and posts the result even if it is the same: the circle may have been gone for a
    /// moment.
    pub(crate) fn probe_again(&mut self, id: CircleId, tasks: &Tasks) {
        if let Some(entry) = self.entries.get_mut(id.0) {
            entry.probe_guard = None;
            entry.probe(id, tasks);
        }
    }

    /// Records whether the supervisor has been asked to start the circle and has not answered.
    pub(crate) fn set_requested(&mut self, id: CircleId, is_requested: bool) {
        if let Some(entry) = self.entries.get_mut(id.0) {
            entry.is_requested = is_requested;
        }
    }

    /// Records that a session is connected to the circle.
    pub(crate) fn mark_connected(&mut self, id: CircleId) {
        if let Some(entry) = self.entries.get_mut(id.0).filter(|entry| entry.source == CircleSource::Address) {
            entry.probe_result = Some(ProbeResult::Circle);
        }
    }

    /// Records that a session has lost its connection. A circle known only by its address is not probed.
    pub(crate) fn mark_disconnected(&mut self, id: CircleId) {
        if let Some(entry) = self.entries.get_mut(id.0).filter(|entry| entry.source == CircleSource::Address) {
            entry.probe_result = None;
        }
    }

    pub(crate) fn key(&mut self, key: KeyEvent) -> Option<Action> {
        if let Some(row) = list::move_selection(key.code, self.row(), self.iter().count()) {
            return self.iter().nth(row).map(|(id, _)| Action::Show(id));
        }
        let id = self.selected()?;
        (key.code == KeyCode::Enter).then_some(Action::Connect(id))
    }

    /// Returns what an action of the user means for the selected circle.
    pub(crate) fn action(&self, action: UserAction) -> Option<Action> {
        let selected = self.selected();
        Some(match action {
            UserAction::Start => Action::Start(selected?),
            UserAction::Stop => Action::AskStop(selected?),
            UserAction::Restart => Action::AskRestart(selected?),
            UserAction::Admit => Action::Admit(selected?),
            UserAction::SignIn => Action::Authenticate(selected?),
            UserAction::Disconnect => Action::AskDisconnect(selected?),
            UserAction::CopyUrl => Action::Copy(self.get(selected?)?.url().to_owned(), "the URL"),
            _ => return None,
        })
    }
}
