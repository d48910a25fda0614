//! The pane that shows the store of a circle as a live tree of its keys.
//!
//! The state machine ([`tree`]), its rows ([`rows`]) and their drawing ([`drawing`]) know neither tasks nor sessions. The
//! pane opens and closes subscriptions as the tree plans them.

mod access;
mod drawing;
mod entries;
mod filter;
mod rows;
#[cfg(test)]
mod tests;
mod tree;

use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

use frontend::key_bindings::UserAction;
use ratatui::{
    crossterm::event::{KeyCode, KeyEvent},
    layout::{Position, Rect},
};

use super::{
    action::Action,
    circle_id::CircleId,
    help::HintRow::{self, Bound, Fixed, Short},
    list,
    tasks::WatchGuard,
};
pub(crate) use access::{StoreAccess, failure_text};
pub(crate) use drawing::value_lines;
use entries::is_recent;
use filter::{FilterOutcome, KeyFilter};
use rows::{RowKind, TreeRow};
pub(crate) use tree::WatchNews;
use tree::{StoreTree, WatchState};

/// Key hints of the pane.
pub(crate) const HINTS: &[HintRow] = &[
    Fixed("→ ←", "unfold the folder, fold it or go to the folder above; only unfolded folders are followed"),
    Fixed("Enter", "unfold or fold the folder; show the whole value of a key"),
    Bound(UserAction::Search),
    Fixed("/ a/b/ Enter", "show the folder a/b/, whether the role lists it or not; Delete removes it again"),
    Bound(UserAction::CopyKey),
    Bound(UserAction::CopyValue),
    Bound(UserAction::Data),
    Fixed("↑ ↓", "select"),
];

/// Key hints for the footer.
pub(crate) const SHORT_HINTS: &[HintRow] = &[
    Fixed("Enter", "unfold"),
    Short(UserAction::Search, "filter, or name a folder/"),
    Short(UserAction::CopyKey, "copy key"),
    Short(UserAction::CopyValue, "copy value"),
    Short(UserAction::Data, "close"),
    Short(UserAction::Help, "help"),
];

/// Key hints for the footer while the filter is typed.
pub(crate) const FILTER_HINTS: &[HintRow] =
    &[Fixed("Enter", "keep the filter; after a / show that folder"), Fixed("↑ ↓", "select"), Fixed("Esc", "end")];

/// The pane.
#[derive(Debug, Default)]
pub(crate) struct DataPane {
    trees: HashMap<CircleId, CircleTree>,
    /// The circle whose tree is open.
    open: Option<CircleId>,
    /// Where the rows were last drawn, and the first of them.
    drawn: (Rect, usize),
    /// Whether the screen shows a highlighted entry.
    is_highlighting: bool,
}

/// The tree of a circle, and what the user does with it.
#[derive(Debug, Default)]
struct CircleTree {
    access: StoreAccess,
    tree: StoreTree,
    /// The open subscriptions.
    guards: BTreeMap<u64, WatchGuard>,
    /// Whether the tree may plan other subscriptions.
    is_plan_outdated: bool,
    rows: Vec<TreeRow>,
    selected: usize,
    filter: KeyFilter,
}

impl DataPane {
    /// Closes the subscriptions on all circles but one.
    pub(crate) fn close_others(&mut self, id: Option<CircleId>) {
        if self.open == id {
            return;
        }
        if let Some(shown) = self.open.take().and_then(|before| self.trees.get_mut(&before)) {
            shown.close();
        }
        self.open = id;
        if let Some(shown) = id {
            self.trees.entry(shown).or_default().is_plan_outdated = true;
        }
    }

    /// Forgets the tree of a circle that is gone.
    pub(crate) fn remove(&mut self, id: CircleId) {
        self.trees.remove(&id);
        self.open.take_if(|open| *open == id);
    }

    /// Adapts the subscriptions to the session and to what is unfolded. `follow` opens one.
    pub(crate) fn sync(&mut self, access: StoreAccess, follow: impl FnMut(u64, String) -> Option<WatchGuard>) {
        if let Some(shown) = self.shown_mut() {
            shown.sync(access, follow);
        }
    }

    /// Records that a circle has a new connection, on which nothing is followed.
    pub(crate) fn reconnect(&mut self, id: CircleId) {
        if let Some(shown) = self.trees.get_mut(&id) {
            shown.sync(StoreAccess::Disconnected, |_, _| None);
        }
    }

    /// Takes news of a subscription.
    pub(crate) fn apply(&mut self, id: CircleId, number: u64, news: WatchNews, now: Instant) {
        if let Some(shown) = self.trees.get_mut(&id).filter(|shown| shown.guards.contains_key(&number)) {
            shown.is_plan_outdated |= shown.tree.apply(number, news, now);
            shown.list_rows();
        }
    }

    /// Returns whether the highlight of an entry is shown, or has to be removed from the screen.
    pub(crate) fn needs_update(&mut self, now: Instant) -> bool {
        let was_highlighting = self.is_highlighting;
        self.is_highlighting = self.shown().is_some_and(|shown| is_recent(shown.tree.entries().changed_at(), now));
        was_highlighting != self.is_highlighting
    }

    fn shown(&self) -> Option<&CircleTree> {
        self.trees.get(&self.open?)
    }

    fn shown_mut(&mut self) -> Option<&mut CircleTree> {
        self.trees.get_mut(&self.open?)
    }

    /// Returns whether letters go into the filter.
    pub(crate) fn is_typing(&self) -> bool {
        self.shown().is_some_and(|shown| shown.filter.is_typing())
    }

    /// Opens the filter.
    pub(crate) fn start_filter(&mut self) {
        if let Some(shown) = self.shown_mut() {
            shown.filter.start();
        }
    }

    /// Closes the filter. Returns whether it was open.
    pub(crate) fn end_filter(&mut self) -> bool {
        let Some(shown) = self.shown_mut().filter(|shown| shown.filter.is_open()) else { return false };
        shown.filter.clear();
        shown.list_rows();
        true
    }

    /// Adds a text to the filter, which opens.
    pub(crate) fn paste(&mut self, text: &str) {
        if let Some(shown) = self.shown_mut() {
            shown.filter.start();
            shown.filter.paste(text);
            shown.list_rows();
        }
    }

    pub(crate) fn key(&mut self, key: KeyEvent) -> Option<Action> {
        self.shown_mut()?.key(key)
    }

    /// Returns what an action of the user means for the selected row.
    pub(crate) fn action(&self, action: UserAction) -> Option<Action> {
        let shown = self.shown()?;
        let row = shown.selected_row()?;
        match (action, &row.kind) {
            (UserAction::CopyKey, RowKind::Key) => Some(Action::Copy(row.path.clone(), "the key")),
            (UserAction::CopyKey, _) => Some(Action::Copy(row.path.clone(), "the prefix")),
            (UserAction::CopyValue, RowKind::Key) => {
                Some(Action::Copy(shown.tree.entries().value(&row.path)?.to_owned(), "the value"))
            }
            _ => None,
        }
    }

    /// Returns a value as JSON.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.shown()?.tree.entries().value(key)
    }

    /// Selects the row at a place on the screen. A click on the selected row acts as Enter.
    pub(crate) fn click(&mut self, at: Position) -> Option<Action> {
        let (area, first) = self.drawn;
        let shown = self.trees.get_mut(&self.open?).filter(|_| area.contains(at))?;
        let row = first + usize::from(at.y - area.y);
        if row >= shown.rows.len() {
            return None;
        }
        if shown.selected == row {
            return shown.enter();
        }
        shown.selected = row;
        None
    }

    /// Returns the state of the tree for the title of the pane.
    pub(crate) fn status(&self) -> &'static str {
        let Some(shown) = self.shown() else { return "" };
        match shown.access {
            StoreAccess::Disconnected => "not connected",
            StoreAccess::Connecting => "connecting…",
            StoreAccess::Authenticating => "signing in…",
            _ if shown.tree.watch_states().any(|state| *state == WatchState::Loading) => "loading…",
            _ if shown.tree.watch_states().any(|state| *state == WatchState::Live) => "live ●",
            _ => "",
        }
    }
}

impl CircleTree {
    fn sync(&mut self, access: StoreAccess, mut follow: impl FnMut(u64, String) -> Option<WatchGuard>) {
        if self.access != access {
            if let Some(roots) = access.roots() {
                self.tree.set_granted(roots);
            }
            self.access = access;
            self.is_plan_outdated = true;
        }
        if !std::mem::take(&mut self.is_plan_outdated) {
            return;
        }
        let plan = self.tree.plan(self.access.is_connected());
        for number in plan.closed {
            self.guards.remove(&number);
        }
        for (number, prefix) in plan.opened {
            self.guards.extend(follow(number, prefix).map(|guard| (number, guard)));
        }
        self.list_rows();
    }

    fn close(&mut self) {
        for number in self.tree.close() {
            self.guards.remove(&number);
        }
        self.filter.clear();
        self.list_rows();
    }

    /// Lists the rows again. The selection stays on its row, or near its place.
    fn list_rows(&mut self) {
        let before = self.rows.get(self.selected).cloned();
        self.rows = rows::rows(&self.tree, self.filter.query().as_ref());
        let same = before.and_then(|before| self.rows.iter().position(|row| row.is_same(&before)));
        self.selected = same.unwrap_or(self.selected).min(self.rows.len().saturating_sub(1));
    }

    fn selected_row(&self) -> Option<&TreeRow> {
        self.rows.get(self.selected)
    }

    fn key(&mut self, key: KeyEvent) -> Option<Action> {
        if self.filter.is_typing() {
            match self.filter.key(key) {
                FilterOutcome::Edited => {
                    self.list_rows();
                    return None;
                }
                FilterOutcome::Folder(folder) => {
                    self.show_folder(&folder);
                    return None;
                }
                FilterOutcome::Unused => {}
            }
        }
        if let Some(selected) = list::move_selection(key.code, self.selected, self.rows.len()) {
            self.selected = selected;
            return None;
        }
        match key.code {
            KeyCode::Right => self.unfold_or_enter(),
            KeyCode::Left => self.fold_or_leave(),
            KeyCode::Delete => {
                let path = self.selected_row()?.path.clone();
                if self.tree.forget_folder(&path) {
                    self.change_plan();
                }
            }
            KeyCode::Enter | KeyCode::Char(' ') => return self.enter(),
            _ => {}
        }
        None
    }

    fn show_folder(&mut self, folder: &str) {
        self.tree.show_folder(folder);
        self.change_plan();
        let is_folder = |row: &TreeRow| matches!(row.kind, RowKind::Folder { .. }) && row.path == folder;
        self.selected = self.rows.iter().position(is_folder).unwrap_or(self.selected);
    }

    /// Has the next [`CircleTree::sync`] plan the subscriptions again.
    fn change_plan(&mut self) {
        self.is_plan_outdated = true;
        self.list_rows();
    }

    /// Folds or unfolds the selected folder, or returns that the value of the selected key is to be shown.
    fn enter(&mut self) -> Option<Action> {
        let row = self.selected_row()?;
        match row.kind {
            RowKind::Key => return Some(Action::ShowValue(row.path.clone())),
            RowKind::Folder { is_unfolded: true, .. } => self.fold_or_leave(),
            RowKind::Folder { .. } => self.unfold_or_enter(),
            RowKind::Note(_) => {}
        }
        None
    }

    fn unfold_or_enter(&mut self) {
        let Some(row) = self.rows.get(self.selected) else { return };
        match row.kind {
            RowKind::Folder { is_unfolded: false, .. } => {
                let path = row.path.clone();
                self.tree.unfold(&path);
                self.change_plan();
            }
            RowKind::Folder { .. } => self.selected = (self.selected + 1).min(self.rows.len() - 1),
            RowKind::Key | RowKind::Note(_) => {}
        }
    }

    fn fold_or_leave(&mut self) {
        let Some(row) = self.rows.get(self.selected) else { return };
        // A filter shows the folders of matching keys whether they are unfolded or not.
        if matches!(row.kind, RowKind::Folder { .. }) && self.tree.is_unfolded(&row.path) && !self.filter.is_open() {
            let path = row.path.clone();
            self.tree.fold(&path);
            return self.change_plan();
        }
        let depth = row.depth;
        self.selected = self.rows[..self.selected].iter().rposition(|row| row.depth < depth).unwrap_or(self.selected);
    }
}
