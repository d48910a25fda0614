//! What is wished of the supervisor of circles.json, and what comes of it.

use std::{collections::BTreeSet, path::PathBuf};

use launcher::{Circle, CircleStatus, Statuses};

use super::{
    App,
    action::Action,
    circles::{Change, Entry, Extent, Origin, State},
    id::CircleId,
    message::Supervision,
    popup::Popup,
    work::Follower,
};
use frontend::{error::CliError, supervisor::Wish, text::Line};

/// Columns that a mistake in circles.json is shown within.
const MISTAKE: usize = 72;

/// What is wished once circles.json has been read: it may have been edited meanwhile, and is to be right.
#[derive(Debug, Default)]
pub(super) struct Orders {
    up: BTreeSet<CircleId>,
    restart: BTreeSet<CircleId>,
    /// Whatever can be is to be up.
    all: bool,
}

/// How the supervisor stands, as far as the app knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Standby {
    /// It has not been asked yet.
    #[default]
    Unknown,
    /// It answers, or there is none.
    Known,
    /// It does not answer: what is shown is what it said last.
    Silent,
}

/// What the app has to do with the supervisor.
#[derive(Debug, Default)]
pub(super) struct Background {
    pub standby: Standby,
    /// Why circles.json as it is now is not taken over, where it is not.
    pub refused: Option<String>,
    pub follower: Option<Follower>,
    orders: Orders,
    /// The circles that were started here and have not ended.
    pub started: BTreeSet<CircleId>,
    /// Whether any was.
    pub has_started: bool,
    /// Whether circles.json has been read.
    is_configured: bool,
}

type Configured = Result<Option<(PathBuf, Vec<Circle>)>, CliError>;

impl App {
    pub(super) fn start(&mut self, id: CircleId) {
        let Some(entry) = self.circles.get(id) else { return };
        if !entry.can_be_started() {
            let why = match (entry.origin, entry.state()) {
                (Origin::Throwaway, _) => "is up: Enter plays there",
                (Origin::Address, _) => "is not in circles.json: only what is there can be started",
                (_, State::Taken) => "cannot be started: what listens on its port is another program",
                _ => "is up, or about to be",
            };
            let text = format!("{} {why}", entry.name);
            return self.say(text);
        }
        self.background.orders.up.insert(id);
        self.work.read_config(self.setup.config.clone());
    }

    pub(super) fn start_all(&mut self) {
        self.background.orders.all = true;
        self.work.read_config(self.setup.config.clone());
    }

    pub(super) fn restart(&mut self, id: CircleId) {
        self.background.orders.restart.insert(id);
        self.work.read_config(self.setup.config.clone());
    }

    pub(super) fn stop(&mut self, id: CircleId) {
        let Some(entry) = self.circles.get(id) else { return };
        let name = entry.name.clone();
        self.say(format!("draining {name}…"));
        self.work.stop(self.setup.supervisor(), vec![name]);
    }

    /// Asks before others lose what they have on a circle.
    pub(super) fn ask(&mut self, id: CircleId, what: &str, yes: Action) {
        let Some(entry) = self.circles.get(id) else { return };
        if !entry.can_be_stopped() {
            let why = match (entry.origin, entry.state()) {
                (Origin::Throwaway, _) => "is inside of this program, and ends with it",
                (Origin::Config, State::Elsewhere) => {
                    "was started elsewhere, without a supervisor of this circles.json"
                }
                (Origin::Config, State::Stopping) => "is stopping already",
                (Origin::Config, _) if matches!(yes, Action::Restart(_)) => return self.start(id),
                (Origin::Config, _) => "is not up",
                (Origin::Address, _) => "is not in circles.json",
            };
            let text = format!("{} {why}", entry.name);
            return self.say(text);
        }
        let question =
            format!("{what} {}? What others play there is cancelled, and their variables are gone.", entry.name);
        self.popup = Some(Popup::Confirm { question, yes });
    }

    pub(super) fn configured(&mut self, read: Configured) {
        match read {
            Ok(found) => {
                if let Some((file, circles)) = found {
                    self.circles.configure(&circles, &self.work);
                    self.config_file = Some(file);
                }
                self.carry_out_orders();
            }
            Err(error) => self.mistaken(&error),
        }
        self.background.is_configured = true;
        self.open_first();
    }

    /// Whether a circle is up already is to be known before it is connected to.
    fn open_first(&mut self) {
        if self.background.is_configured
            && self.background.standby != Standby::Unknown
            && let Some(first) = self.first.take()
        {
            self.open(&first, None);
        }
    }

    fn carry_out_orders(&mut self) {
        let Orders { mut up, restart, all } = std::mem::take(&mut self.background.orders);
        if all {
            let startable = self.circles.iter().filter(|(_, entry)| entry.can_be_started());
            up.extend(startable.map(|(id, _)| id));
            if up.is_empty() {
                self.say("there is nothing to start: every circle of circles.json is up, or there is none");
            }
        }
        up.retain(|id| self.circles.get(*id).is_some_and(|entry| entry.can_be_started() || is_gone(entry)));
        self.order(Wish::Up, up);
        self.order(Wish::Restart, restart);
    }

    fn order(&mut self, wish: Wish, ids: BTreeSet<CircleId>) {
        let (mut wanted, mut names) = (Vec::new(), Vec::new());
        for id in ids {
            let Some(entry) = self.circles.get(id) else { continue };
            if is_gone(entry) {
                let text = format!("{} cannot be started: circles.json does not have it any more", entry.name);
                self.complain(text);
                continue;
            }
            names.push(entry.name.clone());
            wanted.push(id);
            if entry.is_idle() {
                self.background.started.insert(id);
                self.background.has_started = true;
            }
            self.circles.order(id, true);
        }
        if !wanted.is_empty() {
            self.work.order(self.setup.supervisor(), wish, wanted, names);
        }
    }

    /// circles.json has a mistake: nothing is changed.
    fn mistaken(&mut self, error: &CliError) {
        let lines: Vec<String> = error.lines(MISTAKE).iter().map(Line::to_string).collect();
        let Orders { up, restart, .. } = std::mem::take(&mut self.background.orders);
        for id in up.into_iter().chain(restart) {
            if let Some(session) = self.sessions.get_mut(&id) {
                let lines = error.lines(session.transcript.width());
                session.transcript.extend(lines);
            }
        }
        // It can be read again where it has gone from the screen.
        if let Some(shown) = self.circles.selected() {
            for line in &lines {
                self.logs.push(shown, line);
            }
        }
        if self.popup.as_ref().is_some_and(Popup::is_form) {
            self.complain(error.advice());
        } else {
            self.popup = Some(Popup::text("circles.json", &lines));
        }
    }

    pub(super) fn ordered(&mut self, ids: &[CircleId], told: Result<Statuses, CliError>) {
        match told {
            Ok(statuses) => {
                self.take(statuses.circles, Extent::Some);
                self.answered(ids);
            }
            Err(error) => {
                self.answered(ids);
                for id in ids {
                    if let Some(session) = self.sessions.get_mut(id) {
                        let lines = error.lines(session.transcript.width());
                        session.transcript.extend(lines);
                    }
                }
                self.complain(error.advice());
            }
        }
        self.forget_ended();
    }

    fn answered(&mut self, ids: &[CircleId]) {
        for id in ids {
            self.circles.order(*id, false);
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
                if self.background.standby != Standby::Silent {
                    self.complain(error.advice());
                }
                self.background.standby = Standby::Silent;
            }
            Supervision::Absent => self.heard(Vec::new(), None),
            Supervision::Present(Statuses { circles, refused, .. }) => self.heard(circles, refused),
        }
        self.open_first();
    }

    fn heard(&mut self, statuses: Vec<CircleStatus>, refused: Option<String>) {
        if self.background.standby == Standby::Silent {
            self.say("the supervisor answers again");
        }
        self.background.standby = Standby::Known;
        self.take(statuses, Extent::All);
        self.forget_ended();
        if self.background.refused != refused {
            if let Some(why) = &refused {
                self.complain(format!("circles.json has a mistake, and circles go on as they are: {why}"));
            }
            self.background.refused = refused;
        }
    }

    fn forget_ended(&mut self) {
        let is_there = |entry: &Entry| entry.is_ordered || entry.is_kept_up();
        self.background.started.retain(|id| self.circles.get(*id).is_some_and(is_there));
    }

    fn take(&mut self, statuses: Vec<CircleStatus>, extent: Extent) {
        // A circle can be gone and back before the next tick.
        self.look_after_connections();
        for (id, change) in self.circles.take(statuses, extent, self.now, &self.work) {
            match change {
                Change::CameUp => self.is_back(id),
                Change::Fell => self.fell(id),
                Change::Refused => self.refused_change(id),
                Change::CameBack => {
                    self.came_back(id);
                    self.is_back(id);
                }
            }
        }
    }

    fn refused_change(&mut self, id: CircleId) {
        let Some(entry) = self.circles.get(id) else { return };
        let text = format!("{} goes on as it was: {}", entry.name, entry.refused().unwrap_or("it does not say why"));
        self.complain(text);
    }

    fn came_back(&mut self, id: CircleId) {
        let Some(entry) = self.circles.get(id) else { return };
        let text = format!("{} ended, and was started again; its log says why (4)", entry.name);
        self.complain(text);
    }

    fn fell(&mut self, id: CircleId) {
        let Some(entry) = self.circles.get(id) else { return };
        let again = if entry.state() == State::BackingOff { ", and is started again" } else { "" };
        let why = entry.why().unwrap_or("it ended");
        let text = format!("{} is down: {why}{again}; its log says more (4)", entry.name);
        if let Some(session) = self.sessions.get_mut(&id).filter(|session| session.is_wanted) {
            session.note(&text);
        }
        self.complain(text);
    }
}

/// Whether circles.json does not have it any more.
fn is_gone(entry: &Entry) -> bool {
    entry.origin == Origin::Address
}
