//! Runs one circle: starts its process, monitors it, and restarts it when it ends.

mod arguments;
mod configurator;
mod exporter;

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::UnixStream,
    process::{Child, Command},
    sync::{mpsc, watch},
    time::{Instant, timeout, timeout_at},
};

use arguments::{public_arguments, serve_arguments};
use configurator::Configurator;
pub(crate) use exporter::{ExportRequest, Exporter, export_failed};

use crate::{
    CircleEvent, CircleEventKind, RestartPolicy,
    backoff::Backoff,
    definition::CircleDefinition,
    ipc::{CircleChannel, FromCircle, Heartbeat, Recovering},
};

/// The flag that tells `circles serve` that a supervisor has started it.
pub const SUPERVISED_FLAG: &str = "--supervised";

/// Silence after which a circle's heartbeat is late.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(8);

/// Further silence after which the circle counts as hanging and is killed. There are two steps because a supervisor
/// that was itself stopped (Ctrl-Z) finds the first timeout expired: heartbeats that arrived meanwhile are still
/// unread, and count.
const HEARTBEAT_GRACE_PERIOD: Duration = Duration::from_secs(4);

/// Time in which a circle has to become ready, its init script included; after each report of a recovering store anew.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

const READY_TIMEOUTS: [Duration; 1] = [READY_TIMEOUT];
const HEARTBEAT_TIMEOUTS: [Duration; 2] = [HEARTBEAT_TIMEOUT, HEARTBEAT_GRACE_PERIOD];

/// Time in which a circle has to drain before it is killed. Tests use another one.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(12);

/// Longest log line in bytes; longer lines are split.
const MAX_LOG_LINE: usize = 8 << 10;

/// Prefix of the line in which a circle's process says why it ends.
const ERROR_PREFIX: &str = "error: ";

/// Bytes that are kept of that line.
const MAX_EXIT_REASON: usize = 500;

/// Paths of the files of a circle's process; each is optional.
#[derive(Debug, Clone, Default)]
pub(crate) struct CircleFiles {
    /// Log, written by the circle.
    pub(crate) log: Option<PathBuf>,
    /// Audit, written by the circle.
    pub(crate) audit: Option<PathBuf>,
    /// Identity, for a circle without `identity` in circles.json.
    pub(crate) identity: Option<PathBuf>,
    /// Lock that the process holds while it runs: a new process waits while a circle of an earlier supervisor still
    /// drains.
    pub(crate) lock: Option<PathBuf>,
}

/// The definition that a circle should have.
#[derive(Debug, Clone)]
pub(crate) struct DesiredDefinition {
    /// Number of changes since the process started.
    pub(crate) generation: u64,
    pub(crate) definition: Arc<CircleDefinition>,
}

/// Runs one circle until it is stopped or given up.
pub(crate) struct CircleRunner {
    pub(crate) name: String,
    /// The definition that the circle should have, from now on or from its next start on.
    pub(crate) desired: watch::Receiver<DesiredDefinition>,
    /// The definition that the process has, as far as it has confirmed.
    pub(crate) running: watch::Sender<Arc<CircleDefinition>>,
    pub(crate) program: PathBuf,
    pub(crate) files: CircleFiles,
    pub(crate) events: mpsc::Sender<CircleEvent>,
    pub(crate) exporter: Exporter,
    /// Time in which a circle has to drain before it is killed.
    pub(crate) drain_timeout: Duration,
    /// Becomes true when the circle has to drain and end.
    pub(crate) stop_requested: watch::Receiver<bool>,
    /// Why the last process ended, in its own words.
    pub(crate) exit_reason: Option<String>,
    /// Whether a process of this circle has ever accepted connections.
    pub(crate) has_been_ready: bool,
}

impl CircleRunner {
    /// Runs the circle. Returns its name if it has failed for good.
    pub(crate) async fn run(mut self) -> Option<String> {
        let mut backoff = Backoff::default();
        loop {
            let started = Instant::now();
            let exit = self.run_once().await;
            if *self.stop_requested.borrow() {
                return None;
            }
            let is_failure = !matches!(&exit, Ok(status) if status.success());
            let is_restarting = match self.desired.borrow().definition.circle.restart {
                RestartPolicy::Always => true,
                RestartPolicy::OnFailure => is_failure,
                RestartPolicy::Never => false,
            };
            // Without randomness, circles that ended together may restart together; that is acceptable.
            let random = getrandom::u32().unwrap_or_default();
            if self.has_been_ready {
                backoff.note_ready();
            }
            let restart_in = is_restarting.then(|| backoff.next_delay(started.elapsed(), random)).flatten();
            let reason = exit.map_or_else(|error| format!("cannot start the process: {error}"), describe_exit);
            let reason = match self.exit_reason.take() {
                Some(exit_reason) => format!("{reason}: {exit_reason}"),
                None => reason,
            };
            self.emit(CircleEventKind::Ended { reason, restart_in }).await;
            let Some(wait) = restart_in else { return is_failure.then_some(self.name) };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // The new definition may fix what it failed for.
                () = wait_for_new_definition(&mut self.desired) => {}
                () = wait_for_stop(&mut self.stop_requested) => return None,
            }
        }
    }

    /// Runs one process from its start to its end.
    async fn run_once(&mut self) -> io::Result<ExitStatus> {
        let (socket, circle_socket) = std::os::unix::net::UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        let mut channel = CircleChannel::new(UnixStream::from_std(socket)?);
        let desired = self.desired.borrow_and_update().clone();
        let mut child = self.spawn(&desired.definition, circle_socket.into())?;
        self.running.send_replace(desired.definition);
        if let Some(pid) = child.id() {
            self.emit(CircleEventKind::Started { pid }).await;
        }
        if desired.generation > 0 {
            self.emit(CircleEventKind::Configured { generation: desired.generation, refused: None }).await;
        }
        let arguments = serve_arguments(&self.running.borrow().circle, &self.files);
        let logs = [
            child.stdout.take().map(|log| tokio::spawn(forward_log(log, self.name.clone(), self.events.clone()))),
            child.stderr.take().map(|log| tokio::spawn(forward_log(log, self.name.clone(), self.events.clone()))),
        ];
        let mut stopped = self.stop_requested.clone();
        tokio::select! {
            // A process that is gone has ended already, or will.
            _ = channel.start(arguments) => {}
            () = wait_for_stop(&mut stopped) => {}
            // A process that does not read counts as late.
            () = tokio::time::sleep(READY_TIMEOUT) => {}
        }
        let status = self.monitor(&mut child, &mut channel, Configurator::new(self.running.clone())).await;
        drop(channel);
        self.exporter.reset();
        // Read its last log lines before its end is reported.
        for log in logs.into_iter().flatten() {
            if let Ok(Ok(Some(exit_reason))) = timeout(Duration::from_secs(1), log).await {
                self.exit_reason = Some(exit_reason);
            }
        }
        status
    }

    async fn monitor(
        &mut self,
        child: &mut Child,
        channel: &mut CircleChannel,
        mut configurator: Configurator,
    ) -> io::Result<ExitStatus> {
        let mut stopped = self.stop_requested.clone();
        let mut monitor = HeartbeatMonitor::new(&READY_TIMEOUTS);
        loop {
            let event = tokio::select! {
                status = child.wait() => return status,
                () = wait_for_stop(&mut stopped) => return self.drain(child, channel).await,
                event = monitor.next(channel) => event,
                action = self.exporter.next_action(), if configurator.is_ready => {
                    self.exporter.send(action, channel).await;
                    continue;
                }
                () = configurator.wait_until_due(&mut self.desired) => {
                    let timeout_duration = HEARTBEAT_TIMEOUTS.iter().sum();
                    match timeout(timeout_duration, configurator.handle_due(&mut self.desired, channel)).await {
                        Ok(None) => continue,
                        Ok(Some(configured)) => {
                            self.emit(configured).await;
                            continue;
                        }
                        // The circle does not read.
                        Err(_) => MonitorEvent::TimedOut(timeout_duration),
                    }
                }
            };
            match event {
                MonitorEvent::Message(FromCircle::Ready(ready)) => {
                    (monitor, configurator.is_ready) = (HeartbeatMonitor::new(&HEARTBEAT_TIMEOUTS), true);
                    self.has_been_ready = true;
                    self.emit(CircleEventKind::Listening(ready)).await;
                    self.emit(CircleEventKind::Ready).await;
                }
                // The circle makes progress, so the timeout begins anew.
                MonitorEvent::Message(FromCircle::Recovering(Recovering { percent })) => {
                    self.emit(CircleEventKind::Recovering { percent }).await;
                }
                MonitorEvent::Message(FromCircle::Heartbeat(heartbeat)) => self.report_heartbeat(heartbeat),
                MonitorEvent::Message(FromCircle::Response(number, outcome)) => {
                    if self.exporter.handle_response(number, outcome.as_deref()) {
                        continue;
                    }
                    if let Some(configured) = configurator.handle_response(number, outcome.map(drop)) {
                        self.emit(configured).await;
                    }
                }
                MonitorEvent::TimedOut(timeout_duration) => {
                    let problem =
                        if monitor.has_timeouts(&READY_TIMEOUTS) { "not ready after" } else { "no heartbeat for" };
                    self.emit(CircleEventKind::Warning(format!(
                        "{problem} {} s; killing it",
                        timeout_duration.as_secs()
                    )))
                    .await;
                    child.start_kill()?;
                    break;
                }
                // A circle that closed its socket is ending, and says why in its log.
                MonitorEvent::Closed => {
                    tokio::select! {
                        status = child.wait() => return status,
                        () = wait_for_stop(&mut stopped) => return self.drain(child, channel).await,
                        () = tokio::time::sleep(self.drain_timeout) => {}
                    }
                    let problem = "closed its socket, but still running after";
                    let seconds = self.drain_timeout.as_secs();
                    self.emit(CircleEventKind::Warning(format!("{problem} {seconds} s; killing it"))).await;
                    child.start_kill()?;
                    break;
                }
            }
        }
        tokio::select! {
            status = child.wait() => status,
            () = wait_for_stop(&mut stopped) => self.drain(child, channel).await,
        }
    }

    /// Reports a heartbeat. If the queue is full it is dropped: the next one makes up for it.
    fn report_heartbeat(&self, heartbeat: Heartbeat) {
        let event = CircleEvent { circle: self.name.clone(), kind: CircleEventKind::Heartbeat(heartbeat) };
        let _full = self.events.try_send(event);
    }

    fn spawn(&self, definition: &CircleDefinition, socket: std::os::fd::OwnedFd) -> io::Result<Child> {
        if let Some(directory) = self.files.identity.as_ref().and_then(|identity| identity.parent()) {
            // The directory may have been removed since the supervisor started. If it cannot be created, the circle
            // reports that itself.
            let _unusable = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        }
        let mut command = Command::new(&self.program);
        command
            .arg0("circles")
            .args(public_arguments(&definition.circle))
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name == "CIRCLES_LOG"))
            .stdin(Stdio::from(socket))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command.spawn()
    }

    async fn drain(&mut self, child: &mut Child, channel: &mut CircleChannel) -> io::Result<ExitStatus> {
        let drain_timeout = self.drain_timeout;
        let drained = async {
            // If this fails the circle has lost its socket, and ends because of that.
            let _gone = channel.drain().await;
            loop {
                tokio::select! {
                    status = child.wait() => return status,
                    Some(message) = channel.next() => match message {
                        FromCircle::Heartbeat(heartbeat) => self.report_heartbeat(heartbeat),
                        FromCircle::Response(number, outcome) => {
                            self.exporter.handle_response(number, outcome.as_deref());
                        }
                        _ => {}
                    },
                    else => return child.wait().await,
                }
            }
        };
        if let Ok(status) = timeout(drain_timeout, drained).await {
            return status;
        }
        let seconds = drain_timeout.as_secs();
        self.emit(CircleEventKind::Warning(format!("not drained after {seconds} s; killing it"))).await;
        child.kill().await?;
        child.wait().await
    }

    /// Sends an event, and waits for room in the queue unless the circle is being stopped.
    async fn emit(&self, kind: CircleEventKind) {
        let mut stopped = self.stop_requested.clone();
        let event = CircleEvent { circle: self.name.clone(), kind };
        tokio::select! {
            biased;
            _receiver_gone = self.events.send(event) => {}
            () = wait_for_stop(&mut stopped) => {}
        }
    }
}

/// Watches for silence of a circle, with a list of timeouts that expire one after the other.
#[derive(Debug)]
struct HeartbeatMonitor {
    timeouts: &'static [Duration],
    /// Number of timeouts that have expired.
    expired: usize,
    since: Instant,
}

/// What the monitor has noticed.
#[derive(Debug)]
enum MonitorEvent {
    Message(FromCircle),
    /// The circle was silent for this long.
    TimedOut(Duration),
    /// The circle closed its socket.
    Closed,
}

impl HeartbeatMonitor {
    fn new(timeouts: &'static [Duration]) -> Self {
        Self { timeouts, expired: 0, since: Instant::now() }
    }

    fn has_timeouts(&self, timeouts: &[Duration]) -> bool {
        self.timeouts == timeouts
    }

    /// Waits for the next message. Cancel safe.
    async fn next(&mut self, channel: &mut CircleChannel) -> MonitorEvent {
        while let Some(&timeout_duration) = self.timeouts.get(self.expired) {
            match timeout_at(self.since + timeout_duration, channel.next()).await {
                Ok(Some(message)) => {
                    (self.expired, self.since) = (0, Instant::now());
                    return MonitorEvent::Message(message);
                }
                Ok(None) => return MonitorEvent::Closed,
                Err(_) => (self.expired, self.since) = (self.expired + 1, Instant::now()),
            }
        }
        MonitorEvent::TimedOut(self.timeouts.iter().sum())
    }
}

/// Waits for a new definition; forever, if the supervisor is gone.
async fn wait_for_new_definition(desired: &mut watch::Receiver<DesiredDefinition>) {
    if desired.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Waits until the circle has to stop, or the supervisor is gone.
async fn wait_for_stop(stopped: &mut watch::Receiver<bool>) {
    let _stopped_or_gone = stopped.wait_for(|stopped| *stopped).await;
}

fn describe_exit(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;

    match (status.code(), status.signal()) {
        (Some(0), _) => "exited".into(),
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "exited".into(),
    }
}

/// Forwards the lines of a log as events, and returns the last error line. If the queue is full a line is dropped and
/// counted: a circle must not wait for the reader of its log.
async fn forward_log(
    mut log: impl AsyncRead + Unpin,
    circle: String,
    events: mpsc::Sender<CircleEvent>,
) -> Option<String> {
    let (mut line, mut chunk, mut lost, mut last_error) = (Vec::new(), vec![0; MAX_LOG_LINE], 0_u64, None);
    let mut emit_line = |line: &mut Vec<u8>| {
        let text = String::from_utf8_lossy(&std::mem::take(line)).into_owned();
        if let Some(exit_reason) = text.strip_prefix(ERROR_PREFIX) {
            last_error = Some(exit_reason[..exit_reason.floor_char_boundary(MAX_EXIT_REASON)].to_owned());
        }
        let event = |text| CircleEvent { circle: circle.clone(), kind: CircleEventKind::Log(text) };
        if lost > 0 && events.try_send(event(format!("({lost} lines dropped: not read in time)"))).is_ok() {
            lost = 0;
        }
        if events.try_send(event(text)).is_err() {
            lost += 1;
        }
    };
    loop {
        let length = log.read(&mut chunk).await.unwrap_or(0);
        for &byte in &chunk[..length] {
            if byte != b'\n' {
                line.push(byte);
            }
            if byte == b'\n' || line.len() == MAX_LOG_LINE {
                emit_line(&mut line);
            }
        }
        if length == 0 {
            if !line.is_empty() {
                emit_line(&mut line);
            }
            return last_error;
        }
    }
}

#[cfg(test)]
mod tests;
