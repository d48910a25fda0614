//! Circle control: requests to the supervisor of circles.json, and their outcome.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use frontend::{error::CliError, supervisor::StartCommand, text::StyledLine};
use launcher::{CircleConfig, CircleStatus, Statuses};

use super::App;
use crate::{
    circle_id::CircleId,
    circles::{CircleAvailability, CircleItem, CircleSource, ReportScope, StatusChange},
    event::SupervisorReport,
    popup::Popup,
    repl::SessionView,
    tasks::SupervisorRef,
    toast::ToastTopic,
};

/// Columns for an error of circles.json.
const ERROR_COLUMNS: usize = 72;

/// Starts that wait until circles.json has been read again, because it may have been edited.
#[derive(Debug, Default)]
struct PendingStarts {
    up: BTreeSet<CircleId>,
    restart: BTreeSet<CircleId>,
    /// Every circle that can be started.
    all: bool,
}

/// Health of the supervisor, as far as the app knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum SupervisorHealth {
    /// Not asked yet.
    #[default]
    Unknown,
    /// It answers, or none is running.
    Known,
    /// It does not answer: the panes show its last report.
    Silent,
}

/// State of circle control.
#[derive(Debug, Default)]
pub(super) struct CircleControl {
    health: SupervisorHealth,
    /// Whether a supervisor runs.
    is_supervised: bool,
    /// Why the supervisor does not apply circles.json in its present state.
    refused: Option<String>,
    /// Why circles.json in its present state cannot be used, while no supervisor runs.
    file_error: Option<String>,
    starts: PendingStarts,
    /// Circles that were started here and have not ended.
    pub started: BTreeSet<CircleId>,
    /// Circles that the user has stopped and that drain.
    pub stopping: BTreeSet<CircleId>,
    /// Circles that the user restarts.
    restarting: BTreeSet<CircleId>,
    /// Whether any circle was started here.
    pub has_started: bool,
    /// Whether circles.json has been read.
    is_config_read: bool,
    /// Path of the circles.json that was read.
    config_file: Option<PathBuf>,
    /// Circle to connect to once circles.json has been read and the supervisor has been asked.
    initial_target: Option<String>,
}

type ConfigRead = Result<Option<(PathBuf, Vec<CircleConfig>)>, CliError>;

impl CircleControl {
    pub(super) fn new(first: Option<String>) -> Self {
        Self { initial_target: first, ..Self::default() }
    }

    /// Returns the path of the circles.json that was read.
    pub(super) fn config_file(&self) -> Option<&Path> {
        self.config_file.as_deref()
    }

    /// Returns whether the state of the supervisor is known.
    pub(super) fn is_known(&self) -> bool {
        self.health == SupervisorHealth::Known
    }

    /// Returns whether the user of this screen has a circle stopped or restarted.
    pub(super) fn is_wanted_end(&self, id: CircleId) -> bool {
        self.stopping.contains(&id) || self.restarting.contains(&id)
    }

    /// Returns the mark of the supervisor in the title of the circles pane.
    pub(super) fn mark(&self) -> &'static str {
        if self.health == SupervisorHealth::Silent {
            "no answer"
        } else if self.refused.is_some() || self.file_error.is_some() {
            "circles.json ✗"
        } else {
            ""
        }
    }

    /// Returns whether it is known which circles there are, and which of them are up.
    pub(super) fn are_circles_known(&self) -> bool {
        self.is_config_read && self.health != SupervisorHealth::Unknown
    }
}

impl App {
    pub(super) fn start(&mut self, id: CircleId) {
        let Some(entry) = self.circles.get(id) else { return };
        if !entry.can_be_started() {
            let why = match (entry.source, entry.state()) {
                (CircleSource::Scratch, _) => "is up: press Enter to play there",
                (CircleSource::Address, _) => "is not in circles.json, so it can't be started here",
                (_, CircleAvailability::PortTaken) => "can't be started: another program listens on its port",
                _ => "is already up, or starting",
            };
            let text = format!("{} {why}", entry.name);
            return self.show_hint(text);
        }
        self.control.starts.up.insert(id);
        self.tasks.read_config(self.setup.config.clone());
    }

    pub(super) fn start_all(&mut self) {
        self.control.starts.all = true;
        self.tasks.read_config(self.setup.config.clone());
    }

    pub(super) fn restart(&mut self, id: CircleId) {
        let Some(entry) = self.circles.get(id) else { return };
        let text = format!("restarting {}…", entry.name);
        self.show_progress(id, text);
        self.control.starts.restart.insert(id);
        self.tasks.read_config(self.setup.config.clone());
    }

    pub(super) fn on_config_read(&mut self, read: ConfigRead) {
        match read {
            Ok(found) => {
                self.apply_config(found);
                self.start_pending();
            }
            Err(error) => self.on_config_error(&error),
        }
        self.control.is_config_read = true;
        self.open_first();
    }

    /// Applies a change of circles.json. While a supervisor runs, it reports what is wrong with the file.
    pub(super) fn on_config_changed(&mut self, read: ConfigRead) {
        match read {
            Ok(found) => self.apply_config(found),
            Err(error) if !self.control.is_supervised => {
                let why = error.message();
                if self.control.file_error.as_ref() == Some(&why) {
                    return;
                }
                let text = format!("circles.json has an error; still using the previous version: {why}");
                self.report(text, Some(ToastTopic::Config));
                self.control.file_error = Some(why);
            }
            Err(_) => {}
        }
    }

    fn apply_config(&mut self, found: Option<(PathBuf, Vec<CircleConfig>)>) {
        self.window.dismiss_toast(ToastTopic::Config);
        self.control.file_error = None;
        if let Some((file, circles)) = found {
            self.circles.configure(&circles, &self.tasks);
            self.control.config_file = Some(file);
            self.follow_selected_log();
        } else {
            self.control.config_file = None;
        }
    }

    /// Opens the initial circle once it is known whether it is up already.
    fn open_first(&mut self) {
        if self.control.are_circles_known()
            && let Some(first) = self.control.initial_target.take()
        {
            self.open(&first, None);
        }
    }

    fn start_pending(&mut self) {
        let PendingStarts { mut up, restart, all } = std::mem::take(&mut self.control.starts);
        if all {
            let startable = self.circles.iter().filter(|(_, entry)| entry.can_be_started());
            up.extend(startable.map(|(id, _)| id));
            if up.is_empty() {
                self.show_hint("all circles are already up");
            }
        }
        up.retain(|id| self.circles.get(*id).is_some_and(|entry| entry.can_be_started() || is_removed(entry)));
        self.start_circles(StartCommand::Up, up);
        self.control.restarting.extend(&restart);
        self.start_circles(StartCommand::Restart, restart);
    }

    fn start_circles(&mut self, command: StartCommand, ids: BTreeSet<CircleId>) {
        let (mut starting, mut names) = (Vec::new(), Vec::new());
        for id in ids {
            let Some(entry) = self.circles.get(id) else { continue };
            if is_removed(entry) {
                let text = format!("can't start {}: it is not in circles.json any more", entry.name);
                self.report_error(text);
                continue;
            }
            names.push(entry.name.clone());
            starting.push(id);
            self.control.stopping.remove(&id);
            if entry.is_stopped() {
                self.control.started.insert(id);
                self.control.has_started = true;
            }
            self.circles.set_requested(id, true);
        }
        if !starting.is_empty() {
            self.tasks.start(SupervisorRef::new(&self.setup), command, starting, names);
        }
    }

    /// Handles an error of circles.json: nothing changes.
    fn on_config_error(&mut self, error: &CliError) {
        if !self.control.is_supervised {
            self.control.file_error = Some(error.message());
        }
        let lines: Vec<String> = error.lines(ERROR_COLUMNS).iter().map(StyledLine::to_string).collect();
        let PendingStarts { up, restart, .. } = std::mem::take(&mut self.control.starts);
        for id in up.into_iter().chain(restart) {
            if let Some(session) = self.repl.get_mut(id) {
                session.show_error(error);
            }
        }
        // Also in the log, for when the popup is closed.
        if let Some(shown) = self.circles.selected() {
            for line in &lines {
                self.logs.push(shown, line);
            }
        }
        if self.window.has_form() {
            self.report_error(error.advice());
        } else {
            self.window.popup = Some(Popup::text("circles.json", &lines));
        }
    }

    pub(super) fn on_started(&mut self, ids: &[CircleId], started: Result<Statuses, CliError>) {
        match started {
            Ok(statuses) => {
                self.apply_statuses(statuses.circles, ReportScope::Some);
                self.clear_requested(ids);
            }
            Err(error) => {
                self.clear_requested(ids);
                for id in ids {
                    self.control.restarting.remove(id);
                    if let Some(session) = self.repl.get_mut(*id) {
                        session.show_error(&error);
                    }
                }
                self.report_error(error.advice());
            }
        }
        self.forget_ended();
    }

    fn clear_requested(&mut self, ids: &[CircleId]) {
        for id in ids {
            self.circles.set_requested(*id, false);
        }
    }

    pub(super) fn on_stopped(&mut self, stopped: Result<(), CliError>) {
        if let Err(error) = stopped {
            self.control.stopping.clear();
            self.report_error(error.advice());
        }
    }

    pub(super) fn on_supervisor_report(&mut self, report: SupervisorReport) {
        match report {
            SupervisorReport::Silent(error) => {
                if self.control.health != SupervisorHealth::Silent {
                    self.report(error.advice(), Some(ToastTopic::Supervisor));
                }
                self.control.health = SupervisorHealth::Silent;
            }
            SupervisorReport::Absent => {
                self.control.is_supervised = false;
                self.apply_supervisor_report(Vec::new(), None);
            }
            SupervisorReport::Present(Statuses { circles, refused, .. }) => {
                self.control.is_supervised = true;
                self.control.file_error = None;
                self.apply_supervisor_report(circles, refused);
            }
        }
        self.open_first();
    }

    fn apply_supervisor_report(&mut self, statuses: Vec<CircleStatus>, refused: Option<String>) {
        if self.control.health == SupervisorHealth::Silent {
            self.window.dismiss_toast(ToastTopic::Supervisor);
            self.show_done("the supervisor answers again");
        }
        self.control.health = SupervisorHealth::Known;
        self.apply_statuses(statuses, ReportScope::All);
        self.forget_ended();
        if self.control.refused != refused {
            self.window.dismiss_toast(ToastTopic::Config);
            if let Some(why) = &refused {
                let text = format!("circles.json has an error; still using the previous version: {why}");
                self.report(text, Some(ToastTopic::Config));
            }
            self.control.refused = refused;
        }
    }

    fn forget_ended(&mut self) {
        let is_there = |entry: &CircleItem| entry.is_requested || entry.is_supervised();
        self.control.started.retain(|id| self.circles.get(*id).is_some_and(is_there));
    }

    fn apply_statuses(&mut self, statuses: Vec<CircleStatus>, scope: ReportScope) {
        let changes = self.circles.apply_statuses(statuses, scope, self.window.now(), &self.tasks);
        self.follow_selected_log();
        for (id, change) in changes {
            match change {
                StatusChange::CameUp => {
                    self.control.stopping.remove(&id);
                    self.control.restarting.remove(&id);
                    self.window.dismiss_toast(ToastTopic::Circle(id));
                    self.retry_connection(id);
                }
                StatusChange::Failed => self.on_circle_failed(id),
                StatusChange::Refused => self.on_change_refused(id),
                StatusChange::Restarted => {
                    self.on_circle_restarted(id);
                    self.retry_connection(id);
                }
            }
        }
        self.report_stopped();
    }

    /// Reports the circles that have stopped because the user wanted it.
    fn report_stopped(&mut self) {
        let is_stopped = |id: &CircleId| self.circles.get(*id).is_none_or(|entry| !entry.is_supervised());
        let stopped: Vec<CircleId> = self.control.stopping.iter().copied().filter(is_stopped).collect();
        for id in stopped {
            self.control.stopping.remove(&id);
            self.window.dismiss_toast(ToastTopic::Circle(id));
            if let Some(entry) = self.circles.get(id) {
                let text = format!("stopped {}", entry.name);
                self.show_done(text);
            }
        }
    }

    fn on_change_refused(&mut self, id: CircleId) {
        let Some(entry) = self.circles.get(id) else { return };
        let text = format!(
            "{} keeps its previous configuration: {}",
            entry.name,
            entry.refused().unwrap_or("no reason given")
        );
        self.report(text, Some(ToastTopic::Circle(id)));
    }

    fn on_circle_restarted(&mut self, id: CircleId) {
        let Some(entry) = self.circles.get(id) else { return };
        let text = format!("{} ended and was restarted; see its log (4)", entry.name);
        self.report(text, Some(ToastTopic::Circle(id)));
    }

    fn on_circle_failed(&mut self, id: CircleId) {
        let Some(entry) = self.circles.get(id) else { return };
        let is_restarting = entry.state() == CircleAvailability::BackingOff;
        let again = if is_restarting { "; restarting" } else { "" };
        let why = entry.failure_reason().unwrap_or("exited");
        let text = format!("{} is down: {why}{again}; see its log (4)", entry.name);
        // A session that has lost its connection has said so, and says when it is back.
        let is_waiting = |session: &SessionView| {
            session.is_awaited && !session.is_lost || !is_restarting && session.state.is_reconnect_enabled
        };
        match self.repl.get_mut(id) {
            Some(session) if is_waiting(session) => {
                session.note(&text);
                self.report_in_transcript(id, &text);
            }
            _ => self.report(text, Some(ToastTopic::Circle(id))),
        }
    }
}

/// Returns whether circles.json does not have the circle any more.
fn is_removed(entry: &CircleItem) -> bool {
    entry.source == CircleSource::Address
}
