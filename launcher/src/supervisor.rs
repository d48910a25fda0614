//! The supervisor of a configuration: who holds its lock, keeps circles up, and does what is wished at its socket.

mod circle_entry;
mod command;
mod event_forwarder;
mod log_writer;
mod reload;
mod sd_status;
mod snapshot;
mod socket_recovery;

use std::{
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use protocol::RpcError;
use tokio::{
    sync::{mpsc, watch},
    task::{Id, JoinSet},
};

use crate::{
    CircleConfig, CircleEvent, CircleEventKind, CircleState, CircleStatus, LogFormat, SdNotifier, SupervisorHandle,
    circle_event::MAX_QUEUED_EVENTS,
    circle_state::StateChange,
    config_reader::ConfigReader,
    control::ControlServer,
    definition::{CircleDefinition, read_contents},
    diff::NewCirclePolicy,
    log,
    supervisor_files::{LockGuard, SupervisorFiles, SupervisorFilesError},
};

use circle_entry::CircleEntry;
pub(crate) use command::{ReloadTrigger, SupervisorCommand};
use event_forwarder::EventForwarder;
use log_writer::LogWriter;
pub use reload::SUPERVISOR_LOG_NAME;
pub(crate) use snapshot::SupervisorSnapshot;
use socket_recovery::SocketRecovery;

/// Orders that wait to be taken.
const MAX_QUEUED_COMMANDS: usize = 16;

/// What a supervisor begins with.
#[derive(Debug)]
pub struct SupervisorOptions {
    /// The circles of circles.json.
    pub circles: Vec<CircleConfig>,
    /// Those to be started at once; all, without names, and then also what is new in circles.json later on.
    pub names: Option<Vec<String>>,
    /// The executable that circles run.
    pub program: PathBuf,
    /// Whether it ends when its last circle has ended, as in the foreground, or waits for more orders.
    pub ends_with_circles: bool,
    /// Each is a wish to reload, as by a signal.
    pub reloads: mpsc::Receiver<()>,
    /// Who is told how it is.
    pub manager: SdNotifier,
}

/// What can be wished of circles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CircleCommand {
    Up,
    Down,
    /// As down, and the supervisor is not needed any more once nothing is up.
    Release,
    Restart,
}

/// Keeps circles up, listens at the place's socket, and takes over what changes in circles.json, until `shutdown` is done or
/// it is told there to take all down. It needs a tokio runtime with I/O and time enabled. It reads the files of the circles
/// before it returns.
pub fn start(
    place: SupervisorFiles,
    mut lock: LockGuard,
    options: SupervisorOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<SupervisorHandle, SupervisorFilesError> {
    let listener = place.listen(&mut lock)?;
    let listener = tokio::net::UnixListener::from_std(listener)
        .map_err(|source| SupervisorFilesError::Io { path: place.config().to_owned(), source })?;
    let (forwarder_sender, events) = mpsc::channel(MAX_QUEUED_EVENTS);
    let (commands, mut command_receiver) = mpsc::channel(MAX_QUEUED_COMMANDS);
    let (published, snapshots) = watch::channel(SupervisorSnapshot::default());
    let (event_sender, event_receiver) = mpsc::channel(MAX_QUEUED_EVENTS);
    let mut supervisor = Supervisor {
        place: place.clone(),
        program: options.program,
        circles: Vec::new(),
        runners: JoinSet::new(),
        event_sender: event_sender.clone(),
        forwarder: EventForwarder::new(forwarder_sender),
        log_writer: LogWriter::start(),
        manager: options.manager,
        snapshot_sender: published,
        is_ending: false,
        is_released: false,
        new_circle_policy: if options.names.is_some() { NewCirclePolicy::Ignore } else { NewCirclePolicy::Start },
        refused: None,
    };
    supervisor.update_definitions(read_contents(options.circles).circles);
    for known in &mut supervisor.circles {
        known.is_new = false;
        if options.names.as_ref().is_none_or(|names| names.contains(&known.circle.name)) {
            known.start(&supervisor.place, &supervisor.program, &supervisor.event_sender, &mut supervisor.runners);
        }
    }
    supervisor.publish();
    let reader = ConfigReader::new(place.config().to_owned());
    let reloading = reload::spawn_reloads(reader.clone(), commands.clone(), options.reloads, event_sender.clone());
    let (to_server, listeners) = mpsc::channel(1);
    let healing = SocketRecovery::start(place.clone(), lock, to_server, commands.clone(), event_sender);
    let server = ControlServer::start(listener, listeners, reader, commands, snapshots);
    let ended = tokio::spawn(async move {
        supervisor.run(&mut command_receiver, event_receiver, options.ends_with_circles, shutdown).await;
        drop(reloading);
        let lock = healing.close().await;
        // Who waits for what will not be done any more is told.
        drop(command_receiver);
        server.close().await;
        supervisor.log_writer.close().await;
        if let Some(lock) = lock {
            place.release(lock);
        }
        let failed =
            supervisor.circles.into_iter().filter(|snapshots| snapshots.state_machine.state == CircleState::Failed);
        failed.map(|snapshots| snapshots.circle.name).collect()
    });
    Ok(SupervisorHandle { events, task: ended })
}

struct Supervisor {
    place: SupervisorFiles,
    program: PathBuf,
    circles: Vec<CircleEntry>,
    /// Each ends with whether the circle failed for good.
    runners: JoinSet<bool>,
    event_sender: mpsc::Sender<CircleEvent>,
    forwarder: EventForwarder,
    log_writer: LogWriter,
    manager: SdNotifier,
    snapshot_sender: watch::Sender<SupervisorSnapshot>,
    is_ending: bool,
    /// Whether it ends, too, once nothing is up.
    is_released: bool,
    /// What a reload does with circles that are new.
    new_circle_policy: NewCirclePolicy,
    /// Why circles.json was not taken over last, where it was not.
    refused: Option<String>,
}

impl Supervisor {
    async fn run(
        &mut self,
        command_receiver: &mut mpsc::Receiver<SupervisorCommand>,
        mut event_receiver: mpsc::Receiver<CircleEvent>,
        ends_with_circles: bool,
        shutdown: impl Future<Output = ()>,
    ) {
        tokio::pin!(shutdown);
        self.update_sd_status();
        while !(self.runners.is_empty() && (self.is_ending || self.is_released || ends_with_circles)) {
            tokio::select! {
                Some(event) = event_receiver.recv() => {
                    let is_line = matches!(event.kind, CircleEventKind::Log(_));
                    self.handle_event(event);
                    if is_line {
                        // It says nothing of how a circle is, and there may be very many.
                        continue;
                    }
                }
                Some(order) = command_receiver.recv() => self.handle_command(order),
                Some(over) = self.runners.join_next_with_id() => {
                    // What it told comes before its end.
                    while let Ok(event) = event_receiver.try_recv() {
                        self.handle_event(event);
                    }
                    // A life that panicked has failed, and its process ended with it.
                    let (task, has_failed) = over.unwrap_or_else(|error| (error.id(), true));
                    self.handle_exit(task, has_failed);
                }
                () = &mut shutdown, if !self.is_ending => self.stop_all(),
                () = self.manager.wait_until_watchdog_due() => self.manager.notify_watchdog(),
            }
            self.publish();
            self.update_sd_status();
        }
    }

    fn stop_all(&mut self) {
        self.is_ending = true;
        self.circles.iter_mut().for_each(|snapshots| snapshots.stop(false));
    }

    /// Takes what circles.json says for all that is started from now on.
    fn update_definitions(&mut self, circles: Vec<CircleDefinition>) {
        let mut before = std::mem::take(&mut self.circles);
        for definition in circles {
            let snapshots = match before.iter().position(|snapshots| snapshots.circle.name == definition.circle.name) {
                Some(index) => {
                    let CircleDefinition { circle, contents } = definition;
                    CircleEntry { circle, contents, is_removed: false, ..before.remove(index) }
                }
                None => CircleEntry::new(definition),
            };
            self.circles.push(if snapshots.process.is_some() {
                snapshots
            } else {
                CircleEntry { url: snapshots.circle.url(), access: snapshots.circle.access, ..snapshots }
            });
        }
        // What runs and is not in the file any more stays until it is taken down.
        self.circles.extend(before.into_iter().filter(|snapshots| snapshots.process.is_some()));
    }

    fn handle_command(&mut self, order: SupervisorCommand) {
        // Whoever wished it may have gone.
        match order {
            SupervisorCommand::Circles { wish, names, circles, answer } => {
                let result = self.run_circle_command(wish, names, circles);
                self.publish();
                let _receiver_gone = answer.send(result);
            }
            SupervisorCommand::Reload { circles, trigger: occasion, answer } => {
                let result = self.reload(circles, occasion);
                self.publish();
                if let Some(answer) = answer {
                    let _receiver_gone = answer.send(result);
                }
            }
            SupervisorCommand::Diff { circles, answer } => {
                let _receiver_gone = answer.send(self.diff(&circles));
            }
        }
    }

    fn run_circle_command(
        &mut self,
        wish: CircleCommand,
        names: Option<Vec<String>>,
        circles: Option<Vec<CircleDefinition>>,
    ) -> Result<Vec<String>, RpcError> {
        if self.is_ending && matches!(wish, CircleCommand::Up | CircleCommand::Restart) {
            return Err(RpcError::ShuttingDown);
        }
        if let Some(circles) = circles {
            self.update_definitions(circles);
        }
        let is_known = |name: &String| self.circles.iter().any(|snapshots| snapshots.circle.name == *name);
        if let Some(unknown) = names.iter().flatten().find(|name| !is_known(name)) {
            let reason = format!("there is no circle '{}'", unknown.chars().take(64).collect::<String>());
            return Err(RpcError::InvalidParams { param: "names".into(), reason });
        }
        match wish {
            CircleCommand::Up | CircleCommand::Restart => self.is_released = false,
            CircleCommand::Release => self.is_released = true,
            CircleCommand::Down => {}
        }
        let is_all = names.is_none();
        if is_all {
            self.new_circle_policy = NewCirclePolicy::Start;
        }
        let names =
            names.unwrap_or_else(|| self.circles.iter().map(|snapshots| snapshots.circle.name.clone()).collect());
        if wish == CircleCommand::Down && is_all {
            self.stop_all();
            return Ok(names);
        }
        for index in 0..self.circles.len() {
            let snapshots = &mut self.circles[index];
            if !names.contains(&snapshots.circle.name) {
                continue;
            }
            match (wish, snapshots.state_machine.state) {
                (CircleCommand::Down | CircleCommand::Release, _) => snapshots.stop(false),
                // Once more at once, and not in a while.
                (CircleCommand::Up, CircleState::BackingOff | CircleState::Draining) => snapshots.stop(true),
                (CircleCommand::Restart, _) if snapshots.process.is_some() => snapshots.stop(true),
                (CircleCommand::Up, _) if snapshots.process.is_some() => {}
                _ => self.start_circle(index),
            }
        }
        Ok(names)
    }

    /// Begins a circle nothing of which runs, or has it wait for one that drains and still has its address.
    fn start_circle(&mut self, index: usize) {
        let address = self.circles[index].circle.address;
        let is_taken = self.circles.iter().any(|snapshots| snapshots.occupies(address));
        let snapshots = &mut self.circles[index];
        if is_taken {
            snapshots.start_later();
        } else {
            snapshots.start(&self.place, &self.program, &self.event_sender, &mut self.runners);
        }
    }

    fn handle_event(&mut self, event: CircleEvent) {
        let mut format = LogFormat::default();
        let snapshots = self.circles.iter_mut().find(|snapshots| snapshots.circle.name == event.circle);
        if let Some(snapshots) = snapshots {
            format = snapshots.circle.log;
            let now = Instant::now();
            match &event.kind {
                CircleEventKind::Started { pid } => {
                    snapshots.state_machine.apply(StateChange::Started { pid: *pid }, now)
                }
                CircleEventKind::Listening(ready) => {
                    (snapshots.url, snapshots.identity) = (format!("ws://{}", ready.address), ready.identity.clone());
                }
                CircleEventKind::Heartbeat(figures) => snapshots.heartbeat = Some(figures.clone()),
                CircleEventKind::Ready => snapshots.state_machine.apply(StateChange::Ready, now),
                CircleEventKind::Ended { reason: why, restart_in: again_in } => {
                    (snapshots.heartbeat, snapshots.identity) = (None, None);
                    let is_restarting = again_in.is_some();
                    snapshots.state_machine.apply(StateChange::Ended { reason: why.clone(), is_restarting }, now);
                }
                CircleEventKind::Configured { generation: number, refused } => {
                    snapshots.acknowledge(*number, refused.clone())
                }
                CircleEventKind::Warning(_) | CircleEventKind::Info(_) | CircleEventKind::Log(_) => {}
            }
        }
        // The circle's own lines are in its log already.
        let line = match &event.kind {
            CircleEventKind::Warning(line) | CircleEventKind::Info(line) => Some(line.clone()),
            CircleEventKind::Ended { reason: why, restart_in: Some(wait) } => {
                Some(format!("{why}; again in {:.1} s", secs(*wait)))
            }
            CircleEventKind::Ended { reason: why, restart_in: None } => Some(why.clone()),
            CircleEventKind::Configured { refused: Some(why), .. } => {
                Some(format!("it goes on as it was, and does not take over what circles.json says now: {why}"))
            }
            _ => None,
        };
        if let Some(line) = line {
            let is_well = matches!(event.kind, CircleEventKind::Info(_));
            let level = if is_well { log::LogLevel::Info } else { log::LogLevel::Warn };
            let line = format.format_line(SystemTime::now(), level, &line);
            self.log_writer.write(self.place.log(&event.circle), line);
        }
        if !matches!(event.kind, CircleEventKind::Heartbeat(_)) {
            self.forwarder.forward(event);
        }
    }

    fn handle_exit(&mut self, task: Id, has_failed: bool) {
        let ended =
            self.circles.iter_mut().find(|snapshots| snapshots.process.as_ref().is_some_and(|life| life.task == task));
        let Some(snapshots) = ended else { return };
        (snapshots.process, snapshots.heartbeat, snapshots.identity, snapshots.refused) = (None, None, None, None);
        snapshots.state_machine.apply(StateChange::Finished { has_failed }, Instant::now());
        if snapshots.is_removed && !snapshots.is_restart_pending {
            let name = snapshots.circle.name.clone();
            self.circles.retain(|snapshots| snapshots.circle.name != name);
        }
        for index in 0..self.circles.len() {
            let snapshots = &self.circles[index];
            if snapshots.is_restart_pending && snapshots.process.is_none() && !self.is_ending {
                self.start_circle(index);
            }
        }
    }

    fn publish(&self) {
        let status = |snapshots: &CircleEntry| CircleStatus {
            name: snapshots.circle.name.clone(),
            url: snapshots.url.clone(),
            state: snapshots.state_machine.state,
            pid: snapshots.state_machine.pid,
            restarts: snapshots.state_machine.restarts,
            uptime_s: None,
            access: snapshots.access,
            connections: snapshots.heartbeat.as_ref().map(|figures| figures.connections),
            workers: snapshots.heartbeat.as_ref().map(|figures| figures.workers),
            plays: snapshots.heartbeat.as_ref().map(|figures| figures.plays),
            memory_bytes: snapshots.heartbeat.as_ref().map(|figures| figures.memory_bytes),
            sandbox: snapshots.heartbeat.as_ref().map(|figures| figures.sandbox.clone()),
            identity: snapshots.identity.clone(),
            why: snapshots.state_machine.reason.clone(),
            refused: snapshots.refused.clone(),
        };
        let circles =
            self.circles.iter().map(|snapshots| (status(snapshots), snapshots.state_machine.clone())).collect();
        let unsettled = self
            .circles
            .iter()
            .filter(|snapshots| snapshots.process.as_ref().is_some_and(|life| life.is_reconfiguring));
        let unsettled = unsettled.map(|snapshots| snapshots.circle.name.clone()).collect();
        let (is_ending, refused) = (self.is_ending, self.refused.clone());
        self.snapshot_sender.send_replace(SupervisorSnapshot { circles, reconfiguring: unsettled, is_ending, refused });
    }
}

fn secs(wait: Duration) -> f64 {
    wait.as_secs_f64()
}
