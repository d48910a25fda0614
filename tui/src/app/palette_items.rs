//! Items of the palette: every action, circle, key and past input.

use super::App;
use crate::{
    action::Action,
    circles::CircleSource,
    layout::Pane,
    popup::{KeyJob, PaletteItem},
    repl::SessionView,
};

/// Largest number of past inputs.
const MAX_PAST_INPUTS: usize = 200;

impl App {
    pub(super) fn palette_items(&self) -> Vec<PaletteItem> {
        let choice = |text: String, action: Action| PaletteItem { text, action };
        let mut choices = Vec::new();
        for (id, entry) in self.circles.iter() {
            let name = &entry.name;
            choices.push(choice(format!("connect to {name}"), Action::Connect(id)));
            if entry.can_be_started() {
                choices.push(choice(format!("start {name}"), Action::Start(id)));
            }
            if entry.can_be_stopped() {
                choices.push(choice(format!("stop {name}"), Action::AskStop(id)));
                choices.push(choice(format!("restart {name}"), Action::AskRestart(id)));
            }
            if entry.source == CircleSource::Config {
                choices.push(choice(format!("make your key a member of {name}"), Action::Admit(id)));
            }
            if self.repl.get(id).is_some_and(SessionView::is_open) {
                choices.push(choice(format!("sign in to {name}"), Action::Authenticate(id)));
                choices.push(choice(format!("disconnect from {name}"), Action::AskDisconnect(id)));
            } else if entry.source == CircleSource::Address {
                choices.push(choice(format!("remove {name} from the list"), Action::AskDisconnect(id)));
            }
        }
        choices.push(choice("start all circles in circles.json".into(), Action::StartAll));
        choices.push(choice("open circles.json in the editor".into(), Action::OpenConfig));
        choices.push(choice("connect to a circle by its address".into(), Action::AskAddress));
        choices.push(choice("make a key".into(), Action::AskNewKey));
        choices.push(choice("import a key".into(), Action::AskKeyChange(KeyJob::Import)));
        for entry in self.keys.iter() {
            let name = &entry.name;
            choices.push(choice(format!("use key {name}"), Action::UseKey(name.clone())));
            let copy = Action::Copy(entry.public_key.to_hex(), "the public key");
            choices.push(choice(format!("copy the public key of {name}"), copy));
            choices.push(choice(format!("make {name} the default key"), Action::DefaultKey(name.clone())));
            choices.push(choice(format!("unlock or lock {name}"), Action::ToggleLock(name.clone())));
            choices.push(choice(format!("rename {name}"), Action::AskKeyChange(KeyJob::Rename(name.clone()))));
            let passphrase = Action::AskKeyChange(KeyJob::ChangePassphrase(name.clone()));
            choices.push(choice(format!("change the passphrase of {name}"), passphrase));
            choices.push(choice(format!("export {name}"), Action::AskKeyChange(KeyJob::Export(name.clone()))));
            choices.push(choice(format!("delete {name}"), Action::AskKeyChange(KeyJob::Remove(entry.clone()))));
        }
        for pane in Pane::ALL {
            choices.push(choice(format!("go to {}", pane.name()), Action::Focus(pane)));
        }
        choices.push(choice("search the transcript".into(), Action::Search(Pane::Repl)));
        choices.push(choice("search the log".into(), Action::Search(Pane::Logs)));
        choices.push(choice("zoom".into(), Action::Zoom));
        choices.push(choice("help".into(), Action::Help));
        choices.push(choice("quit".into(), Action::Quit));
        let session = self.circles.selected().and_then(|shown| self.repl.get(shown));
        for input in session.into_iter().flat_map(|session| session.editor.past_inputs()).take(MAX_PAST_INPUTS) {
            let text = format!("past input: {}", input.replace('\n', " ⏎ "));
            choices.push(choice(text, Action::Insert(input.to_string())));
        }
        choices
    }
}
