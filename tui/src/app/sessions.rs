//! What changes when something has happened elsewhere.

use std::sync::Arc;

use client_ws::{Description, Notice};
use keys::{
    KeyPair,
    keystore::{Entry as KeyEntry, KeyName, Listing},
};
use protocol::methods::Access;

use super::{
    App,
    circles::{Entry, Origin},
    id::{CircleId, Connection},
    message::{CircleNews, Listening, SessionNews},
    popup::{Passphrase, Popup},
    repl::whom,
    session::{Link, Session, Who},
};
use console::history::HistoryFile;
use frontend::{error::CliError, text::{Line, Style}};

impl App {
    pub(super) fn resolved(&mut self, from: Option<CircleId>, resolved: Result<String, CliError>) {
        let form = match &mut self.popup {
            Some(Popup::Address(form)) => Some(form),
            _ => None,
        };
        match resolved {
            Ok(url) => {
                if form.is_some() && from.is_none() {
                    self.popup = None;
                }
                let id = self.circles.add_address(url);
                self.go_to(id, from);
            }
            Err(error) => match (form, from.and_then(|from| self.sessions.get_mut(&from))) {
                (_, Some(session)) => session.say_error(&error),
                (Some(form), None) => (form.error, form.is_busy) = (Some(error.advice()), false),
                (None, None) => self.complain(error.advice()),
            },
        }
    }

    pub(super) fn listed(&mut self, listed: Result<Listing, CliError>) {
        match listed {
            Ok(listing) => {
                for (path, error) in &listing.damaged {
                    let text = format!("the key in {} cannot be read: {error}", path.display());
                    self.complain(text);
                }
                self.keys.set(listing);
            }
            Err(error) => self.complain(error.advice()),
        }
    }

    pub(super) fn made(&mut self, made: Result<(KeyEntry, Arc<KeyPair>), CliError>) {
        let form = match &mut self.popup {
            Some(Popup::NewKey(form)) if form.is_busy => Some(form),
            _ => None,
        };
        match made {
            Ok((entry, keypair)) => {
                let circle = form.map(|form| form.circle);
                self.keys.unlock(entry.name.clone(), keypair.clone());
                self.keys.add(entry.clone());
                self.say(format!("made {}; in Keys (2), y copies its public key", entry.name));
                if let Some(circle) = circle {
                    self.popup = None;
                    if let Some(id) = circle {
                        self.prove(id, Some(entry.name), keypair);
                    }
                }
            }
            Err(error) => match form {
                Some(form) => (form.error, form.is_busy) = (Some(error.advice()), false),
                None => self.complain(error.advice()),
            },
        }
    }

    pub(super) fn unlocked(&mut self, name: KeyName, unlocked: Result<Arc<KeyPair>, CliError>) {
        let form = match &mut self.popup {
            Some(Popup::Passphrase(form)) if form.key == name => Some(form),
            _ => None,
        };
        match (unlocked, form) {
            (Ok(keypair), form) => {
                if form.is_some() {
                    self.popup = None;
                }
                self.keys.unlock(name.clone(), keypair.clone());
                for id in self.proofs.remove(&name).unwrap_or_default() {
                    match self.sessions.get(&id).and_then(Session::proved) {
                        Some(other) if *other != name => self.connect_as(id, &name),
                        _ => self.prove(id, Some(name.clone()), keypair.clone()),
                    }
                }
            }
            (Err(error), Some(form)) => form.refuse(error.advice()),
            (Err(error), None) => {
                // It was the one that was given; another try is asked for.
                self.setup.passphrase = None;
                let is_waited_for = self.proofs.contains_key(&name);
                if is_waited_for && !self.popup.as_ref().is_some_and(Popup::is_form) {
                    self.popup = Some(Popup::Passphrase(Passphrase::new(name, Some(error.advice()))));
                } else {
                    self.give_up_proof(&name);
                    self.complain(error.advice());
                }
            }
        }
    }

    pub(super) fn circle_news(&mut self, id: CircleId, news: CircleNews) {
        match news {
            CircleNews::Logged(lines) => {
                for line in &lines {
                    self.logs.push(id, line);
                }
            }
            CircleNews::Probed(listening) => {
                // A circle can be gone and back before the next tick.
                self.look_after_connections();
                self.circles.probed(id, listening);
                if listening == Listening::Circle {
                    self.is_back(id);
                }
            }
        }
    }

    /// It takes connections, which a session may wait for.
    pub(super) fn is_back(&mut self, id: CircleId) {
        let waits = |session: &Session| session.is_wanted && matches!(session.link, Link::Off);
        if self.sessions.get(&id).is_some_and(waits) {
            self.dial(id);
        }
    }

    pub(super) fn session_news(&mut self, id: CircleId, connection: Connection, news: SessionNews) {
        let Some(session) = self.sessions.get_mut(&id).filter(|session| session.connection == connection) else {
            return;
        };
        match news {
            SessionNews::Connected(Ok(link)) => {
                session.link = Link::On(link);
                self.circles.seen(id);
                self.connected(id);
            }
            // Nobody has asked for it just now: it is connected to once it is up again.
            SessionNews::Connected(Err(_))
                if !session.is_asked && self.circles.get(id).is_some_and(|entry| entry.origin == Origin::Config) =>
            {
                session.end();
                session.note("it is not up; it is connected to as soon as it is");
            }
            SessionNews::Connected(Err(error)) => {
                session.end();
                session.is_wanted = self.circles.get(id).is_some_and(Entry::is_kept_up);
                session.transcript.push(Line::of(Style::Error, "error: ").with(Style::Plain, &error.message()));
                let hint = match self.circles.get(id).map(|entry| &entry.origin) {
                    Some(Origin::Config) => "s starts it, Enter tries again",
                    _ => "Enter tries again; is it running, and is that its port?",
                };
                session.note(hint);
                if !session.is_wanted {
                    self.come_back(id, &error);
                }
                self.complain(error.message());
            }
            SessionNews::Proved(name, Ok(())) => {
                session.key.clone_from(&name);
                session.who = name.map_or(Who::Owner, Who::Key);
                self.ready(id);
            }
            SessionNews::Proved(name, Err(error)) => {
                session.who = Who::Nobody;
                session.key = None;
                self.refused(id, name.as_ref(), &error);
                self.complain(error.message());
            }
            SessionNews::History(inputs) => session.editor.set_history(inputs),
            SessionNews::Output(number, output) => self.printed(id, number, &output),
            SessionNews::EachOutput(number, index, output) => self.one_printed(id, number, index, &output),
            SessionNews::EachEnded(number, ends) => self.each_ended(id, number, ends),
            SessionNews::Loaded(number, read) => self.loaded(id, number, read),
            SessionNews::Progress(number, progress) => {
                if let Some(running) = session.running(number) {
                    running.progress = Some(progress);
                }
            }
            SessionNews::Ended(number, result) => self.play_ended(id, number, result),
            SessionNews::Completed(completion) => self.offer(id, completion),
            SessionNews::Answered(command, answered) => self.told(id, &command, answered),
        }
    }

    fn connected(&mut self, id: CircleId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(Description { access, name, description, .. }) = session.description().cloned() else { return };
        let session_is_asked = std::mem::take(&mut session.is_asked);
        session.came_from = None;
        let is_ours = self.throwaway.as_ref().is_some_and(|(throwaway, _)| *throwaway == id);
        if session.connection.0 == 1 {
            let whom = if is_ours { "you alone".to_owned() } else { whom(access).to_owned() };
            let about = description.map_or(String::new(), |text| format!(" · {text}"));
            session.note(&format!("connected to {name}, for {whom}{about}"));
        } else {
            let lost = session.take_lost();
            let gone = match lost {
                0 => "",
                1 => ": what 1 input had made is gone (:save FILE writes it as a script)",
                _ => &format!(": what {lost} inputs had made is gone (:save FILE writes them as a script)"),
            };
            session.note(&format!("connected, with a fresh session{gone}"));
            if lost > 0 {
                session.give_back_unplayed();
            }
        }
        // Nothing is played on another circle unasked.
        if let Some(before) = session.circle.replace(name.clone()).filter(|before| *before != name) {
            session.note(&format!("there is the circle '{name}' now, and not '{before}'"));
            session.give_back_unplayed();
        }
        if access == Access::Open {
            self.ready(id);
        }
        let is_key_meant = self.keys.is_asked() || self.sessions.get(&id).is_some_and(|session| session.key.is_some());
        if access == Access::Open && (is_ours || !is_key_meant) {
            return;
        }
        // A question comes only to someone who waits for it.
        let is_awaited = session_is_asked && self.circles.selected() == Some(id) && self.popup.is_none();
        let is_unlocked = self.key_for(id).is_some_and(|name| self.keys.unlocked(&name).is_some());
        if is_ours || is_unlocked || is_awaited || self.setup.passphrase.is_some() {
            self.authenticate(id);
        }
    }

    /// What is typed can be played from now on.
    fn ready(&mut self, id: CircleId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let place = match session.client() {
            Some(client) if self.throwaway.as_ref().is_none_or(|(throwaway, _)| *throwaway != id) => {
                client.url().authority().to_string()
            }
            _ => session.name.clone(),
        };
        let key = session.proved().map(KeyName::as_str);
        let history = HistoryFile::of(self.setup.history.as_deref(), &place, key);
        if session.history.as_ref() != Some(&history) {
            if session.history.is_some() {
                session.editor.forget_history();
            }
            if session.history.is_none() {
                session.note("type Rhai and press Enter; :help shows what else");
            }
            self.work.recall((id, session.connection), history.clone());
            session.history = Some(history);
        }
        self.carry_on(id);
    }

    /// What connections have to say that nobody asked for, and their end.
    pub(super) fn look_after_connections(&mut self) {
        let mut lost = Vec::new();
        for (id, session) in &mut self.sessions {
            let Some(client) = session.client().cloned() else { continue };
            while let Some(notice) = client.take_notice() {
                if let Notice::EnvironmentLost { reason } = notice {
                    self.is_stale = true;
                    let (saves, held) = (how_to_save(session), session.notebook.inputs());
                    session.notebook.is_lost();
                    session.note(&format!(
                        "the circle lost this session's environment ({reason}): variables are gone{saves}"
                    ));
                    if held > 0 {
                        session.give_back_unplayed();
                    }
                }
            }
            // A play that runs says itself that the connection is lost.
            if !client.is_connected() && session.running.is_none() {
                let saves = how_to_save(session);
                session.end();
                session.note(&format!("the connection is lost, and variables with it{saves}; Enter connects again"));
                lost.push(*id);
            }
        }
        self.is_stale |= !lost.is_empty();
        for id in lost {
            self.circles.lost(id);
            let Some(entry) = self.circles.get(id) else { continue };
            let (text, is_back) = (format!("the connection to {} is lost", entry.name), entry.is_back());
            self.complain(text);
            if is_back {
                self.is_back(id);
            } else {
                // It may be there again sooner than it would be looked for.
                self.circles.look_again(id, &self.work);
            }
        }
    }
}

/// What can be done about variables that are gone, where something was played.
fn how_to_save(session: &Session) -> &'static str {
    if session.notebook.inputs() == 0 { "" } else { " (:save FILE writes what was played)" }
}
