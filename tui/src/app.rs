//! The app: its parts, and who takes which event.
//!
//! Everything that takes time happens elsewhere ([`Tasks`]) and posts a [`Message`]; the loop hands one after the other to
//! the app, which changes its parts, and draws. A view is a file: it draws its pane, and says by an [`ReloadAction`] what it has
//! done that is not its own affair.

mod actions;
mod choices;
mod connect;
mod control;
mod hold;
mod input;
mod keys;
mod panes;
mod quit;
mod requests;
mod sessions;

use ::keys::{KeyPair, keystore::KeyName};
use console::session::{QueueFull, SessionHandle};
use ratatui::crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{
    action::Action,
    circles::{Circles, Source},
    event::{Event, Message},
    id::CircleId,
    keys::Keys,
    logs::Logs,
    repl::{Repl, SessionView},
    setup::Setup,
    standing::Standing,
    tasks::{SupervisorOf, Tasks},
    theme::Theme,
    window::{Effect, Window},
};
use control::Control;
use hold::Hold;

/// Said where more is on its way to a session than it takes.
const NOT_KEEPING_UP: &str = "the session does not keep up: try again in a moment";

/// How far the app's end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    NotYet,
    /// Once the supervisor has stopped what it is to stop.
    Leaving,
    /// With that exit code.
    Now(u8),
}

/// How the app ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub code: u8,
    /// What its user should know of the circles that were started here and go on.
    pub farewell: Option<String>,
}

/// The state of the whole screen.
pub(crate) struct App {
    setup: Setup,
    tasks: Tasks,
    circles: Circles,
    keys: Keys,
    repl: Repl,
    logs: Logs,
    control: Control,
    window: Window,
    hold: Hold,
    end: End,
}

impl App {
    /// `first`: the circle to connect to at once, as people name it; `key`: the key to use.
    pub(crate) fn new(setup: Setup, tasks: Tasks, first: Option<String>, key: Option<KeyName>) -> Self {
        let app = Self {
            circles: Circles::default(),
            keys: Keys::new(key),
            repl: Repl::new(tasks.keep_history()),
            logs: Logs::default(),
            control: Control::new(first),
            window: Window::new(Theme::new(setup.has_colours)),
            hold: Hold::default(),
            end: End::NotYet,
            setup,
            tasks,
        };
        app.tasks.read_config(app.setup.config.clone());
        app.tasks.watch_supervisor(SupervisorOf::new(&app.setup));
        if let Some(store) = &app.setup.keystore {
            app.tasks.list_keys(store.clone());
        }
        app
    }

    /// Lists the scratch circle, which is up.
    pub(crate) fn add_scratch(&mut self, name: &str, url: String, owner: KeyPair) {
        let id = self.circles.add_scratch(name, url, self.window.now());
        self.repl.set_scratch(id, owner);
    }

    /// How the app ended, once it has.
    pub(crate) fn ended(&self) -> Option<Ended> {
        match self.end {
            End::Now(code) => Some(Ended { code, farewell: self.farewell() }),
            End::NotYet | End::Leaving => None,
        }
    }

    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        self.window.take_effects()
    }

    /// Whether there is something to draw anew; from now on there is not.
    pub(crate) fn take_stale(&mut self) -> bool {
        self.window.take_stale()
    }

    /// Takes a message.
    pub(crate) fn update(&mut self, Message(event): Message) {
        self.window.wake();
        match event {
            Event::Terminal(event) if self.hold.takes(&event) => self.hold.push(event),
            Event::Terminal(event) => self.terminal(event),
            Event::Tick => {
                self.window.tick(self.is_lively());
                self.hold.tick(self.window.now());
            }
            Event::End(code) => self.end = End::Now(code),
            Event::Complaint(text) => self.complain(text),
            Event::Resolved(previous, resolved) => self.resolved(previous, resolved),
            Event::ConfigRead(read) => self.config_read(read),
            Event::KeysListed(listed) => self.keys_listed(listed),
            Event::KeyMade(made) => self.key_made(made),
            Event::KeyUnlocked(name, unlocked) => self.key_unlocked(&name, unlocked),
            Event::Probed(id, listening) => self.probed(id, listening),
            Event::Logged(id, lines) => lines.iter().for_each(|line| self.logs.push(id, line)),
            Event::SupervisorFound(place) => {
                self.logs.set_follower(self.tasks.follow_logs(place));
                self.follow_shown();
            }
            Event::Supervisor(supervision) => self.supervision(supervision),
            Event::Started(ids, started) => self.started(&ids, started),
            Event::Stopped(stopped) => self.stopped(stopped),
            Event::Released(released) => self.released(released),
            Event::Session(id, event) => self.session_event(id, event),
        }
    }

    /// Whether something in a pane moves by itself.
    fn is_lively(&self) -> bool {
        let is_busy =
            |session: &SessionView| matches!(Standing::of(&session.state), Standing::Running | Standing::Connecting);
        self.repl.sessions().any(is_busy) || self.circles.shows_seconds(self.window.now())
    }

    fn terminal(&mut self, event: TerminalEvent) {
        match event {
            TerminalEvent::Key(key) if key.kind != KeyEventKind::Release => self.key(key),
            TerminalEvent::Paste(text) => self.pasted(&text),
            _ => {}
        }
    }

    fn pasted(&mut self, text: &str) {
        if let Some(popup) = &mut self.window.popup {
            return popup.paste(text);
        }
        if !self.is_typing() {
            return self.say("a paste goes into the REPL: 3, then paste again");
        }
        if self.shown_session().is_some_and(|session| !session.editor.paste(text)) {
            self.complain("the paste was cut: an input has 256 KiB at the most");
        }
    }

    fn key(&mut self, key: KeyEvent) {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        let action = match key.code {
            KeyCode::Char('z') if is_control => return self.window.push_effect(Effect::Suspend),
            KeyCode::Char('l') if is_control => return self.window.push_effect(Effect::Redraw),
            _ if self.window.popup.is_some() => self.popup_key(key),
            KeyCode::F(1) => Some(Action::Help),
            KeyCode::Char('p') if is_control => Some(Action::Palette),
            KeyCode::Char('c') if is_control => Some(Action::Cancel),
            _ if self.is_typing() => self.circles.selected().and_then(|shown| self.repl.typed(key, shown)),
            _ => self.pane_key(key),
        };
        if let Some(action) = action {
            self.act(action);
        }
    }

    /// A key press in the popup, which closes with an action unless it waits for what comes of it.
    fn popup_key(&mut self, key: KeyEvent) -> Option<Action> {
        let popup = self.window.popup.as_mut()?;
        let action = popup.key(key)?;
        if action != Action::Close && !popup.is_busy() {
            self.window.popup = None;
        }
        Some(action)
    }

    /// Whether letters go into the editor.
    fn is_typing(&self) -> bool {
        self.window.focus == super::layout::Pane::Repl && self.repl.is_typing(self.circles.selected())
    }

    fn shown_session(&mut self) -> Option<&mut SessionView> {
        self.repl.get_mut(self.circles.selected()?)
    }

    /// Shows a circle in the panes.
    fn show(&mut self, id: CircleId) {
        self.circles.select(id);
        self.follow_shown();
    }

    /// Follows the log of the circle that is shown, if it has one.
    fn follow_shown(&self) {
        let shown = self.circles.selected().and_then(|id| Some((id, self.circles.get(id)?)));
        if let Some((id, entry)) = shown.filter(|(_, entry)| entry.source == Source::Config) {
            self.logs.follow(id, &entry.name);
        }
    }

    /// Hands something to the session on a circle.
    fn hand(&mut self, id: CircleId, input: impl FnOnce(&SessionHandle) -> Result<(), QueueFull>) {
        if self.repl.get(id).is_some_and(|session| input(&session.session).is_err()) {
            self.complain(NOT_KEEPING_UP);
        }
    }

    fn say(&mut self, text: impl Into<String>) {
        self.window.say(text, false);
    }

    /// Says what went wrong: for a moment here, for longer in the log of the circle that is shown.
    pub(crate) fn complain(&mut self, text: impl Into<String>) {
        let text = text.into();
        if let Some(shown) = self.circles.selected() {
            self.logs.push(shown, &format!("circles tui: {text}"));
        }
        self.window.say(text, true);
    }
}
