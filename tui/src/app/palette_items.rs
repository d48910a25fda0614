//! Items of the palette: every action, circle, key and past input. What fits the pane with the focus comes first.

use frontend::key_bindings::UserAction;
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

/// Creates an item without a key.
fn item(text: String, action: Action) -> PaletteItem {
    PaletteItem { text, key: String::new(), action }
}

/// Returns an item for each function of a circle that the session may call.
fn call_items(id: CircleId, session: &SessionView) -> impl Iterator<Item = PaletteItem> {
    let functions =
        session.state.circle_functions.iter().filter(move |_| session.is_open()).flat_map(|list| list.iter());
    functions.map(move |function| item(format!("call {}", function.name), Action::AskCall(id, function.name.clone())))
}

impl App {
    /// Creates an item with the keys of an action.
    fn bound_item(&self, text: &str, bound: UserAction, action: Action) -> PaletteItem {
        PaletteItem { text: text.to_owned(), key: self.bindings().shown(bound), action }
    }

    pub(super) fn palette_items(&self) -> Vec<PaletteItem> {
        let selected = self.circles.selected();
        let (here, elsewhere): (Vec<_>, Vec<_>) = self.circles.iter().partition(|(id, _)| Some(*id) == selected);
        let circles = |circles: Vec<(CircleId, &CircleItem)>| -> Vec<PaletteItem> {
            circles.into_iter().flat_map(|(id, entry)| self.circle_items(id, entry)).collect()
        };
        let keys = self.keys.iter().flat_map(|entry| self.key_items(entry));
        let mut items: Vec<PaletteItem> = Vec::new();
        match self.window.focus {
            Pane::Keys => items.extend(keys.chain(circles(here))),
            Pane::Circles => items.extend(circles(here).into_iter().chain(circles(elsewhere.clone())).chain(keys)),
            Pane::Repl | Pane::Logs | Pane::Data => {
                items.extend(self.screen_items().into_iter().chain(circles(here)).chain(keys));
            }
        }
        if self.window.focus != Pane::Circles {
            items.extend(circles(elsewhere));
        }
        items.extend([
            self.bound_item("start all circles in circles.json", UserAction::StartAll, Action::StartAll),
            self.bound_item("open circles.json in the editor", UserAction::EditConfig, Action::OpenConfig),
            self.bound_item("connect to a circle by its address", UserAction::ConnectTo, Action::AskAddress),
            self.bound_item("make a key", UserAction::NewKey, Action::AskNewKey),
            self.bound_item("import a key", UserAction::Import, Action::AskKeyChange(KeyJob::Import)),
        ]);
        if matches!(self.window.focus, Pane::Circles | Pane::Keys) {
            items.extend(self.screen_items());
        }
        let session = selected.and_then(|id| Some((id, self.repl.get(id)?)));
        if let Some((_, session)) = session.filter(|(_, session)| session.is_open()) {
            let text = format!("functions of {}", session.name);
            items.push(self.bound_item(&text, UserAction::Functions, Action::Functions));
            let text = format!("store of {}", session.name);
            items.push(self.bound_item(&text, UserAction::Data, Action::Focus(Pane::Data)));
        }
        items.push(self.bound_item("help", UserAction::Help, Action::Help));
        items.push(self.bound_item("quit", UserAction::Quit, Action::Quit));
        for input in
            session.into_iter().flat_map(|(_, session)| session.editor.past_inputs()).rev().take(MAX_PAST_INPUTS)
        {
            let text = format!("past input: {}", input.replace('\n', " ⏎ "));
            items.push(item(text, Action::Insert(input.to_string())));
        }
        // There may be thousands, so they come last until letters are typed.
        items.extend(session.into_iter().flat_map(|(id, session)| call_items(id, session)));
        items
    }

    /// Returns the items of a circle; with keys for the selected one.
    fn circle_items(&self, id: CircleId, entry: &CircleItem) -> Vec<PaletteItem> {
        let (name, is_selected) = (&entry.name, self.circles.selected() == Some(id));
        let bound = |text: String, bound, action| {
            let key = if is_selected { self.bindings().shown(bound) } else { String::new() };
            PaletteItem { text, key, action }
        };
        let key = if is_selected { "Enter" } else { "" }.to_owned();
        let mut items = vec![PaletteItem { text: format!("connect to {name}"), key, action: Action::Connect(id) }];
        if entry.can_be_started() {
            items.push(bound(format!("start {name}"), UserAction::Start, Action::Start(id)));
        }
        if entry.can_be_stopped() {
            items.push(bound(format!("stop {name}"), UserAction::Stop, Action::AskStop(id)));
            items.push(bound(format!("restart {name}"), UserAction::Restart, Action::AskRestart(id)));
        }
        if entry.source == CircleSource::Config {
            items.push(bound(format!("make your key a member of {name}"), UserAction::Admit, Action::Admit(id)));
        }
        if self.repl.get(id).is_some_and(SessionView::is_open) {
            items.push(bound(format!("sign in to {name}"), UserAction::SignIn, Action::Authenticate(id)));
            items.push(bound(format!("disconnect from {name}"), UserAction::Disconnect, Action::AskDisconnect(id)));
        } else if entry.source == CircleSource::Address {
            items.push(bound(
                format!("remove {name} from the list"),
                UserAction::Disconnect,
                Action::AskDisconnect(id),
            ));
        }
        items
    }

    /// Returns the items of a key; with keys for the selected one while its pane has the focus.
    fn key_items(&self, entry: &KeyEntry) -> Vec<PaletteItem> {
        let name = &entry.name;
        let is_selected = self.window.focus == Pane::Keys && self.keys.selected() == Some(name);
        let bound = |text: String, bound, action| {
            let key = if is_selected { self.bindings().shown(bound) } else { String::new() };
            PaletteItem { text, key, action }
        };
        let change = |job: KeyJob| Action::AskKeyChange(job);
        let public_key = Action::Copy(entry.public_key.to_hex(), "the public key");
        let passphrase = change(KeyJob::ChangePassphrase(name.clone()));
        vec![
            item(format!("use key {name}"), Action::UseKey(name.clone())),
            bound(format!("copy the public key of {name}"), UserAction::CopyPublicKey, public_key),
            bound(format!("make {name} the default key"), UserAction::Default, Action::DefaultKey(name.clone())),
            bound(format!("unlock or lock {name}"), UserAction::Unlock, Action::ToggleLock(name.clone())),
            bound(format!("rename {name}"), UserAction::Rename, change(KeyJob::Rename(name.clone()))),
            bound(format!("change the passphrase of {name}"), UserAction::Passphrase, passphrase),
            bound(format!("export {name}"), UserAction::Export, change(KeyJob::Export(name.clone()))),
            bound(format!("delete {name}"), UserAction::Delete, change(KeyJob::Remove(entry.clone()))),
        ]
    }

    /// Returns the items of the screen.
    fn screen_items(&self) -> Vec<PaletteItem> {
        let search = |text, pane| {
            let is_here = (self.window.focus == Pane::Logs) == (pane == Pane::Logs);
            let key = if is_here { self.bindings().shown(UserAction::Search) } else { String::new() };
            PaletteItem { text, key, action: Action::Search(pane) }
        };
        let mut items = vec![
            search("search the transcript".to_owned(), Pane::Repl),
            search("search the log".to_owned(), Pane::Logs),
            self.bound_item("zoom", UserAction::Zoom, Action::Zoom),
        ];
        items.extend(Pane::present(self.window.sizes.is_data_open).iter().map(|pane| PaletteItem {
            text: format!("go to {}", pane.name()),
            key: pane.number().to_string(),
            action: Action::Focus(*pane),
        }));
        items.push(self.bound_item("mouse on or off", UserAction::Mouse, Action::ToggleMouse));
        items
    }
}
