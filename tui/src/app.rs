//! The terminal interface: one message enum, one bounded queue, one loop.
//!
//! Everything that takes time happens elsewhere (`work`) and posts a [`Message`]; the loop (`run`) hands one after the other
//! to the app, which changes its state and draws. A view is a file: it draws its pane, and says by an action what it wants
//! done that is not its own affair.

mod act;
mod action;
mod choices;
mod chrome;
mod circles;
mod commands;
mod draw;
mod each;
mod editor;
pub mod headless;
mod help;
mod id;
mod keys;
mod layout;
mod leaving;
mod list;
mod logs;
mod message;
mod news;
mod orders;
mod plays;
mod popup;
mod repl;
pub(crate) mod run;
pub(crate) mod screen;
mod session;
mod theme;
mod transcript;
mod welcome;
pub(crate) mod work;
mod wrap;

use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
    time::Instant,
};

use ::keys::{KeyPair, keystore::KeyName};
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use rhai::Engine;

use console::{history::Keeper, validate::Validator};
pub use frontend::supervisor::{Directories, Supervisors};
use action::Action;
use chrome::Toast;
use circles::{Circles, Origin};
use editor::Wanted;
use help::Here;
use id::CircleId;
use keys::Keys;
use layout::Pane;
use logs::Logs;
pub use message::Message;
use message::News;
use orders::Background;
use popup::{Answer, Popup};
use session::{Session, Standing};
use theme::Theme;
pub use work::Setup;
use work::Work;

/// What only the loop can do, because it has the terminal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Put a text on the clipboard.
    Copy(String),
    /// Leave the terminal to an editor until that ends; what comes back goes into the editor of that circle.
    Edit(CircleId, String),
    /// Leave the terminal to the shell until it gives it back.
    Suspend,
    /// Draw everything anew.
    Redraw,
}

/// How far the app's end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    NotYet,
    /// It is wanted once the supervisor has done what it was told.
    Leaving,
    /// With that exit code.
    Now(u8),
}

/// How the app ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub code: u8,
    /// What its user is to know of the circles that were started here and go on.
    pub farewell: Option<String>,
}

/// The state of the whole screen.
pub(crate) struct App {
    setup: Setup,
    work: Work,
    theme: Theme,
    lexer: Engine,
    validator: Validator,
    circles: Circles,
    keys: Keys,
    logs: Logs,
    sessions: HashMap<CircleId, Session>,
    /// The key that the throw-away circle is for.
    throwaway: Option<(CircleId, std::sync::Arc<KeyPair>)>,
    focus: Pane,
    /// Whether the REPL's editor takes what is typed.
    is_typing: bool,
    is_zoomed: bool,
    popup: Option<Popup>,
    toast: Option<Toast>,
    /// A circle to connect to as soon as circles.json has been read and its supervisor has been asked.
    first: Option<String>,
    background: Background,
    /// The circles.json that was read.
    config_file: Option<PathBuf>,
    /// Who waits for a key to be unlocked.
    proofs: HashMap<KeyName, BTreeSet<CircleId>>,
    keeper: Keeper,
    effects: Vec<Effect>,
    /// Whether what is shown may no longer be true.
    is_stale: bool,
    end: End,
    begun: Instant,
    now: Instant,
}

impl App {
    /// `first`: the circle to connect to at once, as people say it; `key`: the key to be.
    pub(crate) fn new(setup: Setup, work: Work, first: Option<String>, key: Option<KeyName>) -> Self {
        let now = Instant::now();
        let app = Self {
            theme: Theme::new(setup.has_colours),
            lexer: Engine::new_raw(),
            validator: Validator::new(),
            circles: Circles::default(),
            keys: Keys::new(key),
            logs: Logs::default(),
            sessions: HashMap::new(),
            throwaway: None,
            focus: Pane::Circles,
            is_typing: false,
            is_zoomed: false,
            popup: None,
            toast: None,
            first,
            background: Background::default(),
            config_file: None,
            proofs: HashMap::new(),
            keeper: work.keep_history(),
            effects: Vec::new(),
            is_stale: true,
            end: End::NotYet,
            begun: now,
            now,
            setup,
            work,
        };
        app.work.read_config(app.setup.config.clone());
        app.work.watch_supervisor(app.setup.supervisor());
        if let Some(store) = &app.setup.keystore {
            app.work.list_keys(store.clone());
        }
        app
    }

    /// Lists the throw-away circle, which is up.
    pub(crate) fn add_throwaway(&mut self, name: &str, url: String, keypair: KeyPair) {
        let id = self.circles.add_throwaway(name, url, self.now);
        self.throwaway = Some((id, keypair.into()));
    }

    /// How the app ended, once it has.
    pub(crate) fn ended(&self) -> Option<Ended> {
        match self.end {
            End::Now(code) => Some(Ended { code, farewell: self.farewell() }),
            End::NotYet | End::Leaving => None,
        }
    }

    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Takes a message.
    pub(crate) fn update(&mut self, Message(news): Message) {
        self.now = Instant::now();
        self.is_stale = true;
        match news {
            News::Terminal(event) => self.terminal(event),
            News::Tick => self.tick(),
            News::End(code) => self.end = End::Now(code),
            News::Complaint(text) => self.complain(text),
            News::Resolved(from, resolved) => self.resolved(from, resolved),
            News::Saved(id, saved) => self.saved(id, saved),
            News::Configured(read) => self.configured(read),
            News::Listed(listed) => self.listed(listed),
            News::Made(made) => self.made(made),
            News::Unlocked(name, unlocked) => self.unlocked(name, unlocked),
            News::Circle(id, news) => self.circle_news(id, news),
            News::Placed(place) => self.background.follower = Some(self.work.follow_logs(place)),
            News::Supervisor(supervision) => self.supervision(supervision),
            News::Ordered(ids, told) => self.ordered(&ids, told),
            News::Stopped(stopped) => self.stopped(stopped),
            News::Released(released) => self.released(released),
            News::Session(id, connection, news) => self.session_news(id, connection, news),
        }
        self.gather();
        self.follow_shown();
    }

    /// The log of a circle is followed from when it is shown for the first time.
    fn follow_shown(&self) {
        let shown = self.circles.selected().and_then(|id| Some((id, self.circles.get(id)?)));
        if let (Some(follower), Some((id, entry))) = (&self.background.follower, shown)
            && entry.origin == Origin::Config
        {
            follower.follow(id, &entry.name);
        }
    }

    /// Whether there is something to draw anew; from now on there is not.
    pub(crate) fn take_stale(&mut self) -> bool {
        std::mem::take(&mut self.is_stale)
    }

    /// Whether something on the screen moves by itself.
    fn is_lively(&self) -> bool {
        let is_busy = |session: &Session| matches!(session.standing(), Standing::Running | Standing::Connecting);
        self.toast.is_some()
            || self.popup.as_ref().is_some_and(Popup::is_busy)
            || self.sessions.values().any(is_busy)
            || self.circles.shows_seconds(self.now)
    }

    fn tick(&mut self) {
        self.is_stale = self.is_lively();
        if self.toast.as_ref().is_some_and(|toast| toast.is_over(self.now)) {
            self.toast = None;
        }
        self.look_after_connections();
    }

    fn terminal(&mut self, event: Event) {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.key(key),
            Event::Paste(text) => self.pasted(&text),
            _ => {}
        }
    }

    fn pasted(&mut self, text: &str) {
        if let Some(popup) = &mut self.popup {
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
        match key.code {
            KeyCode::Char('z') if is_control => return self.effects.push(Effect::Suspend),
            KeyCode::Char('l') if is_control => return self.effects.push(Effect::Redraw),
            _ => {}
        }
        if self.popup.is_some() {
            return self.popup_key(key);
        }
        let action = match key.code {
            KeyCode::F(1) => Some(Action::Help),
            KeyCode::Char('p') if is_control => Some(Action::Palette),
            KeyCode::Char('c') if is_control => Some(Action::Cancel),
            _ if self.is_typing() => self.typed(key),
            _ => self.pane_key(key),
        };
        if let Some(action) = action {
            self.act(action);
        }
    }

    fn popup_key(&mut self, key: KeyEvent) {
        let Some(popup) = &mut self.popup else { return };
        match popup.key(key) {
            Answer::Stay => {}
            Answer::Close => match self.popup.take() {
                Some(Popup::Passphrase(form)) => self.give_up_proof(&form.key),
                Some(Popup::Leaving(_)) => self.end = End::NotYet,
                _ => {}
            },
            Answer::Do(action) => {
                self.popup = None;
                self.act(action);
            }
            Answer::Open(text) => self.open(&text, None),
            Answer::MakeKey(name, passphrase) => {
                if let Some(store) = &self.setup.keystore {
                    self.work.make_key(store.clone(), name, passphrase, self.setup.work_factor);
                }
            }
            Answer::Unlock(name, passphrase) => {
                if let Some(store) = &self.setup.keystore {
                    self.work.unlock(store.clone(), name, passphrase);
                }
            }
        }
    }

    /// A key press in the editor.
    fn typed(&mut self, key: KeyEvent) -> Option<Action> {
        let session = self.shown_session()?;
        match key.code {
            KeyCode::PageUp => session.transcript.page(-1),
            KeyCode::PageDown => session.transcript.page(1),
            KeyCode::Char('d') if key.modifiers.contains(KeyModifiers::CONTROL) && session.editor.is_empty() => {
                return Some(Action::StopTyping);
            }
            _ => {
                return match session.editor.key(key) {
                    Wanted::Nothing => None,
                    Wanted::Submit => Some(Action::Submit),
                    Wanted::Complete => Some(Action::Complete),
                    Wanted::Edit => Some(Action::Edit),
                    Wanted::Leave => Some(Action::StopTyping),
                };
            }
        }
        None
    }

    /// A key press outside of the editor: first what works everywhere, then what works in the pane.
    fn pane_key(&mut self, key: KeyEvent) -> Option<Action> {
        match key.code {
            KeyCode::Char(digit @ '1'..='4') => {
                let index = digit.to_digit(10).unwrap_or(1) as usize - 1;
                Some(Action::Focus(Pane::ALL[index]))
            }
            KeyCode::Tab => Some(Action::Focus(self.focus.step(1))),
            KeyCode::BackTab => Some(Action::Focus(self.focus.step(-1))),
            KeyCode::Char('?') => Some(Action::Help),
            KeyCode::Char('f') => Some(Action::Zoom),
            KeyCode::Char('q') => Some(Action::Quit),
            _ => match self.focus {
                Pane::Circles => self.circles.key(key),
                Pane::Keys => self.keys.key(key),
                Pane::Repl => self.repl_key(key),
                Pane::Logs => self.logs.key(key, self.circles.selected()),
            },
        }
    }

    fn repl_key(&mut self, key: KeyEvent) -> Option<Action> {
        let shown = self.circles.selected()?;
        let session = self.sessions.get_mut(&shown);
        match (key.code, session) {
            (KeyCode::Enter | KeyCode::Char('i'), Some(session)) if session.is_ready() => {
                return Some(Action::Focus(Pane::Repl));
            }
            (KeyCode::Enter, _) => return Some(Action::Connect(shown)),
            (KeyCode::Char('a'), _) => return Some(Action::Authenticate(shown)),
            (KeyCode::Up | KeyCode::Char('k'), Some(session)) => session.transcript.scroll(-1),
            (KeyCode::Down | KeyCode::Char('j'), Some(session)) => session.transcript.scroll(1),
            (KeyCode::PageUp, Some(session)) => session.transcript.page(-1),
            (KeyCode::PageDown, Some(session)) => session.transcript.page(1),
            (KeyCode::Home | KeyCode::Char('g'), Some(session)) => session.transcript.scroll_to_begin(),
            (KeyCode::End | KeyCode::Char('G'), Some(session)) => session.transcript.follow(),
            (KeyCode::Char('y'), Some(session)) => {
                return Some(Action::Copy(session.transcript.last().to_owned(), "the last output"));
            }
            // What can be done with a circle can be done where it is shown.
            _ => return self.circles.key(key).filter(|_| matches!(key.code, KeyCode::Char(_))),
        }
        None
    }

    /// Whether letters go into the editor.
    fn is_typing(&self) -> bool {
        let session = self.circles.selected().and_then(|shown| self.sessions.get(&shown));
        self.focus == Pane::Repl && self.is_typing && session.is_some_and(Session::takes_input)
    }

    fn here(&self) -> Here {
        let session = self.circles.selected().and_then(|shown| self.sessions.get(&shown));
        match self.focus {
            Pane::Repl if self.is_typing() => Here::Editor,
            Pane::Repl if !session.is_some_and(Session::is_ready) => Here::NotReady,
            pane => Here::Pane(pane),
        }
    }

    fn shown_session(&mut self) -> Option<&mut Session> {
        self.sessions.get_mut(&self.circles.selected()?)
    }

    fn say(&mut self, text: impl Into<String>) {
        self.toast = Some(Toast::new(text.into(), false, self.now));
    }

    /// Says what went wrong: for a moment here, for longer in the log of the circle that is shown.
    pub(crate) fn complain(&mut self, text: impl Into<String>) {
        let text = text.into();
        if let Some(shown) = self.circles.selected() {
            self.logs.push(shown, &format!("circles tui: {text}"));
        }
        self.toast = Some(Toast::new(text, true, self.now));
    }
}
