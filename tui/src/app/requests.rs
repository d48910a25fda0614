//! What sessions leave to the screen: help, other circles, keys to unlock, an editor.

use console::{
    history,
    session::{FanOutTarget, SessionRequest},
};
use frontend::{suggest, visible::visible};
use keys::keystore::KeyName;
use protocol::methods::Access;

use super::App;
use crate::{
    action::Action,
    circles::Source,
    help,
    id::CircleId,
    popup::{Passphrase, Popup},
    repl::{TYPING_HINTS, whom},
    window::Effect,
};

impl App {
    pub(super) fn requested(&mut self, id: CircleId, request: SessionRequest) {
        let Some(session) = self.repl.get_mut(id) else { return };
        match request {
            SessionRequest::Help(topic) => session.transcript.extend(help::of(&topic, TYPING_HINTS)),
            SessionRequest::Quit => self.act(Action::Quit),
            SessionRequest::Use(place) => self.open(&place, Some(id)),
            SessionRequest::Edit(text) => self.window.push_effect(Effect::Edit(id, text)),
            SessionRequest::History(part) => {
                let inputs: Vec<&str> = session.editor.past_inputs().collect();
                let numbered = (1..=inputs.len()).rev().zip(inputs);
                let lines = history::lines(numbered, &part);
                session.transcript.extend(lines);
            }
            SessionRequest::Unlock(name) => self.unlock_requested(id, name),
            SessionRequest::UseKey(name) => self.use_another_key(id, name),
            SessionRequest::NoKey(access) => self.key_needed(id, access),
            SessionRequest::FanOut(places) => self.fan_out(id, places),
        }
    }

    /// Unlocks a key for a session: with the passphrase that was given, or with one that its user is asked for. A
    /// question comes only to someone who waits for it.
    fn unlock_requested(&mut self, id: CircleId, name: KeyName) {
        let is_selected = self.circles.selected() == Some(id);
        let Some(session) = self.repl.get_mut(id) else { return };
        let is_awaited = std::mem::take(&mut session.is_awaited);
        // It may be requested again, for another connection.
        if matches!(&self.window.popup, Some(Popup::Passphrase(form)) if form.key == name) {
            self.keys.wait_for(name, id);
            return;
        }
        if self.keys.lacks(&name) {
            self.no_such_key(id, &name);
            return self.hand(id, |session| session.keep_locked(name));
        }
        match (self.setup.passphrase.clone(), self.setup.keystore.clone()) {
            (Some(passphrase), Some(store)) => {
                if self.keys.wait_for(name.clone(), id) {
                    self.tasks.unlock(store, name, passphrase);
                }
            }
            _ if is_awaited && is_selected && self.has_room_for_question() => {
                self.keys.wait_for(name.clone(), id);
                self.window.popup = Some(Popup::Passphrase(Passphrase::new(name, None)));
            }
            _ => {
                if let Some(session) = self.repl.get_mut(id).filter(|_| is_awaited) {
                    let again = match session.state.authenticated() {
                        Some(_) => format!(":key {name}"),
                        None => "a".to_owned(),
                    };
                    let text = format!("{name} stays locked: {again} asks again");
                    session.note(&text);
                    self.say(text);
                }
                self.hand(id, |session| session.keep_locked(name));
            }
        }
    }

    /// Whether nothing is open that its user answers or types into.
    fn has_room_for_question(&self) -> bool {
        matches!(self.window.popup, None | Some(Popup::Help { .. } | Popup::Palette(_)))
    }

    /// Authenticates with another key than the one that a session is authenticated with.
    fn use_another_key(&mut self, id: CircleId, name: KeyName) {
        if self.keys.lacks(&name) {
            return self.no_such_key(id, &name);
        }
        if let Some(session) = self.repl.get_mut(id) {
            session.is_awaited = true;
        }
        self.hold.asked_for_key(id, self.window.now());
        self.hand(id, |session| session.use_key(name));
    }

    fn no_such_key(&mut self, id: CircleId, name: &KeyName) {
        let near = suggest::did_you_mean(name.as_str(), self.keys.iter().map(|entry| entry.name.as_str()));
        if let Some(session) = self.repl.get_mut(id) {
            session.show_error_text(&format!("there is no key `{name}`{near}"));
            session.note("  make one: 2, then n");
        }
    }

    /// A circle admits only keys, and there is none.
    fn key_needed(&mut self, id: CircleId, access: Access) {
        let is_shown = self.circles.selected() == Some(id) && self.window.popup.is_none();
        let Some(session) = self.repl.get_mut(id) else { return };
        if std::mem::take(&mut session.is_awaited) && is_shown {
            let why = format!("{} is for {}, and there is no key yet.", session.name, whom(access));
            self.ask_new_key(Some(id), Some(why));
        }
    }

    /// Finds circles that a script is to be played on, and connects to those that are up.
    fn fan_out(&mut self, id: CircleId, places: Vec<String>) {
        let (mut ids, mut targets) = (Vec::new(), Vec::new());
        for place in places {
            match self.circle_at(&place) {
                Ok(found) if ids.contains(&found) => {}
                Ok(found) => {
                    ids.push(found);
                    targets.extend(self.target(found, place));
                }
                // It keeps none of the others from it.
                Err(why) => {
                    if let Some(session) = self.repl.get_mut(id) {
                        session.show_error_text(&format!("{}: {why}", visible(&place)));
                    }
                }
            }
        }
        self.hand(id, |session| session.fan_out(targets));
    }

    /// A circle to play on. It is connected to if it is up as far as is known.
    fn target(&mut self, id: CircleId, label: String) -> Option<FanOutTarget> {
        let entry = self.circles.get(id)?;
        let is_up = entry.is_up() || entry.source == Source::Address;
        let session = self.session(id)?.session.clone();
        if is_up {
            self.hand(id, |session| session.connect(false));
        }
        Some(FanOutTarget { label, session })
    }
}
