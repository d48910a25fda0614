//! What is done when someone wants it done.

use client_ws::RpcError;
use keys::keystore::KeyName;

use super::{
    App, Effect,
    action::Action,
    circles::{Origin, State},
    help,
    id::CircleId,
    layout::Pane,
    popup::{NewKey, Palette, Passphrase, Popup},
    repl::whom,
    session::{Cancelled, Link, Session, Who},
};
use frontend::{error::CliError, target, text::{Line, Style}};

/// Bytes that are put on the clipboard: terminals drop more.
const MAX_COPY: usize = 64 << 10;

/// The name that is offered for a first key.
const FIRST_KEY: &str = "default";

impl App {
    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Focus(pane) => self.focus(pane),
            Action::StopTyping => self.is_typing = false,
            Action::Quit => self.quit(),
            Action::Keep => self.keep(),
            Action::Release => self.release(),
            Action::QuitNow => self.quit_now(),
            Action::Help => {
                let lines = help::long(self.here());
                self.popup = Some(Popup::Help { title: "Help".into(), lines, scroll: 0 });
            }
            Action::Palette => self.popup = Some(Popup::Palette(Palette::new(self.choices()))),
            Action::Zoom => self.is_zoomed = !self.is_zoomed,
            Action::Copy(text, what) if text.is_empty() => self.say(format!("{what} is empty")),
            Action::Copy(text, what) => {
                let is_cut = text.len() > MAX_COPY;
                self.say(if is_cut { format!("copied the first 64 KiB of {what}") } else { format!("copied {what}") });
                self.effects.push(Effect::Copy(text[..text.floor_char_boundary(MAX_COPY)].to_owned()));
            }
            Action::AskAddress => self.popup = Some(Popup::address()),
            Action::Connect(id) => self.connect(id),
            Action::Disconnect(id) => self.disconnect(id),
            Action::Authenticate(id) => self.authenticate(id),
            Action::Start(id) => self.start(id),
            Action::StartAll => self.start_all(),
            Action::AskStop(id) => self.ask(id, "Stop", Action::Stop(id)),
            Action::Stop(id) => self.stop(id),
            Action::AskRestart(id) => self.ask(id, "Restart", Action::Restart(id)),
            Action::Restart(id) => self.restart(id),
            Action::AskNewKey => self.ask_new_key(None, None),
            Action::UseKey(name) => {
                self.say(format!("{name} is the key to be from now on"));
                self.keys.use_key(name);
            }
            Action::DefaultKey(name) => {
                if let Some(store) = &self.setup.keystore {
                    self.work.set_default_key(store.clone(), name.clone());
                    self.say(format!("{name} is the default key"));
                }
            }
            Action::ReadKeys => {
                if let Some(store) = &self.setup.keystore {
                    self.work.list_keys(store.clone());
                }
            }
            Action::Submit => self.submit(),
            Action::Insert(text) => self.insert(&text),
            Action::Complete => self.complete(),
            Action::Edit => self.edit(),
            Action::Cancel => self.cancel(),
        }
    }

    fn focus(&mut self, pane: Pane) {
        self.focus = pane;
        self.is_typing = pane == Pane::Repl;
    }

    /// Connects to a circle as people name it.
    ///
    /// `from`: the circle that was shown when it was named in a command. What is wrong is said there.
    pub(super) fn open(&mut self, text: &str, from: Option<CircleId>) {
        let text = text.trim();
        if let Some(id) = self.circle_named(text) {
            self.popup.take_if(|popup| matches!(popup, Popup::Address(_)));
            return self.go_to(id, from);
        }
        if target::is_name(text) {
            return self.work.resolve(text.to_owned(), self.setup.config.clone(), from);
        }
        // No file is needed for it, and what is typed next is for that circle.
        self.resolved(from, target::parse(text, None).map(|found| found.url.into()));
    }

    /// Shows a circle, which what is typed next is for, and connects to it.
    ///
    /// `from`: the circle that is shown again if there is no connection.
    pub(super) fn go_to(&mut self, id: CircleId, from: Option<CircleId>) {
        self.circles.select(id);
        self.connect(id);
        if let Some(session) = self.sessions.get_mut(&id) {
            session.came_from = from.filter(|from| *from != id);
        }
    }

    /// Shows the circle again from which one that cannot be reached was asked for, with what was typed since.
    pub(super) fn come_back(&mut self, id: CircleId, error: &CliError) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(from) = session.came_from.take().filter(|_| self.circles.selected() == Some(id)) else { return };
        let typed = session.editor.take_all();
        self.circles.select(from);
        if let Some(session) = self.sessions.get_mut(&from) {
            session.say_error(error);
            session.editor.give_back(typed);
        }
    }

    /// Connects, after starting the circle where it is one that can be.
    pub(super) fn connect(&mut self, id: CircleId) {
        let Some(entry) = self.circles.get(id) else { return };
        let (name, can_be_started) = (entry.name.clone(), entry.can_be_started());
        let is_coming = entry.state() == State::Starting;
        let session = self.sessions.entry(id).or_insert_with(|| Session::new(name.clone()));
        session.is_wanted = true;
        session.is_asked = true;
        session.came_from = None;
        match &session.link {
            Link::On(_) if !session.is_ready() && session.who != Who::Proving => return self.authenticate(id),
            Link::On(_) | Link::Connecting => return self.focus(Pane::Repl),
            Link::Off if can_be_started => session.note(&format!("starting {name}…")),
            Link::Off if is_coming => session.note(&format!("waiting until {name} is ready…")),
            Link::Off => {}
        }
        // What is typed from now on waits for the connection.
        if self.circles.selected() == Some(id) {
            self.focus(Pane::Repl);
        }
        if can_be_started {
            self.start(id);
        } else if !is_coming {
            self.dial(id);
        }
    }

    /// Connects to a circle that is up as far as is known.
    pub(super) fn dial(&mut self, id: CircleId) {
        let (Some(entry), Some(session)) = (self.circles.get(id), self.sessions.get_mut(&id)) else { return };
        let (connection, place) = (session.begin(), entry.destination(self.setup.config.as_deref()));
        let authority = match entry.origin {
            Origin::Address => self.setup.authority.clone(),
            _ => None,
        };
        self.work.connect(id, connection, place, authority);
    }

    fn disconnect(&mut self, id: CircleId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.is_wanted = false;
        session.key = None;
        if matches!(session.link, Link::Off) {
            return;
        }
        session.end();
        session.take_lost();
        session.note("disconnected; variables are gone");
    }

    /// Proves the key to be, once it is unlocked, once there is one.
    pub(super) fn authenticate(&mut self, id: CircleId) {
        let Some(session) = self.sessions.get(&id) else { return self.say("connect first: Enter") };
        let Some(description) = session.description() else { return self.connect(id) };
        let access = description.access;
        match &session.who {
            Who::Nobody => {}
            Who::Proving => return,
            Who::Owner => return self.say("the key that this circle is for is proved"),
            Who::Key(name) => {
                let text = format!("{name} is proved already; :key NAME is another one");
                return self.say(text);
            }
        }
        if let Some((_, keypair)) = self.throwaway.clone().filter(|(throwaway, _)| *throwaway == id) {
            return self.prove(id, None, keypair);
        }
        let Some(name) = self.key_for(id) else {
            let why = format!("{} is for {}, and there is no key yet.", session.name, whom(access));
            return self.ask_new_key(Some(id), Some(why));
        };
        if let Some(keypair) = self.keys.unlocked(&name) {
            return self.prove(id, Some(name), keypair);
        }
        self.unlock_for(id, name);
    }

    /// Has a key unlocked that a circle waits for.
    pub(super) fn unlock_for(&mut self, id: CircleId, name: KeyName) {
        // Asked for once, for all who wait for it.
        let is_first = self.proofs.entry(name.clone()).or_default().insert(id);
        match (self.setup.passphrase.clone(), &self.setup.keystore) {
            (Some(passphrase), Some(store)) if is_first => self.work.unlock(store.clone(), name, passphrase),
            (Some(_), Some(_)) => {}
            _ => self.popup = Some(Popup::Passphrase(Passphrase::new(name, None))),
        }
    }

    /// The key to be on a circle: the one that was proved or named there, or else the one to be everywhere.
    pub(super) fn key_for(&self, id: CircleId) -> Option<KeyName> {
        let named = self.sessions.get(&id).and_then(|session| session.key.clone());
        named.or_else(|| self.keys.used().map(|entry| entry.name.clone()))
    }

    /// Its passphrase is not told.
    pub(super) fn give_up_proof(&mut self, name: &KeyName) {
        for id in self.proofs.remove(name).unwrap_or_default() {
            if let Some(session) = self.sessions.get_mut(&id) {
                session.key = session.proved().cloned();
            }
        }
    }

    pub(super) fn prove(&mut self, id: CircleId, name: Option<KeyName>, keypair: std::sync::Arc<keys::KeyPair>) {
        let (Some(session), Some(entry)) = (self.sessions.get_mut(&id), self.circles.get(id)) else { return };
        let Some(client) = session.client().cloned().filter(|_| session.who == Who::Nobody) else { return };
        session.who = Who::Proving;
        let place = entry.destination(self.setup.config.as_deref());
        self.work.prove((id, session.connection), client, name, keypair, place);
    }

    pub(super) fn ask_new_key(&mut self, circle: Option<CircleId>, why: Option<String>) {
        if self.setup.keystore.is_none() {
            return self.complain("there is no home directory to keep a key in: set HOME");
        }
        if self.popup.as_ref().is_some_and(Popup::is_form) {
            return self.say("first finish what is open (Esc closes it)");
        }
        let suggested = if self.keys.is_empty() { FIRST_KEY } else { "" };
        self.popup = Some(Popup::NewKey(NewKey::new(suggested, circle, why)));
    }

    /// Goes on with what is typed in the user's own editor.
    fn edit(&mut self) {
        if let Some(id) = self.circles.selected()
            && let Some(session) = self.sessions.get(&id)
        {
            self.effects.push(Effect::Edit(id, session.editor.text()));
        }
    }

    fn insert(&mut self, text: &str) {
        if let Some(session) = self.shown_session() {
            session.editor.recall(text);
            self.focus(Pane::Repl);
        }
    }

    /// Ctrl-C: the running play of the circle that is shown, or else what is typed.
    fn cancel(&mut self) {
        let (now, is_typing) = (self.now, self.is_typing());
        let Some(session) = self.shown_session() else { return self.say("q quits") };
        match session.cancel(now) {
            Some(Cancelled::Asked) => {}
            Some(Cancelled::NotBegun) => session.note("no longer waiting for it; nothing was played"),
            Some(Cancelled::GivenUp) => session.note("no longer waiting for it; it may still be running"),
            None if session.waiting() > 0 => session.take_back(),
            None if is_typing && !session.editor.is_empty() => session.editor.next(),
            None if is_typing => self.say("Esc leaves the editor, then q quits"),
            None => self.say("q quits"),
        }
    }

    /// A failed proof is told where one looks for it.
    pub(super) fn refused(&mut self, id: CircleId, name: Option<&KeyName>, error: &CliError) {
        let key = self.keys.iter().find(|entry| Some(&entry.name) == name).map(|entry| entry.public_key.to_hex());
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let is_stranger =
            matches!(error, CliError::Client { error: client_ws::ClientError::Rpc(RpcError::Forbidden { .. }), .. });
        match key.filter(|_| is_stranger) {
            None => {
                let lines = error.lines(session.transcript.width());
                session.transcript.extend(lines);
            }
            Some(key) => {
                session.transcript.push(Line::of(Style::Error, "error: ").with(Style::Plain, &error.message()));
                session.note(&format!("your public key: {key}"));
                let file = self.config_file.as_deref().map_or("circles.json".into(), |file| file.display().to_string());
                session.note(&format!("it goes into \"members\" in {file} (y copies it); then r restarts the circle"));
                session.transcript.set_last(key);
            }
        }
    }
}
