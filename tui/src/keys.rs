//! The keys in the keystore, which of them are unlocked, and the pane that shows them.

mod change;
mod key_source;

use std::{
    cell::Cell,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use console::session::KeySource;
use keys::{
    KeyPair,
    keystore::{KeyEntry, KeyListing, KeyName},
};
use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent},
    layout::{Position, Rect},
    style::Stylize,
    text::{Line, Span},
    widgets::Paragraph,
};

use frontend::key_bindings::UserAction;

use super::{
    action::Action,
    circle_id::CircleId,
    help::HintRow::{self, Both, Bound, Fixed, Short},
    list,
    popup::KeyJob,
    theme::Theme,
};
pub(crate) use change::{KeyChange, KeyOutcome};
pub(crate) use key_source::AppKeySource;

/// Key hints of the pane.
pub(crate) const HINTS: &[HintRow] = &[
    Bound(UserAction::NewKey),
    Fixed("Enter", "use this key (✓)"),
    Bound(UserAction::Unlock),
    Bound(UserAction::Default),
    Bound(UserAction::Rename),
    Bound(UserAction::Passphrase),
    Bound(UserAction::Import),
    Both(
        UserAction::Export,
        UserAction::ExportSecret,
        "export it to a file, encrypted; the bare secret, after a question",
    ),
    Bound(UserAction::Delete),
    Bound(UserAction::CopyPublicKey),
    Bound(UserAction::ReadKeys),
    Fixed("↑ ↓", "select"),
];

/// Key hints for the footer.
pub(crate) const SHORT_HINTS: &[HintRow] = &[
    Short(UserAction::NewKey, "new"),
    Short(UserAction::Help, "help"),
    Short(UserAction::Quit, "quit"),
    Fixed("Enter", "use"),
    Short(UserAction::CopyPublicKey, "copy public key"),
    Short(UserAction::Unlock, "unlock"),
    Short(UserAction::Import, "import"),
    Short(UserAction::Export, "export"),
    Fixed("1-4", "pane"),
];

#[derive(Debug, Default)]
pub(crate) struct KeysPane {
    entries: Vec<KeyEntry>,
    /// The part of the state that sessions see.
    source: Arc<AppKeySource>,
    /// Key to use, if it is not the default key.
    current: Option<KeyName>,
    selected: usize,
    /// Where the rows were last drawn.
    drawn: Cell<Rect>,
    /// Whether the key to use was named on the command line; then sessions use it on open circles, too.
    is_named: bool,
    /// Whether the keystore has been read.
    is_loaded: bool,
    /// Circles whose sessions wait for a key to be unlocked.
    waiting: HashMap<KeyName, BTreeSet<CircleId>>,
}

impl KeysPane {
    /// Creates the pane. `used` is the key to use, if it is not the default key.
    pub(crate) fn new(used: Option<KeyName>) -> Self {
        Self { is_named: used.is_some(), current: used, ..Self::default() }
    }

    pub(crate) fn set(&mut self, listing: KeyListing) {
        self.entries = listing.entries;
        self.selected = self.selected.min(self.entries.len().saturating_sub(1));
        self.is_loaded = true;
        self.publish_choice();
    }

    /// Returns the key that sessions use also on open circles.
    pub(crate) fn named(&self) -> Option<KeyName> {
        self.current.clone().filter(|_| self.is_named)
    }

    /// Returns whether the keystore has been read.
    pub(crate) fn is_loaded(&self) -> bool {
        self.is_loaded
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &KeyEntry> {
        self.entries.iter()
    }

    pub(crate) fn get(&self, name: &KeyName) -> Option<&KeyEntry> {
        self.entries.iter().find(|entry| entry.name == *name)
    }

    /// Returns whether the keystore does not have this key, as far as is known.
    pub(crate) fn is_missing(&self, name: &KeyName) -> bool {
        self.is_loaded && self.get(name).is_none()
    }

    /// Records that a circle's session waits for a key. Returns whether it is the first one.
    pub(crate) fn add_waiter(&mut self, name: KeyName, id: CircleId) -> bool {
        let waiting = self.waiting.entry(name).or_default();
        let is_first = waiting.is_empty();
        waiting.insert(id);
        is_first
    }

    pub(crate) fn has_waiters(&self, name: &KeyName) -> bool {
        self.waiting.contains_key(name)
    }

    /// Removes and returns the circles whose sessions wait for a key.
    pub(crate) fn take_waiters(&mut self, name: &KeyName) -> BTreeSet<CircleId> {
        self.waiting.remove(name).unwrap_or_default()
    }

    pub(crate) fn use_key(&mut self, name: KeyName) {
        self.current = Some(name);
        self.publish_choice();
    }

    /// Returns the key to use: the selected one, or the default key.
    pub(crate) fn used(&self) -> Option<&KeyEntry> {
        let default = || self.entries.iter().find(|entry| entry.default);
        self.current.as_ref().and_then(|name| self.get(name)).or_else(default).or_else(|| self.entries.first())
    }

    /// Returns the key source of the sessions.
    pub(crate) fn source(&self) -> Arc<AppKeySource> {
        self.source.clone()
    }

    pub(crate) fn unlock(&self, name: KeyName, keypair: Arc<KeyPair>) {
        self.source.unlock(name, keypair);
    }

    /// Locks a key. Returns whether it was unlocked.
    pub(crate) fn lock(&self, name: &KeyName) -> bool {
        self.source.lock(name).is_some()
    }

    /// Returns the selected key.
    pub(crate) fn selected(&self) -> Option<&KeyName> {
        self.entries.get(self.selected).map(|entry| &entry.name)
    }

    /// Selects a key in the list.
    pub(crate) fn select(&mut self, name: &KeyName) {
        if let Some(at) = self.entries.iter().position(|entry| entry.name == *name) {
            self.selected = at;
        }
    }

    /// Records that a key has another name. It stays unlocked, and the key to use.
    pub(crate) fn renamed(&mut self, old: &KeyName, new: &KeyName) {
        if let Some(keypair) = self.source.lock(old) {
            self.source.unlock(new.clone(), keypair);
        }
        if self.current.as_ref() == Some(old) {
            self.current = Some(new.clone());
        }
        self.select(new);
        self.publish_choice();
    }

    /// Records that a key is gone. Returns whether there are other keys, but no default key.
    pub(crate) fn removed(&mut self, name: &KeyName) -> bool {
        self.source.lock(name);
        self.current.take_if(|current| current == name);
        self.publish_choice();
        !self.entries.is_empty() && !self.entries.iter().any(|entry| entry.default)
    }

    /// Adds a new key, selects it and uses it.
    pub(crate) fn add(&mut self, entry: KeyEntry) {
        self.current = Some(entry.name.clone());
        self.is_loaded = true;
        let at = self.entries.partition_point(|other| other.name < entry.name);
        self.entries.insert(at, entry);
        self.selected = at;
        self.publish_choice();
    }

    fn publish_choice(&self) {
        self.source.prefer(self.used().map(|entry| entry.name.clone()));
    }

    pub(crate) fn key(&mut self, key: KeyEvent) -> Option<Action> {
        if let Some(selected) = list::move_selection(key.code, self.selected, self.entries.len()) {
            self.selected = selected;
            return None;
        }
        let entry = self.entries.get(self.selected)?;
        (key.code == KeyCode::Enter).then(|| Action::UseKey(entry.name.clone()))
    }

    /// Returns what an action of the user means for the selected key.
    pub(crate) fn action(&self, action: UserAction) -> Option<Action> {
        let selected = self.entries.get(self.selected);
        let name = || selected.map(|entry| entry.name.clone());
        let job = match action {
            UserAction::ReadKeys => return Some(Action::ReadKeys),
            UserAction::Unlock => return Some(Action::ToggleLock(name()?)),
            UserAction::ExportSecret => return Some(Action::AskExportSecret(name()?)),
            UserAction::Default => return Some(Action::DefaultKey(name()?)),
            UserAction::CopyPublicKey => return Some(Action::Copy(selected?.public_key.to_hex(), "the public key")),
            UserAction::Import => KeyJob::Import,
            UserAction::Rename => KeyJob::Rename(name()?),
            UserAction::Passphrase => KeyJob::ChangePassphrase(name()?),
            UserAction::Export => KeyJob::Export(name()?),
            UserAction::Delete => KeyJob::Remove(selected?.clone()),
            _ => return None,
        };
        Some(Action::AskKeyChange(job))
    }

    /// Selects the key at a place on the screen.
    pub(crate) fn click(&mut self, at: Position) {
        let area = self.drawn.get();
        if area.contains(at) {
            let row = self.first_row(area.height) + usize::from(at.y - area.y);
            self.selected = if row < self.entries.len() { row } else { self.selected };
        }
    }

    /// Returns the first row that is visible.
    fn first_row(&self, height: u16) -> usize {
        self.selected.saturating_sub(usize::from(height).saturating_sub(1))
    }

    /// Draws the pane. `new_key` is what makes a key.
    pub(crate) fn draw(&self, frame: &mut Frame<'_>, area: Rect, theme: Theme, has_focus: bool, new_key: &str) {
        if self.entries.is_empty() && self.is_loaded {
            let mut lines = vec![Line::from("no key yet").dim()];
            if !new_key.is_empty() {
                let key = Span::styled(new_key.to_owned(), theme.key());
                lines.push(Line::from(vec![key, Span::raw(" makes one")]));
            }
            return frame.render_widget(Paragraph::new(lines), area);
        }
        let width = usize::from(area.width);
        self.drawn.set(area);
        let first = self.first_row(area.height);
        let used = self.used().map(|entry| &entry.name);
        let rows: Vec<Line<'_>> = self
            .entries
            .iter()
            .enumerate()
            .skip(first)
            .take(usize::from(area.height))
            .map(|(index, entry)| {
                let is_unlocked = self.source.unlocked(&entry.name).is_some();
                let marks = format!(
                    "{}{}",
                    if used == Some(&entry.name) { "✓" } else { " " },
                    if is_unlocked { "⚿" } else { " " }
                );
                let room = width.saturating_sub(5);
                let mut text = format!("{} {}", entry.name, short(&entry.public_key.to_hex()));
                if text.chars().count() > room {
                    text = text.chars().take(room).collect();
                }
                let padding = " ".repeat(room.saturating_sub(text.chars().count()));
                let is_selected = index == self.selected;
                let line = Line::from(vec![theme.bar(is_selected), Span::raw(format!("{text}{padding} {marks} "))]);
                if is_selected { line.style(theme.selected(has_focus)) } else { line }
            })
            .collect();
        frame.render_widget(Paragraph::new(rows), area);
    }
}

/// Shortens a public key: 02ab…9f.
pub(crate) fn short(hex: &str) -> String {
    match (hex.get(..4), hex.get(hex.len().saturating_sub(2)..)) {
        (Some(begin), Some(end)) => format!("{begin}…{end}"),
        _ => hex.to_owned(),
    }
}
