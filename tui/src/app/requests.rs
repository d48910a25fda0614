//! Requests that sessions pass on to the screen: help, other circles, keys to unlock, an editor.

use console::{
    history,
    session::{FanOutTarget, SessionRequest},
};
use frontend::{
    key_bindings::{KeyPane, UserAction},
    suggest,
    visible::visible,
};
use keys::keystore::KeyName;
use protocol::methods::Access;

use super::App;
use crate::{
    action::Action,
    circle_id::CircleId,
    circles::CircleSource,
    help,
    popup::{PassphraseForm, Popup},
    repl::{self, access_text},
    window::Effect,
};

impl App {
    pub(super) fn on_request(&mut self, id: CircleId, request: SessionRequest) {
        let Some(session) = self.repl.get_mut(id) else { return };
        match request {
            SessionRequest::Help(topic) => {
                let lines = help::topic_lines(&topic, repl::HINTS, &self.setup.settings.keys);
                // All of it is longer than most screens.
                if topic.is_empty() && self.circles.selected() == Some(id) && self.window.popup.is_none() {
                    return self.open_pager("Help", &lines);
                }
                session.transcript.extend(lines);
            }
            SessionRequest::Quit => self.run_action(Action::Quit),
            SessionRequest::Use(circle) => self.open(&circle, Some(id)),
            SessionRequest::Edit(text) => self.window.push_effect(Effect::Edit(id, text)),
            SessionRequest::Copy { text, message } => {
                self.show_done(message);
                self.window.push_effect(Effect::Copy(text));
            }
            SessionRequest::Shell(command) => self.window.push_effect(Effect::Shell(id, command)),
            SessionRequest::History(part) => {
                session.transcript.extend(history::lines(&session.editor.past_inputs(), &part));
            }
            SessionRequest::Unlock(name) => self.on_unlock_request(id, name),
            SessionRequest::UseKey(name) => self.use_another_key(id, name),
            SessionRequest::NoKey(access) => self.on_key_needed(id, access),
            SessionRequest::FanOut(circles) => self.fan_out(id, circles),
        }
    }

    /// Unlocks a key for a session, with the given passphrase or with one from the user. Only a user who waits for the
    /// session is asked.
    fn on_unlock_request(&mut self, id: CircleId, name: KeyName) {
        let is_selected = self.circles.selected() == Some(id);
        let Some(session) = self.repl.get_mut(id) else { return };
        let is_awaited = std::mem::take(&mut session.is_awaited);
        // The session may request it again for another connection.
        if matches!(&self.window.popup, Some(Popup::Passphrase(form)) if form.key == name) {
            self.keys.add_waiter(name, id);
            return;
        }
        if self.keys.is_missing(&name) {
            self.no_such_key(id, &name);
            return self.send_to_session(id, |session| session.keep_locked(name));
        }
        match (self.setup.passphrase.clone(), self.setup.keystore.clone()) {
            (Some(passphrase), Some(store)) => {
                if self.keys.add_waiter(name.clone(), id) {
                    self.tasks.unlock(store, name, passphrase);
                }
            }
            _ if is_awaited && is_selected && self.has_room_for_question() => {
                self.keys.add_waiter(name.clone(), id);
                self.window.popup = Some(Popup::Passphrase(PassphraseForm::new(name, None)));
            }
            _ => {
                if let Some(session) = self.repl.get_mut(id).filter(|_| is_awaited) {
                    let again = match session.state.authenticated() {
                        Some(_) => format!(":key {name}"),
                        None => "Enter".to_owned(),
                    };
                    let text = format!("{name} stays locked: {again} asks for the passphrase again");
                    session.note(&text);
                    self.show_hint(text);
                }
                self.send_to_session(id, |session| session.keep_locked(name));
            }
        }
    }

    /// Returns whether no form or question is open.
    fn has_room_for_question(&self) -> bool {
        matches!(self.window.popup, None | Some(Popup::Text(_) | Popup::Palette(_)))
    }

    /// Authenticates a session with another key.
    fn use_another_key(&mut self, id: CircleId, name: KeyName) {
        if self.keys.is_missing(&name) {
            return self.no_such_key(id, &name);
        }
        if let Some(session) = self.repl.get_mut(id) {
            session.is_awaited = true;
        }
        self.hold.hold_for_key(id, self.window.now());
        self.send_to_session(id, |session| session.use_key(name));
    }

    fn no_such_key(&mut self, id: CircleId, name: &KeyName) {
        let near = suggest::did_you_mean(name.as_str(), self.keys.iter().map(|entry| entry.name.as_str()));
        let new_key = self.key_of(KeyPane::Circles, UserAction::NewKey);
        if let Some(session) = self.repl.get_mut(id) {
            session.show_error_text(&format!("there is no key `{name}`{near}"));
            session.note(&format!("  make one: Esc, then {new_key}"));
        }
    }

    /// Offers to create a key, because the circle requires one and the user has none.
    fn on_key_needed(&mut self, id: CircleId, access: Access) {
        let is_shown = self.circles.selected() == Some(id) && self.window.popup.is_none();
        let Some(session) = self.repl.get_mut(id) else { return };
        if std::mem::take(&mut session.is_awaited) && is_shown {
            let why = format!("{} is {}, and you have no key yet.", session.name, access_text(access));
            self.ask_new_key(Some(Action::Authenticate(id)), Some(why));
        }
    }

    /// Finds the circles of a fan-out, and connects to those that are up.
    fn fan_out(&mut self, id: CircleId, circles: Vec<String>) {
        let (mut ids, mut targets) = (Vec::new(), Vec::new());
        for circle in circles {
            match self.find_or_add_circle(&circle) {
                Ok(found) if ids.contains(&found) => {}
                Ok(found) => {
                    ids.push(found);
                    targets.extend(self.target(found, circle));
                }
                // The other circles still play.
                Err(why) => {
                    if let Some(session) = self.repl.get_mut(id) {
                        session.show_error_text(&format!("{}: {why}", visible(&circle)));
                    }
                }
            }
        }
        self.send_to_session(id, |session| session.fan_out(targets));
    }

    /// Returns the target of a fan-out, and connects to its circle if that is up as far as is known.
    fn target(&mut self, id: CircleId, label: String) -> Option<FanOutTarget> {
        let entry = self.circles.get(id)?;
        let is_up = entry.is_up() || entry.source == CircleSource::Address;
        let session = self.session(id)?.session.clone();
        if is_up {
            self.send_to_session(id, |session| session.connect(false));
        }
        Some(FanOutTarget { label, session })
    }
}
