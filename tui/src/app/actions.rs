//! Execution of actions.

use console::MAX_COPY_BYTES;

use super::{App, QuitState};
use crate::circle_id::CircleId;
use crate::{
    action::Action,
    layout::{self, Pane},
    popup::{NewKeyForm, Palette, Popup},
    tasks::SupervisorRef,
    window::Effect,
};

/// Suggested name of the first key.
const FIRST_KEY: &str = "default";

impl App {
    pub(super) fn run_action(&mut self, action: Action) {
        match action {
            Action::Focus(pane) => self.focus(pane),
            Action::Show(id) => self.show(id),
            Action::Quit => self.quit(),
            Action::QuitAndKeep => self.quit_and_keep(),
            Action::QuitAndStop => self.quit_and_stop(),
            Action::QuitNow => self.quit_now(),
            Action::ToggleData => self.toggle_data(),
            Action::ShowValue(key) => self.show_value(&key),
            Action::Help => {
                self.window.popup = Some(Popup::Text(self.help()));
            }
            Action::Palette => self.window.popup = Some(Popup::Palette(Palette::new(self.palette_items()))),
            Action::Zoom => self.window.is_zoomed = !self.window.is_zoomed,
            Action::ToggleMouse => self.toggle_mouse(),
            Action::Resize(by) => self.resize(by),
            Action::Search(pane) => self.start_search(pane),
            Action::Copy(text, what) => self.copy(&text, what),
            Action::AskAddress => self.window.popup = Some(Popup::address()),
            Action::ConnectTo(text) => self.open(&text, None),
            Action::Connect(id) => self.connect(id),
            Action::ConnectToEphemeral(id) => self.connect_to_ephemeral(id),
            Action::AskDisconnect(id) => self.ask_disconnect(id),
            Action::Disconnect(id) => self.disconnect(id),
            Action::Remove(id) => self.remove(id),
            Action::Authenticate(id) => self.authenticate(id),
            Action::Start(id) => self.start(id),
            Action::StartAll => self.start_all(),
            Action::OpenConfig => self.open_config(),
            Action::MakeConfig => self.make_config(),
            Action::Admit(id) => self.admit(id),
            Action::AskStop(id) => self.confirm_end(id, "Stop", Action::Stop(id)),
            Action::Stop(id) => self.stop(id),
            Action::AskRestart(id) => self.confirm_end(id, "Restart", Action::Restart(id)),
            Action::Restart(id) => self.restart(id),
            Action::AskNewKey => self.ask_new_key(None, None),
            Action::MakeKey(name, passphrase) => {
                if let Some(store) = &self.setup.keystore {
                    self.tasks.make_key(store.clone(), name, passphrase.0, self.setup.work_factor);
                }
            }
            Action::Unlock(name, passphrase) => {
                if let Some(store) = &self.setup.keystore {
                    self.tasks.unlock(store.clone(), name, passphrase.0);
                }
            }
            Action::UseKey(name) => {
                self.show_done(format!("now using key {name}"));
                self.keys.use_key(name);
            }
            Action::DefaultKey(name) => {
                if let Some(store) = &self.setup.keystore {
                    self.tasks.set_default_key(store.clone(), name.clone());
                    self.show_done(format!("{name} is now the default key"));
                }
            }
            Action::ReadKeys => {
                if let Some(store) = &self.setup.keystore {
                    self.tasks.list_keys(store.clone());
                }
            }
            Action::AskKeyChange(job) => self.ask_key_change(job),
            Action::AskExportSecret(name) => self.ask_export_secret(name),
            Action::ChangeKey(change) => self.change_key(change),
            Action::ToggleLock(name) => self.toggle_lock(name),
            Action::Submit => self.submit(),
            Action::ReadHistory => self.repl.read_history(),
            Action::Insert(text) => self.insert(&text),
            Action::Complete => self.complete(),
            Action::Document(name) => self.document_shown(name),
            Action::Edit => self.edit(),
            Action::Cancel => self.cancel(),
            Action::Functions => self.show_functions(),
            Action::AskCall(id, name) => self.ask_call(id, &name),
            Action::Call(draft, command) => self.call(draft, command),
            Action::Close => match self.window.popup.take() {
                Some(Popup::Passphrase(form)) => self.keep_locked(&form.key),
                Some(Popup::Quitting(_)) => self.quit_state = QuitState::Running,
                Some(Popup::Call(form)) => self.keep_draft(&form),
                _ => {}
            },
        }
    }

    pub(super) fn focus(&mut self, pane: Pane) {
        self.window.sizes.is_data_open |= pane == Pane::Data;
        self.window.focus = pane;
        // Letters go into its editor from now on.
        if let Some(id) = self.circles.selected().filter(|_| pane == Pane::Repl) {
            self.session(id);
        }
    }

    fn copy(&mut self, text: &str, what: &str) {
        if text.is_empty() {
            return self.show_hint(format!("{what} is empty"));
        }
        let is_cut = text.len() > MAX_COPY_BYTES;
        self.show_done(if is_cut { format!("copied the first 64 KiB of {what}") } else { format!("copied {what}") });
        self.window.push_effect(Effect::Copy(text[..text.floor_char_boundary(MAX_COPY_BYTES)].to_owned()));
    }

    /// Resizes the pane with the focus, unless it has reached a bound.
    fn resize(&mut self, by: i16) {
        let (screen, focus, before) = (self.window.screen, self.window.focus, self.window.sizes);
        let layout = |sizes| layout::screen_layout(screen, focus, false, sizes);
        let mut sizes = before;
        // On a smaller screen than before, several steps may look alike.
        for _ in 0..2 * layout::MAX_STEPS {
            sizes.resize(focus, by);
            if layout(sizes) != layout(before) {
                self.window.sizes = sizes;
                return;
            }
        }
    }

    fn stop(&mut self, id: CircleId) {
        let Some(entry) = self.circles.get(id) else { return };
        let name = entry.name.clone();
        self.control.stopping.insert(id);
        self.show_progress(id, format!("draining {name}…"));
        self.tasks.stop(SupervisorRef::new(&self.setup), vec![name]);
    }

    /// Asks for a new key. `then` is carried out once the key is made.
    pub(super) fn ask_new_key(&mut self, then: Option<Action>, why: Option<String>) {
        if self.setup.keystore.is_none() {
            return self.report_error("no home directory to store a key in: set HOME");
        }
        if self.window.has_form() {
            return self.show_hint("finish or close the open window first (Esc closes it)");
        }
        let suggested = if self.keys.is_empty() { FIRST_KEY } else { "" };
        let taken = self.keys.iter().map(|entry| entry.name.clone()).collect();
        self.window.popup = Some(Popup::NewKey(NewKeyForm::new(suggested, taken, then, why)));
    }
}
