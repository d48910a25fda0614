//! Connecting: finding the circle, starting it, and opening its session.

use std::{collections::hash_map::Entry as Slot, sync::Arc};

use console::session::{CallerIdentity, ConnectionStatus, OtherCirclePolicy, SessionHandle, SessionOptions};
use frontend::{
    connect::ConnectOptions,
    error::CliError,
    known_circles::check::{IdentityCheck, UserFiles},
    suggest, target,
};

use super::{App, SESSION_BUSY};
use crate::{
    circle_id::CircleId,
    circles::{CircleAvailability, CircleItem, CircleSource},
    event::ProbeResult,
    layout::Pane,
    popup::Popup,
    repl::{Connector, SessionView, Transcript},
    toast::ToastTopic,
};

impl App {
    /// Connects to a circle by name, port, host:port or URL.
    ///
    /// `previous` is the circle that was shown when a command named this one; errors appear there.
    pub(super) fn open(&mut self, text: &str, previous: Option<CircleId>) {
        let text = text.trim();
        if let Some(id) = self.find_circle(text) {
            self.window.popup.take_if(|popup| matches!(popup, Popup::Address(_)));
            return self.show_and_connect(id, previous);
        }
        if target::is_name(text) {
            return self.tasks.resolve(text.to_owned(), self.setup.config.clone(), previous);
        }
        // Without a file to read, this can happen at once, so that the next input is for that circle.
        self.on_resolved(previous, target::parse(text, None).map(|found| found.url.into()));
    }

    /// Handles the outcome of looking up a circle.
    pub(super) fn on_resolved(&mut self, previous: Option<CircleId>, resolved: Result<String, CliError>) {
        let form = match &mut self.window.popup {
            Some(Popup::Address(form)) => Some(form),
            _ => None,
        };
        match resolved {
            Ok(url) => {
                if form.is_some() && previous.is_none() {
                    self.window.popup = None;
                }
                let id = self.circles.add_address(url);
                self.show_and_connect(id, previous);
            }
            Err(error) => match (form, previous.and_then(|previous| self.repl.get_mut(previous))) {
                (_, Some(session)) => session.show_error(&error),
                (Some(form), None) => (form.error, form.is_busy) = (Some(error.advice()), false),
                (None, None) => self.report_error(error.advice()),
            },
        }
    }

    /// Shows a circle and connects to it; the next input is for it.
    ///
    /// `previous` is the circle to show again if this one cannot be reached.
    fn show_and_connect(&mut self, id: CircleId, previous: Option<CircleId>) {
        self.show(id);
        self.connect(id);
        if let Some(session) = self.repl.get_mut(id) {
            session.previous = previous.filter(|previous| *previous != id);
        }
    }

    /// Shows the previous circle again, with the text that was typed since, if a command named a circle that cannot be
    /// reached.
    pub(super) fn return_to_previous(&mut self, id: CircleId, error: &CliError) {
        let Some(session) = self.repl.get_mut(id) else { return };
        let Some(previous) = session.previous.filter(|_| self.circles.selected() == Some(id)) else { return };
        let typed = session.editor.take_all();
        self.show(previous);
        if let Some(session) = self.repl.get_mut(previous) {
            session.show_error(error);
            session.editor.restore(typed);
        }
    }

    /// Connects to a circle although its identity is ephemeral, because the user has accepted that.
    pub(super) fn connect_to_ephemeral(&mut self, id: CircleId) {
        if let Some(session) = self.repl.get(id) {
            session.accept_ephemeral();
        }
        self.connect(id);
    }

    /// Connects to a circle, and starts it first if necessary.
    pub(super) fn connect(&mut self, id: CircleId) {
        self.window.dismiss_toast(ToastTopic::Circle(id));
        let Some(entry) = self.circles.get(id) else { return };
        let (name, can_be_started) = (entry.name.clone(), entry.can_be_started());
        let (is_starting, is_kept) = (entry.state() == CircleAvailability::Starting, entry.is_supervised());
        let Some(session) = self.session(id) else { return };
        session.previous = None;
        if session.state.connection == ConnectionStatus::Connected {
            if session.state.identity == CallerIdentity::Anonymous && !session.state.is_ready() {
                return self.authenticate(id);
            }
            return self.focus(Pane::Repl);
        }
        session.is_awaited = true;
        // A session that has lost its connection has said that it reconnects.
        let is_told = session.is_lost && is_kept;
        match (can_be_started, is_starting) {
            _ if is_told => {}
            (true, _) => session.note(&format!("starting {name}…")),
            (false, true) => session.note(&format!("waiting until {name} is ready…")),
            (false, false) => {}
        }
        // Inputs from now on wait for the connection.
        if self.circles.selected() == Some(id) {
            self.focus(Pane::Repl);
        }
        if can_be_started || is_starting || is_told {
            self.send_to_session(id, SessionHandle::wait_for_start);
        } else {
            self.send_to_session(id, |session| session.connect(is_kept));
        }
        if can_be_started {
            self.start(id);
        }
    }

    /// Returns the session on a circle, and opens one if necessary.
    pub(super) fn session(&mut self, id: CircleId) -> Option<&mut SessionView> {
        let entry = self.circles.get(id)?;
        let owner = self.repl.owner(id).cloned();
        let directory = self.repl.directory();
        let target = || entry.target(self.setup.config.as_deref());
        let editor = self.repl.editor_setup().clone();
        let session = match self.repl.entry(id) {
            Slot::Occupied(open) => open.into_mut(),
            Slot::Vacant(none) => {
                let authority = self.setup.authority.clone().filter(|_| entry.source == CircleSource::Address);
                let accepts_ephemeral = self.setup.accepts_ephemeral;
                let encryption = self.setup.encryption.clone();
                let choice = ConnectOptions { key: None, authority, accepts_ephemeral, encryption };
                let check = if owner.is_some() {
                    IdentityCheck::for_scratch_circle()
                } else {
                    let directories = self.setup.supervisors.directories.clone();
                    let user = UserFiles { known_circles: self.setup.known_circles.clone(), directories };
                    IdentityCheck::new(user, &choice, self.setup.config.as_deref())
                };
                let identity_notes = check.notes();
                let connector = Arc::new(Connector::new(entry.url(), choice, check));
                let key = if owner.is_some() { None } else { self.keys.named() };
                let room = Transcript::default().room();
                let (remote, keys) = (connector.clone(), self.keys.source());
                // An address has one entry in the list, whatever circle answers there.
                let other_circle = OtherCirclePolicy::AcceptAfterNotice;
                let target = target();
                let init = self.setup.settings.init.value.clone();
                let session_options = SessionOptions {
                    target,
                    remote,
                    keys,
                    key,
                    owner,
                    room,
                    identity_notes,
                    other_circle,
                    directory,
                    init,
                };
                let session = self.tasks.open_session(id, session_options);
                none.insert(SessionView::new(entry.name.clone(), session, connector, room, editor))
            }
        };
        if session.update_target(target, entry.url()).is_err() {
            self.report_error(SESSION_BUSY);
        }
        self.repl.get_mut(id)
    }

    /// Retries a connection because the circle has become ready.
    pub(super) fn retry_connection(&mut self, id: CircleId) {
        if self.repl.get(id).is_some() && self.session(id).is_some() {
            self.send_to_session(id, SessionHandle::retry);
        }
    }

    /// Handles a change of what listens at a circle's address.
    pub(super) fn on_probed(&mut self, id: CircleId, result: ProbeResult) {
        self.circles.set_probe_result(id, result);
        if result == ProbeResult::Circle {
            self.retry_connection(id);
        }
    }

    pub(super) fn disconnect(&mut self, id: CircleId) {
        if let Some(session) = self.repl.get_mut(id) {
            session.is_awaited = false;
        }
        self.send_to_session(id, SessionHandle::disconnect);
    }

    /// Authenticates with the key to use, after unlocking or creating it if necessary.
    pub(super) fn authenticate(&mut self, id: CircleId) {
        let Some(session) = self.repl.get_mut(id) else { return self.show_hint("connect first: Enter") };
        let text = match (session.state.connection, &session.state.identity) {
            (ConnectionStatus::Disconnected, _) => return self.connect(id),
            (_, CallerIdentity::Owner) => "already signed in as the owner of this circle".to_owned(),
            (_, CallerIdentity::Key(name)) => format!("already signed in with {name}; :key NAME uses another key"),
            (_, CallerIdentity::Authenticating) => return,
            (_, CallerIdentity::Anonymous) => {
                session.is_awaited = true;
                self.hold.hold_for_key(id, self.window.now());
                return self.send_to_session(id, SessionHandle::authenticate);
            }
        };
        self.show_hint(text);
    }

    /// Returns a circle that is in the list.
    pub(super) fn find_circle(&self, circle: &str) -> Option<CircleId> {
        let url = || Some(target::parse(circle, None).ok()?.url);
        // Names are only looked up in the list: this thread must not read the file.
        let url = if target::is_name(circle) { None } else { url() };
        let matches = |entry: &CircleItem| {
            entry.name == circle || url.as_deref().is_some_and(|url| target::is_same_url(entry.url(), url))
        };
        self.circles.iter().find(|(_, entry)| matches(entry)).map(|(id, _)| id)
    }

    /// Returns a circle, and adds an address to the list if necessary.
    pub(super) fn find_or_add_circle(&mut self, circle: &str) -> Result<CircleId, String> {
        if let Some(id) = self.find_circle(circle) {
            return Ok(id);
        }
        if target::is_name(circle) {
            let known = self.circles.iter().map(|(_, entry)| entry.name.as_str());
            let near = suggest::did_you_mean(circle, known);
            return Err(format!("no circle here has that name{near}"));
        }
        let found = target::parse(circle, None).map_err(|error| error.advice())?;
        Ok(self.circles.add_address(found.url.into()))
    }
}
