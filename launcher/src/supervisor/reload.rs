//! Takes over what is different in circles.json, and nothing else.

use std::sync::Arc;

use protocol::RpcError;
use tokio::{sync::mpsc, task::JoinSet};

use super::{Known, Occasion, Order, Snapshot, Supervisor};
use crate::{
    CircleChange, CircleEvent, CircleEventKind, CircleState, ConfigError, ReloadAction,
    definition::Definition,
    diff::{CircleField, Standing, change},
    life::Told,
    reader::Reader,
    watch::watch,
};

/// The name under which a supervisor's own lines are logged; no circle can have it.
pub const SUPERVISOR_LOG_NAME: &str = "(supervisor)";

impl Snapshot {
    /// Whether all is done that a reload does.
    pub(crate) fn are_settled(&self, changes: &[CircleChange]) -> bool {
        changes.iter().all(|change| {
            let circle = self.circles.iter().find(|(status, _)| status.name == change.name);
            // One that is not there any more has nothing to be waited for.
            let Some((_, book)) = circle else { return true };
            match change.action {
                ReloadAction::Drain => matches!(book.state, CircleState::Down | CircleState::Failed),
                ReloadAction::Change => !self.unsettled.contains(&change.name),
                // Also what another reload, as of a file that was just saved, has begun.
                ReloadAction::Start | ReloadAction::Restart | ReloadAction::Nothing => {
                    !matches!(book.state, CircleState::Starting | CircleState::Draining)
                        && !self.unsettled.contains(&change.name)
                }
                ReloadAction::Forget | ReloadAction::Later => true,
            }
        })
    }
}

impl Known {
    /// As the file has it.
    pub(super) fn definition(&self) -> Definition {
        Definition { circle: self.circle.clone(), contents: self.contents.clone() }
    }

    /// How it stands, and with what a new file is to be compared: what runs, or will.
    fn standing(&self) -> (Standing, Definition) {
        match &self.life {
            Some(_) if self.book.state == CircleState::Draining => {
                (if self.is_wanted_anew { Standing::Up } else { Standing::Down }, self.definition())
            }
            Some(life) if life.is_unsettled => (Standing::Up, Definition::clone(&life.told.borrow().definition)),
            Some(life) => (Standing::Up, Definition::clone(&life.runs.borrow())),
            None if self.is_wanted_anew => (Standing::Up, self.definition()),
            None => (if self.is_new { Standing::New } else { Standing::Down }, self.definition()),
        }
    }

    /// Has what runs take over what the file says.
    fn tell(&mut self) {
        let definition = Arc::new(self.definition());
        if let Some(life) = &mut self.life {
            life.told.send_modify(|told| *told = Told { number: told.number + 1, definition });
            life.is_unsettled = true;
        }
    }

    /// It has taken over what it was told that time, or not.
    pub(super) fn settle(&mut self, number: u64, refused: Option<String>) {
        // Of what it was told before there will be another answer.
        let Some(life) = self.life.as_mut().filter(|life| life.told.borrow().number == number) else { return };
        life.is_unsettled = false;
        self.refused = refused;
    }
}

impl Supervisor {
    /// What a reload would do.
    pub(super) fn compare(&self, file: &[Definition]) -> Vec<CircleChange> {
        let find = |name: &str| self.circles.iter().find(|known| known.circle.name == name);
        let in_file = file.iter().map(|definition| {
            let known = find(&definition.circle.name).filter(|known| !known.is_gone).map(Known::standing);
            let known = known.as_ref().map(|(standing, definition)| (*standing, definition));
            change(known, Some(definition), self.on_new)
        });
        let is_in_file = |known: &&Known| file.iter().any(|definition| definition.circle.name == known.circle.name);
        let others = self.circles.iter().filter(|known| !is_in_file(known)).map(|known| {
            let (standing, definition) = known.standing();
            // What drains since an earlier reload goes on doing that.
            let standing = if known.is_gone { Standing::Up } else { standing };
            change(Some((standing, &definition)), None, self.on_new)
        });
        in_file.chain(others).collect()
    }

    pub(super) fn reload(
        &mut self,
        circles: Result<Vec<Definition>, ConfigError>,
        occasion: Occasion,
    ) -> Result<Vec<CircleChange>, RpcError> {
        if self.is_ending {
            return Err(RpcError::ShuttingDown);
        }
        let circles = match circles {
            Ok(circles) => circles,
            Err(error) => {
                let refused = Some(error.to_string());
                if occasion == Occasion::Asked || self.refused != refused {
                    self.tell(CircleEventKind::Warning(format!(
                        "circles.json is not taken over, and nothing is changed: {error}"
                    )));
                }
                self.refused = refused;
                // Whoever asked has read it, too.
                return Ok(Vec::new());
            }
        };
        let changes = self.compare(&circles);
        if changes.iter().any(|change| change.action != ReloadAction::Nothing) {
            self.manager.reloading();
        }
        self.learn(circles);
        // What ends is known to before anything begins that could be in its way.
        let (begin, others): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.action == ReloadAction::Start);
        for change in others.into_iter().chain(begin) {
            self.carry_out(change);
        }
        let was_refused = self.refused.take().is_some();
        match summary(&changes) {
            Some(summary) => self.tell(CircleEventKind::Info(format!("circles.json is taken over: {summary}"))),
            None if was_refused || occasion == Occasion::Asked => {
                self.tell(CircleEventKind::Info("circles.json is taken over: nothing is different".into()));
            }
            None => {}
        }
        Ok(changes)
    }

    fn carry_out(&mut self, change: &CircleChange) {
        let Some(index) = self.circles.iter().position(|known| known.circle.name == change.name) else { return };
        let known = &mut self.circles[index];
        known.is_new = false;
        match change.action {
            // Its predecessor of the same name may still drain.
            ReloadAction::Start if known.life.is_some() => known.end(true),
            ReloadAction::Start => self.begin(index),
            ReloadAction::Restart => known.end(true),
            ReloadAction::Drain => {
                known.end(false);
                known.is_gone = true;
            }
            ReloadAction::Forget => known.is_gone = true,
            ReloadAction::Change => known.tell(),
            // It had refused what is taken back now.
            ReloadAction::Nothing if known.is_behind() => known.tell(),
            ReloadAction::Later | ReloadAction::Nothing => {}
        }
    }

    fn tell(&mut self, what: CircleEventKind) {
        self.digest(CircleEvent { circle: SUPERVISOR_LOG_NAME.into(), kind: what });
    }
}

impl Known {
    /// Whether what it was told last, and did not take over, is not what the file says any more.
    fn is_behind(&self) -> bool {
        let is_other = |told: &Told| *told.definition != self.definition();
        self.life.as_ref().is_some_and(|life| !life.is_unsettled && is_other(&life.told.borrow()))
    }
}

/// What is done, in a line; `None` where that is nothing.
fn summary(changes: &[CircleChange]) -> Option<String> {
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
pub(super) fn begin(
    reader: Reader,
    orders: mpsc::Sender<Order>,
    mut wishes: mpsc::Receiver<()>,
    news: mpsc::Sender<CircleEvent>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let (config, watched, at_a_change) = (reader.path().to_owned(), reader.clone(), orders.clone());
    tasks.spawn(watch(
        config,
        async move || {
            let (_turn, read) = watched.read().await;
            let (circles, seen) = match read {
                Ok(definitions) => (Ok(definitions.all.clone()), Some(definitions)),
                Err(error) => (Err(error), None),
            };
            let order = Order::Reload { circles, occasion: Occasion::Watched, answer: None };
            // A supervisor that has ended has nothing to take over.
            let _ended = at_a_change.send(order).await;
            seen
        },
        async move |line| {
            let _ended = news
                .send(CircleEvent { circle: SUPERVISOR_LOG_NAME.into(), kind: CircleEventKind::Warning(line) })
                .await;
        },
    ));
    tasks.spawn(async move {
        while wishes.recv().await.is_some() {
            let (_turn, read) = reader.read().await;
            let circles = read.map(|definitions| definitions.all);
            let order = Order::Reload { circles, occasion: Occasion::Asked, answer: None };
            let _ended = orders.send(order).await;
        }
    });
    tasks
}
