//! Applies the changes in circles.json.

use std::sync::Arc;

use protocol::RpcError;
use tokio::{sync::mpsc, task::JoinSet};

use super::{CircleEntry, ReloadTrigger, Supervisor, SupervisorCommand, SupervisorSnapshot};
use crate::{
    CircleChange, CircleEvent, CircleEventKind, CircleState, ConfigError, ReloadAction,
    circle_runner::DesiredDefinition,
    config_reader::ConfigReader,
    config_watch::watch,
    definition::CircleDefinition,
    diff::{CircleField, EntryStatus, plan_change},
};

/// Name under which a supervisor logs its own lines; no circle can have it.
pub const SUPERVISOR_LOG_NAME: &str = "(supervisor)";

impl SupervisorSnapshot {
    /// Returns whether a reload has been carried out in full.
    pub(crate) fn has_applied(&self, changes: &[CircleChange]) -> bool {
        changes.iter().all(|change| {
            let circle = self.circles.iter().find(|(status, _)| status.name == change.name);
            // A circle that is gone needs no wait.
            let Some((_, state_machine)) = circle else { return true };
            match change.action {
                ReloadAction::Drain => matches!(state_machine.state, CircleState::Down | CircleState::Failed),
                ReloadAction::Change => !self.reconfiguring.contains(&change.name),
                // The circle may be changing because of another reload, for example of a file that was just saved.
                ReloadAction::Start | ReloadAction::Restart | ReloadAction::Nothing => {
                    !matches!(state_machine.state, CircleState::Starting | CircleState::Draining)
                        && !self.reconfiguring.contains(&change.name)
                }
                ReloadAction::Forget | ReloadAction::Later => true,
            }
        })
    }
}

impl CircleEntry {
    /// Returns the definition in the file.
    pub(super) fn definition(&self) -> CircleDefinition {
        CircleDefinition { circle: self.circle.clone(), contents: self.contents.clone() }
    }

    /// Returns the circle's status, and the definition to compare with a new file: of the running process, or of the
    /// next one.
    fn status(&self) -> (EntryStatus, CircleDefinition) {
        match &self.process {
            Some(_) if self.state_machine.state == CircleState::Draining => {
                (if self.is_restart_pending { EntryStatus::Up } else { EntryStatus::Down }, self.definition())
            }
            Some(process) if process.is_reconfiguring => {
                (EntryStatus::Up, CircleDefinition::clone(&process.desired.borrow().definition))
            }
            Some(process) => (EntryStatus::Up, CircleDefinition::clone(&process.running.borrow())),
            None if self.is_restart_pending => (EntryStatus::Up, self.definition()),
            None => (if self.is_new { EntryStatus::New } else { EntryStatus::Down }, self.definition()),
        }
    }

    /// Sends the definition in the file to the process.
    fn send_desired(&mut self) {
        let definition = Arc::new(self.definition());
        if let Some(process) = &mut self.process {
            process
                .desired
                .send_modify(|desired| *desired = DesiredDefinition { generation: desired.generation + 1, definition });
            process.is_reconfiguring = true;
        }
    }

    /// Handles the answer of the process to a definition.
    pub(super) fn acknowledge(&mut self, generation: u64, refused: Option<String>) {
        // An outdated answer; another one will follow.
        let Some(process) = self.process.as_mut().filter(|process| process.desired.borrow().generation == generation)
        else {
            return;
        };
        process.is_reconfiguring = false;
        self.refused = refused;
    }
}

impl Supervisor {
    /// Returns what a reload would do.
    pub(super) fn diff(&self, file: &[CircleDefinition]) -> Vec<CircleChange> {
        let find = |name: &str| self.circles.iter().find(|entry| entry.circle.name == name);
        let in_file = file.iter().map(|definition| {
            let entry = find(&definition.circle.name).filter(|entry| !entry.is_removed).map(CircleEntry::status);
            let entry = entry.as_ref().map(|(status, definition)| (*status, definition));
            plan_change(entry, Some(definition), self.new_circle_policy)
        });
        let is_in_file =
            |entry: &&CircleEntry| file.iter().any(|definition| definition.circle.name == entry.circle.name);
        let others = self.circles.iter().filter(|entry| !is_in_file(entry)).map(|entry| {
            let (status, definition) = entry.status();
            // A circle that drains because of an earlier reload continues to drain.
            let status = if entry.is_removed { EntryStatus::Up } else { status };
            plan_change(Some((status, &definition)), None, self.new_circle_policy)
        });
        in_file.chain(others).collect()
    }

    pub(super) fn reload(
        &mut self,
        circles: Result<Vec<CircleDefinition>, ConfigError>,
        trigger: ReloadTrigger,
    ) -> Result<Vec<CircleChange>, RpcError> {
        if self.is_ending {
            return Err(RpcError::ShuttingDown);
        }
        if trigger == ReloadTrigger::UnwatchedFileChanged {
            self.notice(circles);
            return Ok(Vec::new());
        }
        let circles = match circles {
            Ok(circles) => circles,
            Err(error) => {
                let refused = Some(error.to_string());
                if trigger == ReloadTrigger::Requested || self.refused != refused {
                    self.emit(CircleEventKind::Warning(format!(
                        "circles.json has an error; still using the previous version: {error}"
                    )));
                }
                self.refused = refused;
                // The client that requested the reload has the error, too.
                return Ok(Vec::new());
            }
        };
        let changes = self.diff(&circles);
        if changes.iter().any(|change| change.action != ReloadAction::Nothing) {
            self.manager.notify_reloading();
        }
        self.update_definitions(circles);
        // Circles that end go first, so that a start can wait for their addresses.
        let (begin, others): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.action == ReloadAction::Start);
        for change in others.into_iter().chain(begin) {
            self.apply(change);
        }
        let was_refused = self.refused.take().is_some();
        match summarize(&changes) {
            Some(summary) => self.emit(CircleEventKind::Info(format!("reloaded circles.json: {summary}"))),
            None if was_refused || trigger == ReloadTrigger::Requested => {
                self.emit(CircleEventKind::Info("reloaded circles.json: no changes".into()));
            }
            None => {}
        }
        Ok(changes)
    }

    /// Logs that circles.json has changes that the operator has yet to apply.
    fn notice(&mut self, circles: Result<Vec<CircleDefinition>, ConfigError>) {
        // `circles diff` and `circles reload` report an error.
        let Ok(circles) = circles else { return };
        self.refused = None;
        let is_pending = |change: &CircleChange| !matches!(change.action, ReloadAction::Nothing | ReloadAction::Later);
        let changes: Vec<CircleChange> = self.diff(&circles).into_iter().filter(is_pending).collect();
        if !changes.is_empty() && changes != self.noticed {
            self.emit(CircleEventKind::Info(
                "circles.json has changed: circles diff shows what, circles reload applies it".into(),
            ));
        }
        self.noticed = changes;
    }

    fn apply(&mut self, change: &CircleChange) {
        let Some(index) = self.circles.iter().position(|entry| entry.circle.name == change.name) else { return };
        let entry = &mut self.circles[index];
        entry.is_new = false;
        match change.action {
            // A removed circle of the same name may still drain.
            ReloadAction::Start if entry.process.is_some() => entry.stop(true),
            ReloadAction::Start => self.start_circle(index),
            ReloadAction::Restart => entry.stop(true),
            ReloadAction::Drain => {
                entry.stop(false);
                entry.is_removed = true;
            }
            ReloadAction::Forget => entry.is_removed = true,
            ReloadAction::Change => entry.send_desired(),
            // The process had refused a change that is now reverted.
            ReloadAction::Nothing if entry.is_outdated() => entry.send_desired(),
            ReloadAction::Later | ReloadAction::Nothing => {}
        }
    }

    fn emit(&mut self, kind: CircleEventKind) {
        self.handle_event(CircleEvent { circle: SUPERVISOR_LOG_NAME.into(), kind });
    }
}

impl CircleEntry {
    /// Returns whether the process refused a definition that differs from the file as it is now.
    fn is_outdated(&self) -> bool {
        let is_other = |desired: &DesiredDefinition| *desired.definition != self.definition();
        self.process.as_ref().is_some_and(|process| !process.is_reconfiguring && is_other(&process.desired.borrow()))
    }
}

/// Summarizes changes in one line; `None` if nothing changes.
fn summarize(changes: &[CircleChange]) -> Option<String> {
    let done = changes.iter().filter_map(|CircleChange { name, action, fields }| {
        let fields = || fields.iter().map(CircleField::to_string).collect::<Vec<_>>().join(", ");
        match action {
            ReloadAction::Start => Some(format!("{name} started")),
            ReloadAction::Drain => Some(format!("{name} draining")),
            ReloadAction::Forget => Some(format!("{name} removed")),
            ReloadAction::Restart => Some(format!("{name} restarting ({})", fields())),
            ReloadAction::Change => Some(format!("{name} changed ({})", fields())),
            ReloadAction::Later => Some(format!("{name} stays down")),
            ReloadAction::Nothing => None,
        }
    });
    Some(done.collect::<Vec<_>>().join("; ")).filter(|done| !done.is_empty())
}

/// Reloads at each request and, if the files are watched, at each change of a file, until the returned tasks are dropped.
pub(super) fn spawn_reloads(
    reader: ConfigReader,
    commands: mpsc::Sender<SupervisorCommand>,
    mut requests: mpsc::Receiver<()>,
    events: mpsc::Sender<CircleEvent>,
    is_watching: bool,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let (config, watch_reader, watch_commands) = (reader.path().to_owned(), reader.clone(), commands.clone());
    let mut is_watched = is_watching;
    tasks.spawn(watch(
        config,
        async move || {
            let (_guard, read) = watch_reader.read().await;
            let (circles, definitions) = match read {
                Ok(definitions) => (Ok(definitions.circles.clone()), Some(definitions)),
                Err(error) => (Err(error), None),
            };
            // A file with an error does not say whether it is watched.
            if let Some(definitions) = &definitions {
                is_watched = is_watching && definitions.is_watched;
            }
            let trigger = if is_watched { ReloadTrigger::FileChanged } else { ReloadTrigger::UnwatchedFileChanged };
            let command = SupervisorCommand::Reload { circles, trigger, answer: None };
            // A supervisor that has ended applies nothing.
            let _ended = watch_commands.send(command).await;
            definitions
        },
        async move |line| {
            let _ended = events
                .send(CircleEvent { circle: SUPERVISOR_LOG_NAME.into(), kind: CircleEventKind::Warning(line) })
                .await;
        },
    ));
    tasks.spawn(async move {
        while requests.recv().await.is_some() {
            let (_guard, read) = reader.read().await;
            let circles = read.map(|definitions| definitions.circles);
            let command = SupervisorCommand::Reload { circles, trigger: ReloadTrigger::Requested, answer: None };
            let _ended = commands.send(command).await;
        }
    });
    tasks
}
