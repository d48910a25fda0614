//! Items of the palette: every action, circle, key and past input. What fits the pane with the focus comes first.

use keys::keystore::KeyEntry;

use super::App;
use crate::{
    action::Action,
    circle_id::CircleId,
    circles::{CircleItem, CircleSource},
    layout::Pane,
    popup::{KeyJob, PaletteItem},
    repl::SessionView,
};

/// Largest number of past inputs.
const MAX_PAST_INPUTS: usize = 200;

/// Creates an item with the key that does the same.
fn item(text: String, key: &'static str, action: Action) -> PaletteItem {
    PaletteItem { text, key, action }
}

impl App {
    pub(super) fn palette_items(&self) -> Vec<PaletteItem> {
        let selected = self.circles.selected();
        let (here, elsewhere): (Vec<_>, Vec<_>) = self.circles.iter().partition(|(id, _)| Some(*id) == selected);
        let circles = |circles: Vec<(CircleId, &CircleItem)>| -> Vec<PaletteItem> {
            circles.into_iter().flat_map(|(id, entry)| self.circle_items(id, entry)).collect()
        };
        let keys = self.keys.iter().flat_map(key_items);
        let mut items: Vec<PaletteItem> = Vec::new();
        match self.window.focus {
            Pane::Keys => items.extend(keys.chain(circles(here))),
            Pane::Circles => items.extend(circles(here).into_iter().chain(circles(elsewhere.clone())).chain(keys)),
            Pane::Repl | Pane::Logs => items.extend(screen_items().into_iter().chain(circles(here)).chain(keys)),
        }
        if self.window.focus != Pane::Circles {
            items.extend(circles(elsewhere));
        }
        items.extend([
            item("start all circles in circles.json".into(), "S", Action::StartAll),
            item("open circles.json in the editor".into(), "e", Action::OpenConfig),
            item("connect to a circle by its address".into(), "o", Action::AskAddress),
            item("make a key".into(), "n", Action::AskNewKey),
            item("import a key".into(), "", Action::AskKeyChange(KeyJob::Import)),
        ]);
        if matches!(self.window.focus, Pane::Circles | Pane::Keys) {
            items.extend(screen_items());
        }
        items.push(item("help".into(), "F1", Action::Help));
        items.push(item("quit".into(), "q", Action::Quit));
        let session = self.circles.selected().and_then(|shown| self.repl.get(shown));
        for input in session.into_iter().flat_map(|session| session.editor.past_inputs()).rev().take(MAX_PAST_INPUTS) {
            let text = format!("past input: {}", input.replace('\n', " ⏎ "));
            items.push(item(text, "", Action::Insert(input.to_string())));
        }
        items
    }

    /// Returns the items of a circle; with keys for the selected one.
    fn circle_items(&self, id: CircleId, entry: &CircleItem) -> Vec<PaletteItem> {
        let (name, is_selected) = (&entry.name, self.circles.selected() == Some(id));
        let item = |text: String, key: &'static str, action| item(text, if is_selected { key } else { "" }, action);
        let mut items = vec![item(format!("connect to {name}"), "Enter", Action::Connect(id))];
        if entry.can_be_started() {
            items.push(item(format!("start {name}"), "s", Action::Start(id)));
        }
        if entry.can_be_stopped() {
            items.push(item(format!("stop {name}"), "x", Action::AskStop(id)));
            items.push(item(format!("restart {name}"), "r", Action::AskRestart(id)));
        }
        if entry.source == CircleSource::Config {
            items.push(item(format!("make your key a member of {name}"), "m", Action::Admit(id)));
        }
        if self.repl.get(id).is_some_and(SessionView::is_open) {
            items.push(item(format!("sign in to {name}"), "a", Action::Authenticate(id)));
            items.push(item(format!("disconnect from {name}"), "d", Action::AskDisconnect(id)));
        } else if entry.source == CircleSource::Address {
            items.push(item(format!("remove {name} from the list"), "d", Action::AskDisconnect(id)));
        }
        items
    }
}

/// Returns the items of a key.
fn key_items(entry: &KeyEntry) -> Vec<PaletteItem> {
    let name = &entry.name;
    let change = |job: KeyJob| Action::AskKeyChange(job);
    vec![
        item(format!("use key {name}"), "", Action::UseKey(name.clone())),
        item(format!("copy the public key of {name}"), "", Action::Copy(entry.public_key.to_hex(), "the public key")),
        item(format!("make {name} the default key"), "", Action::DefaultKey(name.clone())),
        item(format!("unlock or lock {name}"), "", Action::ToggleLock(name.clone())),
        item(format!("rename {name}"), "", change(KeyJob::Rename(name.clone()))),
        item(format!("change the passphrase of {name}"), "", change(KeyJob::ChangePassphrase(name.clone()))),
        item(format!("export {name}"), "", change(KeyJob::Export(name.clone()))),
        item(format!("delete {name}"), "", change(KeyJob::Remove(entry.clone()))),
    ]
}

/// Returns the items of the screen.
fn screen_items() -> Vec<PaletteItem> {
    let mut items = vec![
        item("search the transcript".into(), "F3", Action::Search(Pane::Repl)),
        item("search the log".into(), "", Action::Search(Pane::Logs)),
        item("zoom".into(), "F2", Action::Zoom),
    ];
    let digits = ["1", "2", "3", "4"];
    items.extend(
        Pane::ALL
            .into_iter()
            .zip(digits)
            .map(|(pane, key)| item(format!("go to {}", pane.name()), key, Action::Focus(pane))),
    );
    items.push(item("mouse on or off".into(), "%", Action::ToggleMouse));
    items
}
