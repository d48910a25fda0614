//! What sessions report, as it is shown here.

use client_ws::{ClientError, RpcError};
use console::{
    commands::ReplCommand,
    session::{self, DisplayKind, DisplayLines},
};
use frontend::{error::CliError, known_circles::check::IdentityError};
use keys::keystore::KeyName;

use super::App;
use crate::{
    action::Action,
    circles::Source,
    event::SessionUpdate,
    id::CircleId,
    popup::Popup,
    repl::{text_of, whom},
};

impl App {
    pub(super) fn session_event(&mut self, id: CircleId, event: SessionUpdate) {
        let Some(session) = self.repl.get_mut(id) else { return };
        session.refresh();
        let is_awaited = self.hold.is_ended_by(id, &event, session);
        match event {
            SessionUpdate::Reported(event) => self.reported(id, event),
            SessionUpdate::Changed => {}
            SessionUpdate::History(file, inputs) if session.history.as_ref() == Some(&file) => {
                session.editor.set_history(inputs);
            }
            SessionUpdate::History(..) => {}
            SessionUpdate::Completed(completion) => self.offer(id, completion),
        }
        if is_awaited {
            self.hold.end();
        }
    }

    fn reported(&mut self, id: CircleId, event: session::SessionEvent) {
        let Some(session) = self.repl.get_mut(id) else { return };
        match event {
            session::SessionEvent::Connected { is_first } => self.connected(id, is_first),
            session::SessionEvent::Ready => self.ready(id),
            session::SessionEvent::ConnectFailed(error) => self.not_connected(id, &error),
            session::SessionEvent::NotAdmitted(name, error) => {
                session.is_awaited = false;
                self.not_admitted(id, name.as_ref(), &error);
                self.complain(error.message());
            }
            session::SessionEvent::ConnectionLost => self.lost(id),
            session::SessionEvent::InputStarted(input) => self.began(id, &input),
            session::SessionEvent::InputFinished => {}
            session::SessionEvent::Output(output, label) => session.print(&output, label.as_deref()),
            session::SessionEvent::Display(shown) => self.shown(id, shown),
            session::SessionEvent::InputsReturned(inputs) => self.given_back(id, inputs),
            session::SessionEvent::Request(request) => self.requested(id, request),
        }
    }

    fn connected(&mut self, id: CircleId, is_first: bool) {
        self.circles.seen(id);
        let is_scratch = self.repl.owner(id).is_some();
        let Some(session) = self.repl.get_mut(id) else { return };
        session.previous = None;
        if let Some(circle) = session.state.circle.clone().filter(|_| is_first) {
            let whom = if is_scratch { "you alone" } else { whom(circle.access) };
            let about = circle.description.as_ref().map_or(String::new(), |text| format!(" · {text}"));
            session.note(&format!("connected to {}, for {whom}{about}", circle.name));
        }
    }

    /// What is typed can be played from now on, and is kept for whoever types it.
    fn ready(&mut self, id: CircleId) {
        let (Some(session), Some(entry)) = (self.repl.get_mut(id), self.circles.get(id)) else { return };
        session.is_awaited = false;
        let target = entry.destination(self.setup.config.as_deref());
        let history = session.state.history_file(self.setup.history.as_deref(), &target);
        if session.history.as_ref() == Some(&history) {
            return;
        }
        if session.history.is_some() {
            session.editor.forget_history();
        } else {
            session.note("type Rhai and press Enter; :help shows what else");
        }
        self.tasks.recall(id, history.clone());
        session.history = Some(history);
    }

    fn not_connected(&mut self, id: CircleId, error: &CliError) {
        let (Some(session), Some(entry)) = (self.repl.get_mut(id), self.circles.get(id)) else { return };
        session.is_awaited = false;
        session.show_error_text(&error.message());
        let is_shown = self.circles.selected() == Some(id) && session.editor.is_empty();
        match IdentityError::refused_ephemeral(error).filter(|_| is_shown && self.window.popup.is_none()) {
            Some(identity) => {
                let question = format!(
                    "The identity {identity} of {} is ephemeral, so nothing tells the circle from an impostor. Connect all the same?",
                    entry.name
                );
                self.window.popup = Some(Popup::Confirm { question, yes: Action::ConnectToEphemeral(id) });
            }
            // Another try changes nothing.
            None if error.is_final() => session.note(&error.parts().fix),
            None => session.note(match entry.source {
                Source::Config => "s starts it, Enter tries again",
                Source::Scratch | Source::Address => "Enter tries again; is it running, and is that its port?",
            }),
        }
        if !session.state.is_reconnect_enabled {
            self.return_to_previous(id, error);
        }
        self.complain(error.message());
    }

    /// The connection is lost; the session makes it again.
    fn lost(&mut self, id: CircleId) {
        self.circles.lost(id);
        let Some(entry) = self.circles.get(id) else { return };
        let (text, is_back) = (format!("the connection to {} is lost", entry.name), entry.is_back());
        // What led to it stands in the transcript.
        self.window.say(text, true);
        if is_back {
            self.is_back(id);
        } else {
            // It may be there again sooner than it would be probed.
            self.circles.look_again(id, &self.tasks);
        }
    }

    fn began(&mut self, id: CircleId, input: &str) {
        self.repl.began(id, input);
        let command = input.trim().strip_prefix(':').map(ReplCommand::parse);
        if let Some(Ok(ReplCommand::Key(name))) = command
            && self.repl.owner(id).is_none()
        {
            // Whoever names a key waits to be asked for its passphrase, and uses the key elsewhere, too.
            if self.keys.get(&name).is_some() {
                self.keys.use_key(name);
            }
            if let Some(session) = self.repl.get_mut(id) {
                session.is_awaited = true;
            }
        }
    }

    fn shown(&mut self, id: CircleId, shown: DisplayLines) {
        let warning = (shown.kind == DisplayKind::Warning).then(|| text_of(&shown.lines));
        if let Some(session) = self.repl.get_mut(id) {
            session.show(shown);
        }
        if let Some(warning) = warning {
            self.complain(warning);
        }
    }

    /// Inputs were not carried out. Where a command named a circle that cannot be reached, its user has returned.
    fn given_back(&mut self, id: CircleId, inputs: Vec<String>) {
        let Some(session) = self.repl.get(id) else { return };
        let previous = session.previous.filter(|_| !session.takes_input());
        if let Some(session) = self.repl.get_mut(previous.unwrap_or(id)) {
            session.give_back(inputs);
        }
    }

    /// Says that a circle does not admit a key, where one looks for it.
    fn not_admitted(&mut self, id: CircleId, name: Option<&KeyName>, error: &CliError) {
        let key = name.and_then(|name| self.keys.get(name)).map(|entry| entry.public_key.to_hex());
        let Some(session) = self.repl.get_mut(id) else { return };
        let is_stranger = matches!(error, CliError::Client { error: ClientError::Rpc(RpcError::Forbidden { .. }), .. });
        match key.filter(|_| is_stranger) {
            None => session.show_error(error),
            Some(key) => {
                session.show_error_text(&error.message());
                session.note(&format!("your public key: {key}"));
                let file = self.control.config_file().map_or("circles.json".into(), |file| file.display().to_string());
                session.note(&format!("it goes into \"members\" in {file} (y copies it); then r restarts the circle"));
                session.transcript.set_last(key);
            }
        }
    }
}
