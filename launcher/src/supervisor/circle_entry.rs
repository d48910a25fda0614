//! A circle that the supervisor knows, with its process if it runs.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use protocol::{RpcError, methods::Access};
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        watch,
    },
    task::{Id, JoinSet},
};

use crate::{
    CircleConfig, CircleEvent,
    circle_runner::{
        CircleFiles, CircleRunner, DRAIN_TIMEOUT, DesiredDefinition, ExportRequest, Exporter, export_failed,
    },
    circle_state::{CircleState, CircleStateMachine, StateChange},
    definition::{CircleDefinition, ContentDigests},
    ipc::Heartbeat,
    port::overlaps,
    supervisor_files::SupervisorFiles,
};

/// A circle that the supervisor knows.
pub(super) struct CircleEntry {
    /// The definition in circles.json; the process may run with an earlier one.
    pub(super) circle: CircleConfig,
    pub(super) contents: ContentDigests,
    /// URL of the running process.
    pub(super) url: String,
    /// Who may play on the running process.
    pub(super) access: Access,
    /// The last heartbeat.
    pub(super) heartbeat: Option<Heartbeat>,
    /// Public key of the identity of the process, as it reported it.
    pub(super) identity: Option<String>,
    pub(super) state_machine: CircleStateMachine,
    pub(super) process: Option<ProcessHandle>,
    /// Whether to start the circle once its present process, and any process with its address, has ended.
    pub(super) is_restart_pending: bool,
    /// Whether no command has named the circle since it was added to the file.
    pub(super) is_new: bool,
    /// Whether the circle drains because it is not in the file any more.
    pub(super) is_removed: bool,
    /// Why the process refused the definition in the file.
    pub(super) refused: Option<String>,
}

pub(super) struct ProcessHandle {
    pub(super) task: Id,
    pub(super) stop: watch::Sender<bool>,
    /// The definition of the process, as far as it has confirmed.
    pub(super) running: watch::Receiver<Arc<CircleDefinition>>,
    /// The definition that was sent last.
    pub(super) desired: watch::Sender<DesiredDefinition>,
    /// Whether the process has not yet confirmed or refused it.
    pub(super) is_reconfiguring: bool,
    /// Requests to export the store.
    pub(super) exports: mpsc::Sender<ExportRequest>,
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
        files: &SupervisorFiles,
        program: &std::path::Path,
        events: &mpsc::Sender<CircleEvent>,
        runners: &mut JoinSet<bool>,
    ) {
        let (stop, stopped) = watch::channel(false);
        let definition = Arc::new(self.definition());
        let (running_sender, running) = watch::channel(definition.clone());
        let (desired_sender, desired) = watch::channel(DesiredDefinition { generation: 0, definition });
        let (exports, exporter) = Exporter::new();
        let name = &self.circle.name;
        let runner = CircleRunner {
            name: name.clone(),
            desired,
            running: running_sender,
            program: program.to_owned(),
            files: CircleFiles {
                log: Some(files.log(name)),
                audit: Some(files.audit(name)),
                identity: Some(files.identity(name)),
                lock: Some(files.circle_lock(name)),
            },
            events: events.clone(),
            exporter,
            drain_timeout: DRAIN_TIMEOUT,
            stop_requested: stopped,
            exit_reason: None,
            has_been_ready: false,
        };
        let task = runners.spawn(async move { runner.run().await.is_some() }).id();
        self.process =
            Some(ProcessHandle { task, stop, running, desired: desired_sender, is_reconfiguring: false, exports });
        (self.is_new, self.is_removed, self.refused) = (false, false, None);
        (self.url, self.access, self.is_restart_pending) = (self.circle.url(), self.circle.access, false);
        self.state_machine.apply(StateChange::StartRequested, Instant::now());
    }

    pub(super) fn stop(&mut self, is_restarting: bool) {
        self.is_new = false;
        if let Some(process) = &self.process {
            self.is_restart_pending = is_restarting;
            process.stop.send_replace(true);
            self.state_machine.apply(StateChange::StopRequested, Instant::now());
        } else if self.is_restart_pending && !is_restarting {
            self.is_restart_pending = false;
            self.state_machine.apply(StateChange::Finished { has_failed: false }, Instant::now());
        }
    }

    /// Has the process export its store.
    ///
    /// # Errors
    ///
    /// The circle has no process, its process is not ready, or too many exports wait.
    pub(super) fn export(&self, request: ExportRequest) -> Result<(), (ExportRequest, RpcError)> {
        let Some(process) = &self.process else {
            let reason = "the circle is not up".into();
            return Err((request, RpcError::InvalidParams { param: "name".into(), reason }));
        };
        let state = self.state_machine.state;
        if state != CircleState::Ready {
            let why = self.state_machine.reason().map(|why| format!(" ({why})")).unwrap_or_default();
            return Err((request, export_failed(format!("the circle is {state}{why}; try again when that is over"))));
        }
        process.exports.try_send(request).map_err(|error| {
            let reason = match &error {
                TrySendError::Full(_) => "too many exports wait; try again when one of them has ended",
                TrySendError::Closed(_) => "the circle has just ended; try again",
            };
            (error.into_inner(), export_failed(reason))
        })
    }

    /// Requests a start for later, for a circle that is not running.
    pub(super) fn start_later(&mut self) {
        (self.is_new, self.is_removed, self.refused, self.is_restart_pending) = (false, false, None, true);
        (self.url, self.access) = (self.circle.url(), self.circle.access);
        self.state_machine.apply(StateChange::StartRequested, Instant::now());
    }

    /// Returns whether the circle is ending, and its process still listens on an overlapping address.
    pub(super) fn occupies(&self, address: SocketAddr) -> bool {
        let is_in_the_way = |process: &ProcessHandle| overlaps(process.running.borrow().circle.address, address);
        self.state_machine.state == CircleState::Draining && self.process.as_ref().is_some_and(is_in_the_way)
    }
}
