//! One circle: its processes, one after the other, each watched until it ends.

mod arguments;
mod configurator;

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

use crate::{
    CircleEvent, CircleEventKind, RestartPolicy,
    backoff::Backoff,
    definition::CircleDefinition,
    ipc::{CircleChannel, FromCircle, Heartbeat},
};

/// The flag that tells `circles serve` of its supervisor.
pub const SUPERVISED_FLAG: &str = "--supervised";

/// A circle that gave none for so long is late.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(8);

/// One that gives none for so long from then on hangs. A supervisor that was stopped itself (Ctrl-Z) finds its clock gone
/// on, and the signs that came meanwhile unread: they count.
const HEARTBEAT_GRACE_PERIOD: Duration = Duration::from_secs(4);

/// How long a circle may take to be ready, its init script included.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

const READY_TIMEOUTS: [Duration; 1] = [READY_TIMEOUT];
const HEARTBEAT_TIMEOUTS: [Duration; 2] = [HEARTBEAT_TIMEOUT, HEARTBEAT_GRACE_PERIOD];

/// How long a circle may take to drain, before it is killed.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(12);

/// Bytes of one line of a log; a longer one is cut into several.
const MAX_LOG_LINE: usize = 8 << 10;

/// What a circle's last words begin with where it says why it ends.
const ERROR_PREFIX: &str = "error: ";

/// Bytes that are kept of them.
const MAX_EXIT_REASON: usize = 500;

/// The files of a circle's process, where it has any.
#[derive(Debug, Clone, Default)]
pub(crate) struct CircleFiles {
    /// Its log, which it writes itself.
    pub(crate) log: Option<PathBuf>,
    /// Its audit, likewise.
    pub(crate) audit: Option<PathBuf>,
    /// Its identity, where circles.json names none.
    pub(crate) identity: Option<PathBuf>,
    /// Held for its life: while a circle of an earlier supervisor still drains, its successor waits.
    pub(crate) lock: Option<PathBuf>,
}

/// What a circle is to be.
#[derive(Debug, Clone)]
pub(crate) struct DesiredDefinition {
    /// How often it was told something else before.
    pub(crate) generation: u64,
    pub(crate) definition: Arc<CircleDefinition>,
}

/// One circle and what its life needs.
pub(crate) struct CircleRunner {
    pub(crate) name: String,
    /// What it is to be, from now on or from its next start on.
    pub(crate) desired: watch::Receiver<DesiredDefinition>,
    /// What its process is, as far as it has said.
    pub(crate) running: watch::Sender<Arc<CircleDefinition>>,
    pub(crate) program: PathBuf,
    pub(crate) files: CircleFiles,
    pub(crate) events: mpsc::Sender<CircleEvent>,
    /// Turns true when it is to drain and end.
    pub(crate) stop_requested: watch::Receiver<bool>,
    /// Why it ended, as it said itself.
    pub(crate) exit_reason: Option<String>,
    /// Whether a process of it has taken connections.
    pub(crate) has_been_ready: bool,
}

impl CircleRunner {
    /// Its name, if it failed by itself for good.
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
            // Without any, circles that ended together may start together.
            let random = getrandom::u32().unwrap_or_default();
            if self.has_been_ready {
                backoff.note_ready();
            }
            let restart_in = is_restarting.then(|| backoff.next_delay(started.elapsed(), random)).flatten();
            let why = exit.map_or_else(|error| format!("it cannot be started: {error}"), describe_exit);
            let why = self.exit_reason.take().into_iter().fold(why, |why, exit_reason| format!("{why}: {exit_reason}"));
            self.emit(CircleEventKind::Ended { reason: why, restart_in }).await;
            let Some(wait) = restart_in else { return is_failure.then_some(self.name) };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // What it failed for may be mended.
                () = wait_for_new_definition(&mut self.desired) => {}
                () = wait_for_stop(&mut self.stop_requested) => return None,
            }
        }
    }

    /// One process, from its start to its end.
    async fn run_once(&mut self) -> io::Result<ExitStatus> {
        let (socket, circle_socket) = std::os::unix::net::UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        let mut link = CircleChannel::new(UnixStream::from_std(socket)?);
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
            // One that is gone has ended, or will.
            _ = link.start(arguments) => {}
            () = wait_for_stop(&mut stopped) => {}
            // One that does not read is late, too.
            () = tokio::time::sleep(READY_TIMEOUT) => {}
        }
        let status = self.monitor(&mut child, &mut link, Configurator::new(self.running.clone())).await;
        drop(link);
        // Its last words before the news of its end.
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
        link: &mut CircleChannel,
        mut configurator: Configurator,
    ) -> io::Result<ExitStatus> {
        let mut stopped = self.stop_requested.clone();
        let mut pulse = HeartbeatMonitor::new(&READY_TIMEOUTS);
        loop {
            let heard = tokio::select! {
                status = child.wait() => return status,
                () = wait_for_stop(&mut stopped) => return self.drain(child, link).await,
                heard = pulse.next(link) => heard,
                () = configurator.wait_until_due(&mut self.desired) => {
                    let silence = HEARTBEAT_TIMEOUTS.iter().sum();
                    match timeout(silence, configurator.handle_due(&mut self.desired, link)).await {
                        Ok(None) => continue,
                        Ok(Some(configured)) => {
                            self.emit(configured).await;
                            continue;
                        }
                        // It does not read.
                        Err(_) => MonitorEvent::TimedOut(silence),
                    }
                }
            };
            match heard {
                MonitorEvent::Message(FromCircle::Ready(ready)) => {
                    (pulse, configurator.is_ready) = (HeartbeatMonitor::new(&HEARTBEAT_TIMEOUTS), true);
                    self.has_been_ready = true;
                    self.emit(CircleEventKind::Listening(ready)).await;
                    self.emit(CircleEventKind::Ready).await;
                }
                MonitorEvent::Message(FromCircle::Heartbeat(figures)) => self.report_heartbeat(figures),
                MonitorEvent::Message(FromCircle::ConfigureResponse(number, outcome)) => {
                    if let Some(configured) = configurator.handle_response(number, outcome) {
                        self.emit(configured).await;
                    }
                }
                MonitorEvent::TimedOut(silence) => {
                    let what = if pulse.has_timeouts(&READY_TIMEOUTS) {
                        "not ready after"
                    } else {
                        "it gives no sign of life for"
                    };
                    self.emit(CircleEventKind::Warning(format!("{what} {} s, and is killed", silence.as_secs()))).await;
                    child.start_kill()?;
                    break;
                }
                // What closed its socket is ending, and says why in its log.
                MonitorEvent::Closed => {
                    tokio::select! {
                        status = child.wait() => return status,
                        () = wait_for_stop(&mut stopped) => return self.drain(child, link).await,
                        () = tokio::time::sleep(DRAIN_TIMEOUT) => {}
                    }
                    let what = "it cannot be heard any more, has not ended after";
                    self.emit(CircleEventKind::Warning(format!("{what} {} s, and is killed", DRAIN_TIMEOUT.as_secs())))
                        .await;
                    child.start_kill()?;
                    break;
                }
            }
        }
        tokio::select! {
            status = child.wait() => status,
            () = wait_for_stop(&mut stopped) => self.drain(child, link).await,
        }
    }

    /// Those that are not taken are made good by the next.
    fn report_heartbeat(&self, figures: Heartbeat) {
        let event = CircleEvent { circle: self.name.clone(), kind: CircleEventKind::Heartbeat(figures) };
        let _full = self.events.try_send(event);
    }

    fn spawn(&self, definition: &CircleDefinition, socket: std::os::fd::OwnedFd) -> io::Result<Child> {
        if let Some(directory) = self.files.identity.as_ref().and_then(|identity| identity.parent()) {
            // Somebody may have removed it since the supervisor began. A circle that cannot use it says so.
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

    async fn drain(&self, child: &mut Child, link: &mut CircleChannel) -> io::Result<ExitStatus> {
        let drained = async {
            // One that cannot be told has lost its socket, and ends for that.
            let _gone = link.drain().await;
            loop {
                tokio::select! {
                    status = child.wait() => return status,
                    Some(said) = link.next() => if let FromCircle::Heartbeat(figures) = said {
                        self.report_heartbeat(figures);
                    },
                    else => return child.wait().await,
                }
            }
        };
        if let Ok(status) = timeout(DRAIN_TIMEOUT, drained).await {
            return status;
        }
        self.emit(CircleEventKind::Warning(format!("not drained after {} s, and killed", DRAIN_TIMEOUT.as_secs())))
            .await;
        child.kill().await?;
        child.wait().await
    }

    /// Waits for room, unless the end is wanted: then nothing is worth waiting for.
    async fn emit(&self, what: CircleEventKind) {
        let mut stopped = self.stop_requested.clone();
        let event = CircleEvent { circle: self.name.clone(), kind: what };
        tokio::select! {
            biased;
            _unheard = self.events.send(event) => {}
            () = wait_for_stop(&mut stopped) => {}
        }
    }
}

/// How long a circle may say nothing: so long, and then so long once more, and so on.
#[derive(Debug)]
struct HeartbeatMonitor {
    timeouts: &'static [Duration],
    /// How much of it is over.
    expired: usize,
    since: Instant,
}

/// What is heard of a circle.
#[derive(Debug)]
enum MonitorEvent {
    Message(FromCircle),
    /// For so long.
    TimedOut(Duration),
    /// Its socket is closed.
    Closed,
}

impl HeartbeatMonitor {
    fn new(silence: &'static [Duration]) -> Self {
        Self { timeouts: silence, expired: 0, since: Instant::now() }
    }

    fn has_timeouts(&self, silence: &[Duration]) -> bool {
        self.timeouts == silence
    }

    /// Waits for the next that is said. Cancel safe.
    async fn next(&mut self, link: &mut CircleChannel) -> MonitorEvent {
        while let Some(&silence) = self.timeouts.get(self.expired) {
            match timeout_at(self.since + silence, link.next()).await {
                Ok(Some(said)) => {
                    (self.expired, self.since) = (0, Instant::now());
                    return MonitorEvent::Message(said);
                }
                Ok(None) => return MonitorEvent::Closed,
                Err(_) => (self.expired, self.since) = (self.expired + 1, Instant::now()),
            }
        }
        MonitorEvent::TimedOut(self.timeouts.iter().sum())
    }
}

/// Waits until it is told to be something else; forever, where nobody is there any more to tell.
async fn wait_for_new_definition(desired: &mut watch::Receiver<DesiredDefinition>) {
    if desired.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Waits until the end is wanted, or nobody is there to want it.
async fn wait_for_stop(stopped: &mut watch::Receiver<bool>) {
    let _stopped_or_gone = stopped.wait_for(|stopped| *stopped).await;
}

fn describe_exit(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;

    match (status.code(), status.signal()) {
        (Some(0), _) => "it ended".into(),
        (Some(code), _) => format!("it ended with exit code {code}"),
        (None, Some(signal)) => format!("it was ended by signal {signal}"),
        (None, None) => "it ended".into(),
    }
}

/// Tells the lines of a log, as far as they are text, and has the last that was an error. A line that nobody takes is
/// dropped and counted: a circle must not wait for whoever reads its log.
async fn forward_log(
    mut log: impl AsyncRead + Unpin,
    circle: String,
    events: mpsc::Sender<CircleEvent>,
) -> Option<String> {
    let (mut line, mut chunk, mut lost, mut last_words) = (Vec::new(), vec![0; MAX_LOG_LINE], 0_u64, None);
    let mut tell = |line: &mut Vec<u8>| {
        let text = String::from_utf8_lossy(&std::mem::take(line)).into_owned();
        if let Some(exit_reason) = text.strip_prefix(ERROR_PREFIX) {
            last_words = Some(exit_reason[..exit_reason.floor_char_boundary(MAX_EXIT_REASON)].to_owned());
        }
        let event = |text| CircleEvent { circle: circle.clone(), kind: CircleEventKind::Log(text) };
        if lost > 0 && events.try_send(event(format!("({lost} lines are lost: nobody read them)"))).is_ok() {
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
                tell(&mut line);
            }
        }
        if length == 0 {
            if !line.is_empty() {
                tell(&mut line);
            }
            return last_words;
        }
    }
}

#[cfg(test)]
mod tests;
