//! The app: its parts, and how it dispatches events.
//!
//! Everything that takes time runs elsewhere ([`Tasks`]) and posts a [`Message`]. The event loop passes one message
//! after the other to the app, which changes its parts and draws. Each view is a file: it draws its pane, and returns
//! an [`Action`] for everything that is not its own business.

mod actions;
mod bindings;
mod call_drafts;
mod config;
mod connect;
mod control;
mod data;
mod functions;
mod input;
mod input_hold;
mod key_changes;
mod keys;
mod losses;
mod messages;
mod mouse;
mod palette_items;
mod panes;
mod quit;
mod requests;
mod searching;
mod sessions;
#[cfg(test)]
mod tests;

use ::keys::{KeyPair, keystore::KeyName};
use console::session::{QueueFull, SessionHandle};
use ratatui::crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{
    action::Action,
    circle_id::CircleId,
    circles::{CircleSource, CirclesPane},
    data::DataPane,
    event::{AppEvent, Message},
    keys::KeysPane,
    layout::Pane,
    logs::LogsPane,
    repl::{ReplPane, SessionView},
    session_status::SessionStatus,
    setup::Setup,
    tasks::{SupervisorRef, Tasks},
    theme::Theme,
    window::{Effect, Window},
};
use call_drafts::CallDrafts;
use control::CircleControl;
use input_hold::InputHold;

/// Error when a session's queue is full.
const SESSION_BUSY: &str = "the session is busy: try again in a moment";

/// State of the app's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum QuitState {
    Running,
    /// Waiting until the supervisor has stopped circles.
    Quitting,
    /// Ended with this exit code.
    Ended(u8),
}

/// How the app ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AppExit {
    pub code: u8,
    /// Message to the user about circles that keep running.
    pub exit_message: Option<String>,
}

/// State of the whole screen.
pub(crate) struct App {
    setup: Setup,
    tasks: Tasks,
    circles: CirclesPane,
    keys: KeysPane,
    repl: ReplPane,
    logs: LogsPane,
    data: DataPane,
    control: CircleControl,
    window: Window,
    hold: InputHold,
    call_drafts: CallDrafts,
    quit_state: QuitState,
}

impl App {
    /// Creates the app. `first` is the circle to connect to at once, `key` the key to use.
    pub(crate) fn new(setup: Setup, tasks: Tasks, first: Option<String>, key: Option<KeyName>) -> Self {
        let editor = setup.editor();
        let history_file = tasks.open_history(setup.history_store(), editor.history.clone());
        let app = Self {
            circles: CirclesPane::default(),
            keys: KeysPane::new(key),
            repl: ReplPane::new(history_file, editor),
            logs: LogsPane::default(),
            data: DataPane::default(),
            control: CircleControl::new(first),
            window: Window::new(Theme::new(setup.has_colours, setup.background), &setup.settings),
            hold: InputHold::default(),
            call_drafts: CallDrafts::default(),
            quit_state: QuitState::Running,
            setup,
            tasks,
        };
        app.tasks.watch_config(app.setup.config.clone());
        app.tasks.watch_supervisor(SupervisorRef::new(&app.setup));
        if let Some(store) = &app.setup.keystore {
            app.tasks.list_keys(store.clone());
        }
        app
    }

    /// Adds the running scratch circle to the list.
    pub(crate) fn add_scratch(&mut self, name: &str, url: String, owner: KeyPair) {
        let id = self.circles.add_scratch(name, url, self.window.now());
        self.repl.set_scratch(id, owner);
    }

    /// Returns how the app ended; `None` while it runs.
    pub(crate) fn ended(&self) -> Option<AppExit> {
        match self.quit_state {
            QuitState::Ended(code) => Some(AppExit { code, exit_message: self.exit_message() }),
            QuitState::Running | QuitState::Quitting => None,
        }
    }

    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        self.window.take_effects()
    }

    /// Returns whether the screen has to be drawn, and resets that.
    pub(crate) fn take_stale(&mut self) -> bool {
        self.window.take_stale()
    }

    /// Handles a message.
    pub(crate) fn update(&mut self, Message(event): Message) {
        self.window.mark_stale();
        match event {
            AppEvent::Terminal(event) if self.hold.must_hold(&event) => self.hold.push(event),
            AppEvent::Terminal(event) => self.on_terminal_event(event),
            AppEvent::Tick => {
                let is_charted = self.circles.sample(self.window.now());
                let is_changed = self.data.needs_update(self.window.now());
                self.window.tick(self.is_animated() || is_charted || is_changed);
                self.hold.tick(self.window.now());
            }
            AppEvent::Quit(code) => self.quit_state = QuitState::Ended(code),
            AppEvent::Error(text) => self.report_error(text),
            AppEvent::HistoryRead => {}
            AppEvent::Background(background) => self.window.set_background(background),
            AppEvent::Resolved(previous, resolved) => self.on_resolved(previous, resolved),
            AppEvent::ConfigRead(read) => self.on_config_read(read),
            AppEvent::ConfigChanged(read) => self.on_config_changed(read),
            AppEvent::ConfigMade(made) => self.on_config_made(made),
            AppEvent::Admitted(id, admitted) => self.on_admitted(id, admitted),
            AppEvent::KeysListed(listed) => self.on_keys_listed(listed),
            AppEvent::KeyMade(made) => self.on_key_made(made),
            AppEvent::KeyUnlocked(name, unlocked) => self.on_key_unlocked(&name, unlocked),
            AppEvent::KeyChanged(changed) => self.on_key_changed(changed),
            AppEvent::Probed(id, listening) => self.on_probed(id, listening),
            AppEvent::Logged(id, lines) => lines.iter().for_each(|line| self.logs.push(id, line)),
            AppEvent::SupervisorFound(files) => {
                self.logs.set_follower(self.tasks.follow_logs(files));
                self.follow_selected_log();
            }
            AppEvent::Supervisor(report) => self.on_supervisor_report(report),
            AppEvent::Started(ids, started) => self.on_started(&ids, started),
            AppEvent::Stopped(stopped) => self.on_stopped(stopped),
            AppEvent::Released(released) => self.on_released(released),
            AppEvent::Store(id, number, news) => self.data.apply(id, number, news, self.window.now()),
            AppEvent::Session(id, event) => self.on_session_update(id, event),
        }
        self.sync_data();
    }

    /// Returns whether a pane shows an animation or a running time.
    fn is_animated(&self) -> bool {
        let is_busy = |session: &SessionView| {
            matches!(SessionStatus::of(&session.state), SessionStatus::Running | SessionStatus::Connecting)
        };
        self.repl.sessions().any(is_busy) || self.circles.needs_second_updates(self.window.now())
    }

    fn on_terminal_event(&mut self, event: TerminalEvent) {
        match event {
            TerminalEvent::Key(key) if key.kind != KeyEventKind::Release => {
                self.window.selection = None;
                self.on_key(key);
            }
            TerminalEvent::Paste(text) => self.on_paste(&text),
            TerminalEvent::Mouse(event) if self.window.has_mouse => self.on_mouse(event),
            _ => {}
        }
    }

    fn on_paste(&mut self, text: &str) {
        if let Some(popup) = &mut self.window.popup {
            return popup.paste(text);
        }
        if let Some(search) = &mut self.window.search {
            return search.paste(text);
        }
        if self.window.focus == Pane::Data {
            return self.data.paste(text);
        }
        if self.window.focus != Pane::Repl {
            return self.show_hint("press 3 to type, then paste again");
        }
        if self.selected_session().is_some_and(|session| !session.editor.paste(text)) {
            self.report_error("the paste was cut: an input can be at most 256 KiB");
        }
    }

    fn on_key(&mut self, key: KeyEvent) {
        if self.on_terminal_key(key) {
            return;
        }
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        let action = match key.code {
            _ if self.window.popup.is_some() => self.on_popup_key(key),
            _ if self.window.search.is_some() && self.on_search_key(key) => return,
            _ if self.is_filtering() => self.data.key(key),
            KeyCode::Char('c') if is_control => Some(Action::Cancel),
            _ => self.on_pane_key(key),
        };
        if let Some(action) = action {
            self.run_action(action);
        }
    }

    /// Passes a key press to the popup. An action closes the popup, unless the popup waits for its outcome.
    fn on_popup_key(&mut self, key: KeyEvent) -> Option<Action> {
        let action = self.window.popup.as_mut()?.key(key);
        self.close_popup_for(action)
    }

    /// Closes the popup for its action, unless it waits for the outcome.
    fn close_popup_for(&mut self, action: Option<Action>) -> Option<Action> {
        let (popup, action) = (self.window.popup.as_ref()?, action?);
        if action != Action::Close && !popup.is_busy() {
            self.window.popup = None;
        }
        Some(action)
    }

    /// Returns the session on the selected circle, and opens one if necessary.
    fn selected_session(&mut self) -> Option<&mut SessionView> {
        self.session(self.circles.selected()?)
    }

    /// Shows a circle in the panes.
    fn show(&mut self, id: CircleId) {
        self.circles.select(id);
        if let Some(session) = self.repl.get_mut(id) {
            session.has_ended_unseen = false;
        }
        self.follow_selected_log();
    }

    /// Follows the log of the selected circle, if it has one.
    fn follow_selected_log(&self) {
        let shown = self.circles.selected().and_then(|id| Some((id, self.circles.get(id)?)));
        if let Some((id, entry)) = shown.filter(|(_, entry)| entry.source == CircleSource::Config) {
            self.logs.follow(id, &entry.name);
        }
    }

    /// Sends something to the session on a circle.
    fn send_to_session(&mut self, id: CircleId, input: impl FnOnce(&SessionHandle) -> Result<(), QueueFull>) {
        if self.repl.get(id).is_some_and(|session| input(&session.session).is_err()) {
            self.report_error(SESSION_BUSY);
        }
    }
}
