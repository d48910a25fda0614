//! Circle control: what the supervisor of circles.json is to do, and what comes of it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use frontend::{error::CliError, supervisor::StartCommand, text::StyledLine};
use launcher::{CircleConfig, CircleStatus, Statuses};

use super::App;
use crate::{
    action::Action,
    circles::{Change, Entry, Extent, Source, State},
    event::Supervision,
    id::CircleId,
    popup::Popup,
    tasks::SupervisorOf,
};

/// Columns that a mistake in circles.json is shown within.
const MISTAKE: usize = 72;

/// What to start once circles.json has been read: it may have been edited meanwhile.
#[derive(Debug, Default)]
struct Starts {
    up: BTreeSet<CircleId>,
    restart: BTreeSet<CircleId>,
    /// Whatever can be started.
    all: bool,
}

/// How the supervisor is, as far as the app knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum SupervisorHealth {
    /// It has not been asked yet.
    #[default]
    Unknown,
    /// It answers, or there is none.
    Known,
    /// It does not answer: what is shown is what it said last.
    Silent,
}

/// What the app has to do with the supervisor of circles.json.
#[derive(Debug, Default)]
pub(super) struct Control {
    health: SupervisorHealth,
    /// Why circles.json as it is now is not applied, where it is not.
    refused: Option<String>,
    starts: Starts,
    /// The circles that were started here and have not ended.
    pub started: BTreeSet<CircleId>,
    /// Whether any was.
    pub has_started: bool,
    /// Whether circles.json has been read.
    is_configured: bool,
    /// The circles.json that was read.
    config_file: Option<PathBuf>,
    /// A circle to connect to as soon as circles.json has been read and its supervisor has been asked.
    first: Option<String>,
}

type ConfigRead = Result<Option<(PathBuf, Vec<CircleConfig>)>, CliError>;

impl Control {
    pub(super) fn new(first: Option<String>) -> Self {
        Self { first, ..Self::default() }
    }

    /// The circles.json that was read.
    pub(super) fn config_file(&self) -> Option<&Path> {
        self.config_file.as_deref()
    }

    /// Whether the supervisor answers, as far as is known.
    pub(super) fn is_known(&self) -> bool {
        self.health == SupervisorHealth::Known
    }

    /// What the circles' pane says of the supervisor.
    pub(super) fn mark(&self) -> &'static str {
        match (self.health, &self.refused) {
            (SupervisorHealth::Silent, _) => "no answer",
            (_, Some(_)) => "circles.json ✗",
            _ => "",
        }
    }
}

impl App {
    pub(super) fn start(&mut self, id: CircleId) {
        let Some(entry) = self.circles.get(id) else { return };
        if !entry.can_be_started() {
            let why = match (entry.source, entry.state()) {
                (Source::Scratch, _) => "is up: Enter plays there",
                (Source::Address, _) => "is not in circles.json: only what is there can be started",
                (_, State::Taken) => "cannot be started: what listens on its port is another program",
                _ => "is up, or about to be",
            };
            let text = format!("{} {why}", entry.name);
            return self.say(text);
        }
        self.control.starts.up.insert(id);
        self.tasks.read_config(self.setup.config.clone());
    }

    pub(super) fn start_all(&mut self) {
        self.control.starts.all = true;
        self.tasks.read_config(self.setup.config.clone());
    }

    pub(super) fn restart(&mut self, id: CircleId) {
        self.control.starts.restart.insert(id);
        self.tasks.read_config(self.setup.config.clone());
    }

    /// Asks before others lose what they have on a circle.
    pub(super) fn ask(&mut self, id: CircleId, what: &str, yes: Action) {
        let Some(entry) = self.circles.get(id) else { return };
        if !entry.can_be_stopped() {
            let why = match (entry.source, entry.state()) {
                (Source::Scratch, _) => "is inside of this program, and ends with it",
                (Source::Config, State::Elsewhere) => {
                    "was started elsewhere, without a supervisor of this circles.json"
                }
                (Source::Config, State::Stopping) => "is stopping already",
                (Source::Config, _) if matches!(yes, Action::Restart(_)) => return self.start(id),
                (Source::Config, _) => "is not up",
                (Source::Address, _) => "is not in circles.json",
            };
            let text = format!("{} {why}", entry.name);
            return self.say(text);
        }
        let question =
            format!("{what} {}? What others play there is cancelled, and their variables are gone.", entry.name);
        self.window.popup = Some(Popup::Confirm { question, yes });
    }

    pub(super) fn config_read(&mut self, read: ConfigRead) {
        match read {
            Ok(found) => {
                if let Some((file, circles)) = found {
                    self.circles.configure(&circles, &self.tasks);
                    self.control.config_file = Some(file);
                    self.follow_shown();
                }
                self.start_what_waits();
            }
            Err(error) => self.config_is_mistaken(&error),
        }
        self.control.is_configured = true;
        self.open_first();
    }

    /// Whether a circle is up already is to be known before it is connected to.
    fn open_first(&mut self) {
        if self.control.is_configured
            && self.control.health != SupervisorHealth::Unknown
            && let Some(first) = self.control.first.take()
        {
            self.open(&first, None);
        }
    }

    fn start_what_waits(&mut self) {
        let Starts { mut up, restart, all } = std::mem::take(&mut self.control.starts);
        if all {
            let startable = self.circles.iter().filter(|(_, entry)| entry.can_be_started());
            up.extend(startable.map(|(id, _)| id));
            if up.is_empty() {
                self.say("there is nothing to start: every circle of circles.json is up, or there is none");
            }
        }
        up.retain(|id| self.circles.get(*id).is_some_and(|entry| entry.can_be_started() || is_gone(entry)));
        self.start_circles(StartCommand::Up, up);
        self.start_circles(StartCommand::Restart, restart);
    }

    fn start_circles(&mut self, wish: StartCommand, ids: BTreeSet<CircleId>) {
        let (mut starting, mut names) = (Vec::new(), Vec::new());
        for id in ids {
            let Some(entry) = self.circles.get(id) else { continue };
            if is_gone(entry) {
                let text = format!("{} cannot be started: circles.json does not have it any more", entry.name);
                self.complain(text);
                continue;
            }
            names.push(entry.name.clone());
            starting.push(id);
            if entry.is_idle() {
                self.control.started.insert(id);
                self.control.has_started = true;
            }
            self.circles.set_requested(id, true);
        }
        if !starting.is_empty() {
            self.tasks.start(SupervisorOf::new(&self.setup), wish, starting, names);
        }
    }

    /// circles.json has a mistake: nothing is changed.
    fn config_is_mistaken(&mut self, error: &CliError) {
        let lines: Vec<String> = error.lines(MISTAKE).iter().map(StyledLine::to_string).collect();
        let Starts { up, restart, .. } = std::mem::take(&mut self.control.starts);
        for id in up.into_iter().chain(restart) {
            if let Some(session) = self.repl.get_mut(id) {
                session.show_error(error);
            }
        }
        // It can be read again where it has gone from the screen.
        if let Some(shown) = self.circles.selected() {
            for line in &lines {
                self.logs.push(shown, line);
            }
        }
        if self.window.has_form() {
            self.complain(error.advice());
        } else {
            self.window.popup = Some(Popup::text("circles.json", &lines));
        }
    }

    pub(super) fn started(&mut self, ids: &[CircleId], started: Result<Statuses, CliError>) {
        match started {
            Ok(statuses) => {
                self.take_statuses(statuses.circles, Extent::Some);
                self.supervisor_answered(ids);
            }
            Err(error) => {
                self.supervisor_answered(ids);
                for id in ids {
                    if let Some(session) = self.repl.get_mut(*id) {
                        session.show_error(&error);
                    }
                }
                self.complain(error.advice());
            }
        }
        self.forget_ended();
    }

    fn supervisor_answered(&mut self, ids: &[CircleId]) {
        for id in ids {
            self.circles.set_requested(*id, false);
        }
    }

    pub(super) fn stopped(&mut self, stopped: Result<(), CliError>) {
        if let Err(error) = stopped {
            self.complain(error.advice());
        }
    }

    pub(super) fn supervision(&mut self, supervision: Supervision) {
        match supervision {
            Supervision::Silent(error) => {
                if self.control.health != SupervisorHealth::Silent {
                    self.complain(error.advice());
                }
                self.control.health = SupervisorHealth::Silent;
            }
            Supervision::Absent => self.supervisor_reported(Vec::new(), None),
            Supervision::Present(Statuses { circles, refused, .. }) => self.supervisor_reported(circles, refused),
        }
        self.open_first();
    }

    fn supervisor_reported(&mut self, statuses: Vec<CircleStatus>, refused: Option<String>) {
        if self.control.health == SupervisorHealth::Silent {
            self.say("the supervisor answers again");
        }
        self.control.health = SupervisorHealth::Known;
        self.take_statuses(statuses, Extent::All);
        self.forget_ended();
        if self.control.refused != refused {
            if let Some(why) = &refused {
                self.complain(format!("circles.json has a mistake, and circles go on as they are: {why}"));
            }
            self.control.refused = refused;
        }
    }

    fn forget_ended(&mut self) {
        let is_there = |entry: &Entry| entry.is_requested || entry.is_kept_up();
        self.control.started.retain(|id| self.circles.get(*id).is_some_and(is_there));
    }

    fn take_statuses(&mut self, statuses: Vec<CircleStatus>, extent: Extent) {
        let changes = self.circles.take(statuses, extent, self.window.now(), &self.tasks);
        self.follow_shown();
        for (id, change) in changes {
            match change {
                Change::CameUp => self.is_back(id),
                Change::Fell => self.circle_fell(id),
                Change::Refused => self.change_refused(id),
                Change::CameBack => {
                    self.circle_came_back(id);
                    self.is_back(id);
                }
            }
        }
    }

    fn change_refused(&mut self, id: CircleId) {
        let Some(entry) = self.circles.get(id) else { return };
        let text = format!("{} goes on as it was: {}", entry.name, entry.refused().unwrap_or("it does not say why"));
        self.complain(text);
    }

    fn circle_came_back(&mut self, id: CircleId) {
        let Some(entry) = self.circles.get(id) else { return };
        let text = format!("{} ended, and was started again; its log says why (4)", entry.name);
        self.complain(text);
    }

    fn circle_fell(&mut self, id: CircleId) {
        let Some(entry) = self.circles.get(id) else { return };
        let again = if entry.state() == State::BackingOff { ", and is started again" } else { "" };
        let why = entry.why().unwrap_or("it ended");
        let text = format!("{} is down: {why}{again}; its log says more (4)", entry.name);
        if let Some(session) =
            self.repl.get_mut(id).filter(|session| session.is_awaited || session.state.is_reconnect_enabled)
        {
            session.note(&text);
        }
        self.complain(text);
    }
}

/// Whether circles.json does not have it any more.
fn is_gone(entry: &Entry) -> bool {
    entry.source == Source::Address
}
