//! A circle that is known, and its life if it has one.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use protocol::methods::Access;
use tokio::{
    sync::{mpsc, watch},
    task::{Id, JoinSet},
};

use crate::{
    CircleConfig, CircleEvent,
    circle_runner::{CircleFiles, CircleRunner, DesiredDefinition},
    circle_state::{CircleState, CircleStateMachine, StateChange},
    definition::{CircleDefinition, ContentDigests},
    ipc::Heartbeat,
    port::overlaps,
    supervisor_files::SupervisorFiles,
};

/// A circle that is known.
pub(super) struct CircleEntry {
    /// As circles.json has it; what runs may be an earlier one.
    pub(super) circle: CircleConfig,
    pub(super) contents: ContentDigests,
    /// Where what runs is dialled.
    pub(super) url: String,
    /// Who may play on what runs.
    pub(super) access: Access,
    /// As it said last.
    pub(super) heartbeat: Option<Heartbeat>,
    /// What its process identifies itself with, as it said.
    pub(super) identity: Option<String>,
    pub(super) state_machine: CircleStateMachine,
    pub(super) process: Option<ProcessHandle>,
    /// To be started once its present life is over, and that of whoever still has its address.
    pub(super) is_restart_pending: bool,
    /// Nobody has said anything of it since it came into the file.
    pub(super) is_new: bool,
    /// It was drained because it is not in the file any more.
    pub(super) is_removed: bool,
    /// Why what runs does not take over what the file says.
    pub(super) refused: Option<String>,
}

pub(super) struct ProcessHandle {
    pub(super) task: Id,
    pub(super) stop: watch::Sender<bool>,
    /// What runs, as far as it is known.
    pub(super) running: watch::Receiver<Arc<CircleDefinition>>,
    /// What it was told last.
    pub(super) desired: watch::Sender<DesiredDefinition>,
    /// It has not said yet whether it takes that over.
    pub(super) is_reconfiguring: bool,
}

impl CircleEntry {
    pub(super) fn new(CircleDefinition { circle, contents }: CircleDefinition) -> Self {
        Self {
            url: circle.url(),
            access: circle.access,
            circle,
            contents,
            heartbeat: None,
            identity: None,
            state_machine: CircleStateMachine::default(),
            process: None,
            is_restart_pending: false,
            is_new: true,
            is_removed: false,
            refused: None,
        }
    }

    pub(super) fn start(
        &mut self,
        place: &SupervisorFiles,
        program: &std::path::Path,
        events: &mpsc::Sender<CircleEvent>,
        lives: &mut JoinSet<bool>,
    ) {
        let (stop, stopped) = watch::channel(false);
        let definition = Arc::new(self.definition());
        let (running_sender, runs) = watch::channel(definition.clone());
        let (desired_sender, told) = watch::channel(DesiredDefinition { generation: 0, definition });
        let name = &self.circle.name;
        let supervised = CircleRunner {
            name: name.clone(),
            desired: told,
            running: running_sender,
            program: program.to_owned(),
            files: CircleFiles {
                log: Some(place.log(name)),
                audit: Some(place.audit(name)),
                identity: Some(place.identity(name)),
                lock: Some(place.circle_lock(name)),
            },
            events: events.clone(),
            stop_requested: stopped,
            exit_reason: None,
            has_been_ready: false,
        };
        let task = lives.spawn(async move { supervised.run().await.is_some() }).id();
        self.process =
            Some(ProcessHandle { task, stop, running: runs, desired: desired_sender, is_reconfiguring: false });
        (self.is_new, self.is_removed, self.refused) = (false, false, None);
        (self.url, self.access, self.is_restart_pending) = (self.circle.url(), self.circle.access, false);
        self.state_machine.apply(StateChange::StartRequested, Instant::now());
    }

    pub(super) fn stop(&mut self, is_wanted_anew: bool) {
        self.is_new = false;
        if let Some(life) = &self.process {
            self.is_restart_pending = is_wanted_anew;
            life.stop.send_replace(true);
            self.state_machine.apply(StateChange::StopRequested, Instant::now());
        } else if self.is_restart_pending && !is_wanted_anew {
            self.is_restart_pending = false;
            self.state_machine.apply(StateChange::Finished { has_failed: false }, Instant::now());
        }
    }

    /// Has it, nothing of which runs, begin later.
    pub(super) fn start_later(&mut self) {
        (self.is_new, self.is_removed, self.refused, self.is_restart_pending) = (false, false, None, true);
        (self.url, self.access) = (self.circle.url(), self.circle.access);
        self.state_machine.apply(StateChange::StartRequested, Instant::now());
    }

    /// Whether it ends, and what listens at that address until then is in the way.
    pub(super) fn occupies(&self, address: SocketAddr) -> bool {
        let is_in_the_way = |life: &ProcessHandle| overlaps(life.running.borrow().circle.address, address);
        self.state_machine.state == CircleState::Draining && self.process.as_ref().is_some_and(is_in_the_way)
    }
}
