//! Events of sessions, as the screen shows them.

use console::{
    commands::ReplCommand,
    session::{self, DisplayKind, DisplayLines},
};
use frontend::{
    error::CliError,
    key_bindings::{KeyPane, UserAction},
    known_circles::check::IdentityError,
    text::StyledLine,
};
use keys::keystore::KeyName;

use super::App;
use crate::{
    action::Action,
    circle_id::CircleId,
    circles::{CircleAvailability, CircleItem, CircleSource},
    event::SessionUpdate,
    popup::{Choice, Popup, TextPopup},
    repl::{LAST_OUTPUT, access_text, plain_text},
    toast::ToastTopic,
    window::Effect,
};

impl App {
    pub(super) fn on_session_update(&mut self, id: CircleId, event: SessionUpdate) {
        let Some(session) = self.repl.get_mut(id) else { return };
        session.refresh();
        let is_awaited = self.hold.is_ended_by(id, &event, session);
        self.update_functions(id);
        let Some(session) = self.repl.get_mut(id) else { return };
        match event {
            SessionUpdate::Reported(event) => self.on_session_event(id, event),
            SessionUpdate::Changed => {}
            SessionUpdate::Documented(name, doc) => session.editor.document(name, doc),
            SessionUpdate::Completed(completion) => self.show_completions(id, completion),
        }
        if is_awaited {
            self.hold.release();
        }
    }

    fn on_session_event(&mut self, id: CircleId, event: session::SessionEvent) {
        let Some(session) = self.repl.get_mut(id) else { return };
        match event {
            session::SessionEvent::Connected { is_first } => self.on_connected(id, is_first),
            session::SessionEvent::Ready => self.on_ready(id),
            session::SessionEvent::ConnectFailed(error) => self.on_connect_failed(id, &error),
            session::SessionEvent::NotAdmitted(name, error) => {
                session.is_awaited = false;
                self.on_not_admitted(id, name.as_ref(), &error);
                self.report_in_transcript(id, &error.message());
            }
            session::SessionEvent::ConnectionLost => self.on_connection_lost(id),
            session::SessionEvent::InputStarted(input) => self.on_input_started(id, &input),
            session::SessionEvent::CallRefused(error) => self.on_call_refused(id, &error),
            session::SessionEvent::InputFinished => self.on_input_finished(id),
            session::SessionEvent::Output(output, label) => session.print(&output, label.as_deref()),
            session::SessionEvent::Display(shown) => self.on_display(id, shown),
            session::SessionEvent::InputsReturned(inputs) => self.on_inputs_returned(id, inputs),
            session::SessionEvent::Request(request) => self.on_request(id, request),
        }
    }

    fn on_connected(&mut self, id: CircleId, is_first: bool) {
        self.circles.mark_connected(id);
        self.data.reconnect(id);
        let is_scratch = self.repl.owner(id).is_some();
        let Some(session) = self.repl.get_mut(id) else { return };
        (session.previous, session.is_lost) = (None, false);
        self.window.dismiss_toast(ToastTopic::Circle(id));
        if let Some(circle) = session.state.circle.clone().filter(|_| is_first) {
            let access = if is_scratch { "only for you" } else { access_text(circle.access) };
            let about = circle.description.as_ref().map_or(String::new(), |text| format!(" · {text}"));
            session.note(&format!("connected to {} ({access}){about}", circle.name));
        }
    }

    /// Inputs can be played from now on, and go into the history with the circle and key.
    fn on_ready(&mut self, id: CircleId) {
        let (Some(session), Some(entry)) = (self.repl.get_mut(id), self.circles.get(id)) else { return };
        session.is_awaited = false;
        self.window.dismiss_toast(ToastTopic::Circle(id));
        let target = entry.target(self.setup.config.as_deref());
        let origin = session.state.input_origin(&target);
        if session.origin.as_ref() == Some(&origin) {
            return;
        }
        // The session says what a caller may do who may not play.
        if session.origin.is_none() && session.state.may_play() {
            session.note(if session.state.may_call() {
                "type Rhai and press Enter; F4 lists the circle's functions, :help the commands"
            } else {
                "type Rhai and press Enter; :help lists the commands"
            });
        }
        session.editor.set_origin(origin.clone());
        session.origin = Some(origin);
        self.repl.read_history();
    }

    fn on_connect_failed(&mut self, id: CircleId, error: &CliError) {
        let (Some(session), Some(entry)) = (self.repl.get_mut(id), self.circles.get(id)) else { return };
        session.is_awaited = false;
        session.show_error_text(&error.message());
        let is_shown = self.circles.selected() == Some(id) && session.editor.is_empty();
        match IdentityError::refused_ephemeral(error).filter(|_| is_shown && self.window.popup.is_none()) {
            Some(identity) => {
                let title = format!("Connect to {}?", entry.name);
                let lines = vec![format!("Its identity {identity} is ephemeral, so an impostor would look the same.")];
                let choice = Choice::confirm(title, lines, "Connect anyway", Action::ConnectToEphemeral(id));
                self.window.popup = Some(Popup::Choice(choice));
            }
            // Another try would not help.
            None if error.is_final() => session.note(&error.parts().fix),
            None => session.note(match entry.source {
                CircleSource::Config if entry.can_be_started() => "Enter starts it, and connects",
                CircleSource::Config => "Enter tries again",
                CircleSource::Scratch | CircleSource::Address => {
                    "Enter tries again; check that the circle is running, and its port"
                }
            }),
        }
        if !session.state.is_reconnect_enabled {
            self.return_to_previous(id, error);
        }
        self.report_in_transcript(self.circles.selected().unwrap_or(id), &error.message());
    }

    /// Returns whether a circle stops because somebody wants it.
    fn is_ending(&self, id: CircleId) -> bool {
        let is_stopping = |entry: &CircleItem| entry.state() == CircleAvailability::Stopping;
        self.control.is_wanted_end(id) || self.circles.get(id).is_some_and(is_stopping)
    }

    /// Handles a lost connection; the session reconnects.
    fn on_connection_lost(&mut self, id: CircleId) {
        self.circles.mark_disconnected(id);
        let (Some(entry), Some(session)) = (self.circles.get(id), self.repl.get_mut(id)) else { return };
        session.is_lost = true;
        let (text, can_reconnect) = (format!("connection to {} lost", entry.name), entry.can_reconnect());
        // The session or its play says why.
        if !self.is_ending(id) {
            self.report_in_transcript(id, &text);
        }
        if can_reconnect {
            self.retry_connection(id);
        } else {
            // It may be back before the next probe.
            self.circles.probe_again(id, &self.tasks);
        }
    }

    fn on_input_started(&mut self, id: CircleId, input: &str) {
        self.repl.show_input(id, input);
        self.call_drafts.start(id, input);
        let command = input.trim().strip_prefix(':').map(ReplCommand::parse);
        if let Some(session) = self.repl.get_mut(id) {
            session.opens_pager = matches!(command, Some(Ok(ReplCommand::Last)));
        }
        if let Some(Ok(ReplCommand::Key(name))) = command
            && self.repl.owner(id).is_none()
        {
            // A user who names a key expects a question for its passphrase, and uses the key on other circles, too.
            if self.keys.get(&name).is_some() {
                self.keys.use_key(name);
            }
            if let Some(session) = self.repl.get_mut(id) {
                session.is_awaited = true;
            }
        }
    }

    /// Marks a circle that is not shown, and rings the bell with the mark.
    fn on_input_finished(&mut self, id: CircleId) {
        self.call_drafts.finish(id);
        let Some(session) = self.repl.get_mut(id).filter(|_| self.circles.selected() != Some(id)) else { return };
        let is_marked = std::mem::replace(&mut session.has_ended_unseen, true);
        if self.setup.settings.bell.value && !is_marked {
            self.window.push_effect(Effect::Bell);
        }
    }

    fn on_display(&mut self, id: CircleId, shown: DisplayLines) {
        if shown.kind == DisplayKind::Value {
            self.call_drafts.succeed(id);
        }
        let is_selected = self.circles.selected() == Some(id);
        if let Some(session) = self.repl.get_mut(id) {
            let is_last = std::mem::take(&mut session.opens_pager);
            let is_long = shown.lines.len() > session.transcript.room().height;
            let is_paged = shown.kind == DisplayKind::Listing && (is_last || is_long);
            if is_paged && is_selected && self.window.popup.is_none() {
                if let Some(result) = &shown.result {
                    session.transcript.set_last(result.output.clone(), LAST_OUTPUT);
                }
                return self.open_pager(if is_last { "Last output" } else { "Output" }, &shown.lines);
            }
        }
        let warning = (shown.kind == DisplayKind::Warning).then(|| plain_text(&shown.lines));
        if let Some(session) = self.repl.get_mut(id) {
            session.show(shown);
        }
        if let Some(warning) = warning
            && !self.is_ending(id)
        {
            self.report_in_transcript(id, &warning);
        }
    }

    /// Shows lines that may need more than the transcript has room for.
    pub(super) fn open_pager(&mut self, title: &str, lines: &[StyledLine]) {
        let theme = self.window.look().theme;
        let lines = lines.iter().map(|line| theme.line(line)).collect();
        self.window.popup = Some(Popup::Text(TextPopup::new(title, lines)));
    }

    /// Returns inputs to the editor. If a command named a circle that cannot be reached, its user is on the previous
    /// circle again.
    fn on_inputs_returned(&mut self, id: CircleId, inputs: Vec<String>) {
        let Some(session) = self.repl.get(id) else { return };
        let previous = session.previous.filter(|_| !session.takes_input());
        if let Some(session) = self.repl.get_mut(previous.unwrap_or(id)) {
            session.restore_inputs(inputs);
        }
    }

    /// Shows that a circle does not admit a key, and how to add the key.
    fn on_not_admitted(&mut self, id: CircleId, name: Option<&KeyName>, error: &CliError) {
        let key = name.and_then(|name| self.keys.get(name)).map(|entry| entry.public_key.to_hex());
        let admit = self.key_of(KeyPane::Circles, UserAction::Admit);
        let copy = self.key_of(KeyPane::Repl, UserAction::CopyOutput);
        let Some(session) = self.repl.get_mut(id) else { return };
        match key.filter(|_| matches!(error, CliError::KeyRefused { .. })) {
            None => session.show_error(error),
            Some(key) => {
                session.show_error_text(&error.message());
                session.note(&format!("your public key: {key}"));
                let is_mine = self.control.config_file().is_some()
                    && self.circles.get(id).is_some_and(|entry| entry.source == CircleSource::Config);
                session.note(&if is_mine {
                    format!("Esc, then {admit} makes it a member in circles.json, and signs in")
                } else {
                    format!("give it to the circle's operator ({copy} copies it); once it is a member, press Enter")
                });
                session.transcript.set_last(key, "your public key");
            }
        }
    }
}
