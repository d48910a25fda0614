//! Takes over what is different in circles.json, and nothing else.

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

/// The name under which a supervisor's own lines are logged; no circle can have it.
pub const SUPERVISOR_LOG_NAME: &str = "(supervisor)";

impl SupervisorSnapshot {
    /// Whether all is done that a reload does.
    pub(crate) fn has_applied(&self, changes: &[CircleChange]) -> bool {
        changes.iter().all(|change| {
            let circle = self.circles.iter().find(|(status, _)| status.name == change.name);
            // One that is not there any more has nothing to be waited for.
            let Some((_, book)) = circle else { return true };
            match change.action {
                ReloadAction::Drain => matches!(book.state, CircleState::Down | CircleState::Failed),
                ReloadAction::Change => !self.reconfiguring.contains(&change.name),
                // Also what another reload, as of a file that was just saved, has begun.
                ReloadAction::Start | ReloadAction::Restart | ReloadAction::Nothing => {
                    !matches!(book.state, CircleState::Starting | CircleState::Draining)
                        && !self.reconfiguring.contains(&change.name)
                }
                ReloadAction::Forget | ReloadAction::Later => true,
            }
        })
    }
}

impl CircleEntry {
    /// As the file has it.
    pub(super) fn definition(&self) -> CircleDefinition {
        CircleDefinition { circle: self.circle.clone(), contents: self.contents.clone() }
    }

    /// How it stands, and with what a new file is to be compared: what runs, or will.
    fn status(&self) -> (EntryStatus, CircleDefinition) {
        match &self.process {
            Some(_) if self.state_machine.state == CircleState::Draining => {
                (if self.is_restart_pending { EntryStatus::Up } else { EntryStatus::Down }, self.definition())
            }
            Some(life) if life.is_reconfiguring => {
                (EntryStatus::Up, CircleDefinition::clone(&life.desired.borrow().definition))
            }
            Some(life) => (EntryStatus::Up, CircleDefinition::clone(&life.running.borrow())),
            None if self.is_restart_pending => (EntryStatus::Up, self.definition()),
            None => (if self.is_new { EntryStatus::New } else { EntryStatus::Down }, self.definition()),
        }
    }

    /// Has what runs take over what the file says.
    fn send_desired(&mut self) {
        let definition = Arc::new(self.definition());
        if let Some(life) = &mut self.process {
            life.desired.send_modify(|told| *told = DesiredDefinition { generation: told.generation + 1, definition });
            life.is_reconfiguring = true;
        }
    }

    /// It has taken over what it was told that time, or not.
    pub(super) fn acknowledge(&mut self, number: u64, refused: Option<String>) {
        // Of what it was told before there will be another answer.
        let Some(life) = self.process.as_mut().filter(|life| life.desired.borrow().generation == number) else {
            return;
        };
        life.is_reconfiguring = false;
        self.refused = refused;
    }
}

impl Supervisor {
    /// What a reload would do.
    pub(super) fn diff(&self, file: &[CircleDefinition]) -> Vec<CircleChange> {
        let find = |name: &str| self.circles.iter().find(|known| known.circle.name == name);
        let in_file = file.iter().map(|definition| {
            let known = find(&definition.circle.name).filter(|known| !known.is_removed).map(CircleEntry::status);
            let known = known.as_ref().map(|(standing, definition)| (*standing, definition));
            plan_change(known, Some(definition), self.new_circle_policy)
        });
        let is_in_file =
            |known: &&CircleEntry| file.iter().any(|definition| definition.circle.name == known.circle.name);
        let others = self.circles.iter().filter(|known| !is_in_file(known)).map(|known| {
            let (standing, definition) = known.status();
            // What drains since an earlier reload goes on doing that.
            let standing = if known.is_removed { EntryStatus::Up } else { standing };
            plan_change(Some((standing, &definition)), None, self.new_circle_policy)
        });
        in_file.chain(others).collect()
    }

    pub(super) fn reload(
        &mut self,
        circles: Result<Vec<CircleDefinition>, ConfigError>,
        occasion: ReloadTrigger,
    ) -> Result<Vec<CircleChange>, RpcError> {
        if self.is_ending {
            return Err(RpcError::ShuttingDown);
        }
        let circles = match circles {
            Ok(circles) => circles,
            Err(error) => {
                let refused = Some(error.to_string());
                if occasion == ReloadTrigger::Requested || self.refused != refused {
                    self.emit(CircleEventKind::Warning(format!(
                        "circles.json is not taken over, and nothing is changed: {error}"
                    )));
                }
                self.refused = refused;
                // Whoever asked has read it, too.
                return Ok(Vec::new());
            }
        };
        let changes = self.diff(&circles);
        if changes.iter().any(|change| change.action != ReloadAction::Nothing) {
            self.manager.notify_reloading();
        }
        self.update_definitions(circles);
        // What ends is known to before anything begins that could be in its way.
        let (begin, others): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.action == ReloadAction::Start);
        for change in others.into_iter().chain(begin) {
            self.apply(change);
        }
        let was_refused = self.refused.take().is_some();
        match summarize(&changes) {
            Some(summary) => self.emit(CircleEventKind::Info(format!("circles.json is taken over: {summary}"))),
            None if was_refused || occasion == ReloadTrigger::Requested => {
                self.emit(CircleEventKind::Info("circles.json is taken over: nothing is different".into()));
            }
            None => {}
        }
        Ok(changes)
    }

    fn apply(&mut self, change: &CircleChange) {
        let Some(index) = self.circles.iter().position(|known| known.circle.name == change.name) else { return };
        let known = &mut self.circles[index];
        known.is_new = false;
        match change.action {
            // Its predecessor of the same name may still drain.
            ReloadAction::Start if known.process.is_some() => known.stop(true),
            ReloadAction::Start => self.start_circle(index),
            ReloadAction::Restart => known.stop(true),
            ReloadAction::Drain => {
                known.stop(false);
                known.is_removed = true;
            }
            ReloadAction::Forget => known.is_removed = true,
            ReloadAction::Change => known.send_desired(),
            // It had refused what is taken back now.
            ReloadAction::Nothing if known.is_outdated() => known.send_desired(),
            ReloadAction::Later | ReloadAction::Nothing => {}
        }
    }

    fn emit(&mut self, what: CircleEventKind) {
        self.handle_event(CircleEvent { circle: SUPERVISOR_LOG_NAME.into(), kind: what });
    }
}

impl CircleEntry {
    /// Whether what it was told last, and did not take over, is not what the file says any more.
    fn is_outdated(&self) -> bool {
        let is_other = |told: &DesiredDefinition| *told.definition != self.definition();
        self.process.as_ref().is_some_and(|life| !life.is_reconfiguring && is_other(&life.desired.borrow()))
    }
}

/// What is done, in a line; `None` where that is nothing.
fn summarize(changes: &[CircleChange]) -> Option<String> {
    let done = changes.iter().filter_map(|CircleChange { name, action, fields }| {
        let fields = || fields.iter().map(CircleField::to_string).collect::<Vec<_>>().join(", ");
        match action {
            ReloadAction::Start => Some(format!("{name} is started")),
            ReloadAction::Drain => Some(format!("{name} is drained")),
            ReloadAction::Forget => Some(format!("{name} is forgotten")),
            ReloadAction::Restart => Some(format!("{name} is started again ({})", fields())),
            ReloadAction::Change => Some(format!("{name} is changed ({})", fields())),
            ReloadAction::Later => Some(format!("{name} stays down")),
            ReloadAction::Nothing => None,
        }
    });
    Some(done.collect::<Vec<_>>().join("; ")).filter(|done| !done.is_empty())
}

/// Reloads whenever that is wished and when something has changed, until what is returned is dropped.
pub(super) fn spawn_reloads(
    reader: ConfigReader,
    orders: mpsc::Sender<SupervisorCommand>,
    mut requests: mpsc::Receiver<()>,
    news: mpsc::Sender<CircleEvent>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let (config, watch_reader, watch_commands) = (reader.path().to_owned(), reader.clone(), orders.clone());
    tasks.spawn(watch(
        config,
        async move || {
            let (_guard, read) = watch_reader.read().await;
            let (circles, definitions) = match read {
                Ok(definitions) => (Ok(definitions.circles.clone()), Some(definitions)),
                Err(error) => (Err(error), None),
            };
            let order = SupervisorCommand::Reload { circles, trigger: ReloadTrigger::FileChanged, answer: None };
            // A supervisor that has ended has nothing to take over.
            let _ended = watch_commands.send(order).await;
            definitions
        },
        async move |line| {
            let _ended = news
                .send(CircleEvent { circle: SUPERVISOR_LOG_NAME.into(), kind: CircleEventKind::Warning(line) })
                .await;
        },
    ));
    tasks.spawn(async move {
        while requests.recv().await.is_some() {
            let (_guard, read) = reader.read().await;
            let circles = read.map(|definitions| definitions.circles);
            let order = SupervisorCommand::Reload { circles, trigger: ReloadTrigger::Requested, answer: None };
            let _ended = orders.send(order).await;
        }
    });
    tasks
}
