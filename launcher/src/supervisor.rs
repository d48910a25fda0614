//! Supervisor of a configuration: holds its lock, keeps its circles up, and executes the commands from its control
//! socket.

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
    CircleChange, CircleConfig, CircleEvent, CircleEventKind, CircleState, CircleStatus, LogFormat, SdNotifier,
    SupervisorHandle,
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

/// Capacity of the command queue.
const MAX_QUEUED_COMMANDS: usize = 16;

/// Options of a supervisor.
#[derive(Debug)]
pub struct SupervisorOptions {
    /// The circles of circles.json.
    pub circles: Vec<CircleConfig>,
    /// Circles to start at once; `None` for all, including those that are added to circles.json later.
    pub names: Option<Vec<String>>,
    /// Executable of the circles.
    pub program: PathBuf,
    /// Whether the supervisor ends with its last circle, as in the foreground, or waits for more commands.
    pub ends_with_circles: bool,
    /// Whether changes of circles.json apply as soon as they are saved, unless the file says otherwise.
    pub is_watching: bool,
    /// Each message requests a reload, for example because of a signal.
    pub reloads: mpsc::Receiver<()>,
    /// The service manager.
    pub manager: SdNotifier,
}

/// A command for circles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CircleCommand {
    Up,
    Down,
    /// Like down; the supervisor also ends once nothing is up.
    Release,
    Restart,
}

/// Starts a supervisor. It keeps circles up, serves the control socket and applies changes of circles.json, until `shutdown`
/// is done or a client takes all circles down. It needs a tokio runtime with I/O and time enabled, and reads the files of the
/// circles before it returns.
///
/// # Errors
///
/// The control socket cannot be created.
pub fn start(
    files: SupervisorFiles,
    mut lock: LockGuard,
    options: SupervisorOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<SupervisorHandle, SupervisorFilesError> {
    let listener = files.listen(&mut lock)?;
    let listener = tokio::net::UnixListener::from_std(listener)
        .map_err(|source| SupervisorFilesError::Io { path: files.config().to_owned(), source })?;
    let (forwarder_sender, events) = mpsc::channel(MAX_QUEUED_EVENTS);
    let (commands, mut command_receiver) = mpsc::channel(MAX_QUEUED_COMMANDS);
    let (published, snapshots) = watch::channel(SupervisorSnapshot::default());
    let (event_sender, event_receiver) = mpsc::channel(MAX_QUEUED_EVENTS);
    let mut supervisor = Supervisor {
        files: files.clone(),
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
        noticed: Vec::new(),
    };
    supervisor.update_definitions(read_contents(options.circles).circles);
    for entry in &mut supervisor.circles {
        entry.is_new = false;
        if options.names.as_ref().is_none_or(|names| names.contains(&entry.circle.name)) {
            entry.start(&supervisor.files, &supervisor.program, &supervisor.event_sender, &mut supervisor.runners);
        }
    }
    supervisor.publish();
    let reader = ConfigReader::new(files.config().to_owned());
    let reloading = reload::spawn_reloads(
        reader.clone(),
        commands.clone(),
        options.reloads,
        event_sender.clone(),
        options.is_watching,
    );
    let (to_server, listeners) = mpsc::channel(1);
    let recovery = SocketRecovery::start(files.clone(), lock, to_server, commands.clone(), event_sender);
    let server = ControlServer::start(listener, listeners, reader, commands, snapshots);
    let task = tokio::spawn(async move {
        supervisor.run(&mut command_receiver, event_receiver, options.ends_with_circles, shutdown).await;
        drop(reloading);
        let lock = recovery.close().await;
        // Clients that wait for a command that will not be executed any more get an error.
        drop(command_receiver);
        server.close().await;
        supervisor.log_writer.close().await;
        if let Some(lock) = lock {
            files.release(lock);
        }
        let failed = supervisor.circles.into_iter().filter(|entry| entry.state_machine.state == CircleState::Failed);
        failed.map(|entry| entry.circle.name).collect()
    });
    Ok(SupervisorHandle { events, task })
}

struct Supervisor {
    files: SupervisorFiles,
    program: PathBuf,
    circles: Vec<CircleEntry>,
    /// Each task returns whether its circle has failed for good.
    runners: JoinSet<bool>,
    event_sender: mpsc::Sender<CircleEvent>,
    forwarder: EventForwarder,
    log_writer: LogWriter,
    manager: SdNotifier,
    snapshot_sender: watch::Sender<SupervisorSnapshot>,
    is_ending: bool,
    /// Whether the supervisor ends once nothing is up.
    is_released: bool,
    /// What a reload does with new circles.
    new_circle_policy: NewCirclePolicy,
    /// Why circles.json was not applied last time.
    refused: Option<String>,
    /// The changes of circles.json that the operator has yet to apply, as they were last logged.
    noticed: Vec<CircleChange>,
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
                        // A log line does not change the state of a circle, and there may be very many.
                        continue;
                    }
                }
                Some(command) = command_receiver.recv() => self.handle_command(command),
                Some(over) = self.runners.join_next_with_id() => {
                    // Handle the circle's last events before its end.
                    while let Ok(event) = event_receiver.try_recv() {
                        self.handle_event(event);
                    }
                    // A runner that panicked has failed, and its process ended with it.
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
        self.circles.iter_mut().for_each(|entry| entry.stop(false));
    }

    /// Replaces the definitions that circles are started with from now on.
    fn update_definitions(&mut self, circles: Vec<CircleDefinition>) {
        let mut before = std::mem::take(&mut self.circles);
        for definition in circles {
            let entry = match before.iter().position(|entry| entry.circle.name == definition.circle.name) {
                Some(index) => {
                    let CircleDefinition { circle, contents } = definition;
                    CircleEntry { circle, contents, is_removed: false, ..before.remove(index) }
                }
                None => CircleEntry::new(definition),
            };
            self.circles.push(if entry.process.is_some() {
                entry
            } else {
                CircleEntry { url: entry.circle.url(), access: entry.circle.access, ..entry }
            });
        }
        // A circle that runs and is not in the file any more stays until it is taken down.
        self.circles.extend(before.into_iter().filter(|entry| entry.process.is_some()));
    }

    fn handle_command(&mut self, command: SupervisorCommand) {
        // The client that sent the command may be gone.
        match command {
            SupervisorCommand::Circles { command, names, circles, answer } => {
                let result = self.run_circle_command(command, names, circles);
                self.publish();
                let _receiver_gone = answer.send(result);
            }
            SupervisorCommand::Reload { circles, trigger, answer } => {
                let result = self.reload(circles, trigger);
                self.publish();
                if let Some(answer) = answer {
                    let _receiver_gone = answer.send(result);
                }
            }
            SupervisorCommand::Diff { circles, answer } => {
                let _receiver_gone = answer.send(self.diff(&circles));
            }
            SupervisorCommand::Export { name, request } => {
                let entry = self.circles.iter().find(|entry| entry.circle.name == name);
                let sent = if let Some(entry) = entry {
                    entry.export(request)
                } else {
                    let reason = "there is no such circle".into();
                    Err((request, RpcError::InvalidParams { param: "name".into(), reason }))
                };
                if let Err((request, error)) = sent {
                    let _receiver_gone = request.answer.send(Err(error));
                }
            }
        }
    }

    fn run_circle_command(
        &mut self,
        command: CircleCommand,
        names: Option<Vec<String>>,
        circles: Option<Vec<CircleDefinition>>,
    ) -> Result<Vec<String>, RpcError> {
        if self.is_ending && matches!(command, CircleCommand::Up | CircleCommand::Restart) {
            return Err(RpcError::ShuttingDown);
        }
        if let Some(circles) = circles {
            self.update_definitions(circles);
        }
        let is_known = |name: &String| self.circles.iter().any(|entry| entry.circle.name == *name);
        if let Some(unknown) = names.iter().flatten().find(|name| !is_known(name)) {
            let reason = format!("there is no circle '{}'", unknown.chars().take(64).collect::<String>());
            return Err(RpcError::InvalidParams { param: "names".into(), reason });
        }
        match command {
            CircleCommand::Up | CircleCommand::Restart => self.is_released = false,
            CircleCommand::Release => self.is_released = true,
            CircleCommand::Down => {}
        }
        let is_all = names.is_none();
        if is_all {
            self.new_circle_policy = NewCirclePolicy::Start;
        }
        let names = names.unwrap_or_else(|| self.circles.iter().map(|entry| entry.circle.name.clone()).collect());
        if command == CircleCommand::Down && is_all {
            self.stop_all();
            return Ok(names);
        }
        for index in 0..self.circles.len() {
            let entry = &mut self.circles[index];
            if !names.contains(&entry.circle.name) {
                continue;
            }
            match (command, entry.state_machine.state) {
                (CircleCommand::Down | CircleCommand::Release, _) => entry.stop(false),
                // Restart at once, without the backoff delay.
                (CircleCommand::Up, CircleState::BackingOff | CircleState::Draining) => entry.stop(true),
                (CircleCommand::Restart, _) if entry.process.is_some() => entry.stop(true),
                (CircleCommand::Up, _) if entry.process.is_some() => {}
                _ => self.start_circle(index),
            }
        }
        Ok(names)
    }

    /// Starts a circle that is not running; if a draining circle still has its address, the start waits for that.
    fn start_circle(&mut self, index: usize) {
        let address = self.circles[index].circle.address;
        let is_taken = self.circles.iter().any(|entry| entry.occupies(address));
        let entry = &mut self.circles[index];
        if is_taken {
            entry.start_later();
        } else {
            entry.start(&self.files, &self.program, &self.event_sender, &mut self.runners);
        }
    }

    fn handle_event(&mut self, event: CircleEvent) {
        let mut format = LogFormat::default();
        let entry = self.circles.iter_mut().find(|entry| entry.circle.name == event.circle);
        if let Some(entry) = entry {
            format = entry.circle.log;
            let now = Instant::now();
            match &event.kind {
                CircleEventKind::Started { pid } => entry.state_machine.apply(StateChange::Started { pid: *pid }, now),
                CircleEventKind::Listening(ready) => {
                    (entry.url, entry.identity) = (entry.circle.url_at(ready.address), ready.identity.clone());
                }
                CircleEventKind::Recovering { percent } => {
                    entry.state_machine.apply(StateChange::Recovering { percent: *percent }, now);
                }
                CircleEventKind::Heartbeat(heartbeat) => entry.heartbeat = Some(heartbeat.clone()),
                CircleEventKind::Ready => entry.state_machine.apply(StateChange::Ready, now),
                CircleEventKind::Ended { reason, restart_in } => {
                    (entry.heartbeat, entry.identity) = (None, None);
                    let is_restarting = restart_in.is_some();
                    entry.state_machine.apply(StateChange::Ended { reason: reason.clone(), is_restarting }, now);
                }
                CircleEventKind::Configured { generation, refused } => entry.acknowledge(*generation, refused.clone()),
                CircleEventKind::Warning(_) | CircleEventKind::Info(_) | CircleEventKind::Log(_) => {}
            }
        }
        // The circle's own lines are in its log already.
        let line = match &event.kind {
            CircleEventKind::Warning(line) | CircleEventKind::Info(line) => Some(line.clone()),
            CircleEventKind::Ended { reason, restart_in: Some(wait) } => {
                Some(format!("{reason}; restarting in {:.1} s", secs(*wait)))
            }
            CircleEventKind::Ended { reason, restart_in: None } => Some(reason.clone()),
            CircleEventKind::Configured { refused: Some(reason), .. } => {
                Some(format!("change not applied; the circle keeps its previous configuration: {reason}"))
            }
            _ => None,
        };
        if let Some(line) = line {
            let is_well = matches!(event.kind, CircleEventKind::Info(_));
            let level = if is_well { log::LogLevel::Info } else { log::LogLevel::Warn };
            let line = format.format_line(SystemTime::now(), level, &line);
            self.log_writer.write(self.files.log(&event.circle), line);
        }
        if !matches!(event.kind, CircleEventKind::Heartbeat(_)) {
            self.forwarder.forward(event);
        }
    }

    fn handle_exit(&mut self, task: Id, has_failed: bool) {
        let ended =
            self.circles.iter_mut().find(|entry| entry.process.as_ref().is_some_and(|process| process.task == task));
        let Some(entry) = ended else { return };
        (entry.process, entry.heartbeat, entry.identity, entry.refused) = (None, None, None, None);
        entry.state_machine.apply(StateChange::Finished { has_failed }, Instant::now());
        if entry.is_removed && !entry.is_restart_pending {
            let name = entry.circle.name.clone();
            self.circles.retain(|entry| entry.circle.name != name);
        }
        for index in 0..self.circles.len() {
            let entry = &self.circles[index];
            if entry.is_restart_pending && entry.process.is_none() && !self.is_ending {
                self.start_circle(index);
            }
        }
    }

    fn publish(&self) {
        let status = |entry: &CircleEntry| CircleStatus {
            name: entry.circle.name.clone(),
            url: entry.url.clone(),
            state: entry.state_machine.state,
            pid: entry.state_machine.pid,
            restarts: entry.state_machine.restarts,
            uptime_s: None,
            access: entry.access,
            connections: entry.heartbeat.as_ref().map(|heartbeat| heartbeat.connections),
            workers: entry.heartbeat.as_ref().map(|heartbeat| heartbeat.workers),
            plays: entry.heartbeat.as_ref().map(|heartbeat| heartbeat.plays),
            memory_bytes: entry.heartbeat.as_ref().map(|heartbeat| heartbeat.memory_bytes),
            sandbox: entry.heartbeat.as_ref().map(|heartbeat| heartbeat.sandbox.clone()),
            store: entry.heartbeat.as_ref().and_then(|heartbeat| heartbeat.store.clone()),
            worker_pool: entry.heartbeat.as_ref().and_then(|heartbeat| heartbeat.worker_pool.clone()),
            identity: entry.identity.clone(),
            recovered_percent: entry.state_machine.recovered_percent,
            why: entry.state_machine.reason(),
            refused: entry.refused.clone(),
        };
        let circles = self.circles.iter().map(|entry| (status(entry), entry.state_machine.clone())).collect();
        let reconfiguring =
            self.circles.iter().filter(|entry| entry.process.as_ref().is_some_and(|process| process.is_reconfiguring));
        let reconfiguring = reconfiguring.map(|entry| entry.circle.name.clone()).collect();
        let (is_ending, refused) = (self.is_ending, self.refused.clone());
        self.snapshot_sender.send_replace(SupervisorSnapshot { circles, reconfiguring, is_ending, refused });
    }
}

fn secs(wait: Duration) -> f64 {
    wait.as_secs_f64()
}
