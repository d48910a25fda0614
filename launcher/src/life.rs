//! One circle: its processes, one after the other, each watched until it ends.

mod arguments;
mod asking;

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

use arguments::{arguments, public_arguments};
use asking::Asking;

use crate::{
    CircleEvent, CircleEventKind, RestartPolicy,
    backoff::Backoff,
    definition::Definition,
    link::{Heartbeat, Link, Said},
};

/// The flag that tells `circles serve` of its supervisor.
pub const SUPERVISED: &str = "--supervised";

/// A circle that gave none for so long is late.
const LATE: Duration = Duration::from_secs(8);

/// One that gives none for so long from then on hangs. A supervisor that was stopped itself (Ctrl-Z) finds its clock gone
/// on, and the signs that came meanwhile unread: they count.
const GRACE: Duration = Duration::from_secs(4);

/// How long a circle may take to be ready, its init script included.
const STARTING: Duration = Duration::from_secs(30);

const TO_BE_READY: [Duration; 1] = [STARTING];
const TO_BE_HEARD: [Duration; 2] = [LATE, GRACE];

/// How long a circle may take to drain, before it is killed.
const DRAINING: Duration = Duration::from_secs(12);

/// Bytes of one line of a log; a longer one is cut into several.
const MAX_LINE: usize = 8 << 10;

/// What a circle's last words begin with where it says why it ends.
const ERROR: &str = "error: ";

/// Bytes that are kept of them.
const MAX_WORDS: usize = 500;

/// The files of a circle's process, where it has any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files {
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
pub(crate) struct Told {
    /// How often it was told something else before.
    pub(crate) number: u64,
    pub(crate) definition: Arc<Definition>,
}

/// One circle and what its life needs.
pub(crate) struct Supervised {
    pub(crate) name: String,
    /// What it is to be, from now on or from its next start on.
    pub(crate) told: watch::Receiver<Told>,
    /// What its process is, as far as it has said.
    pub(crate) runs: watch::Sender<Arc<Definition>>,
    pub(crate) program: PathBuf,
    pub(crate) files: Files,
    pub(crate) events: mpsc::Sender<CircleEvent>,
    /// Turns true when it is to drain and end.
    pub(crate) stopped: watch::Receiver<bool>,
    /// Why it ended, as it said itself.
    pub(crate) last_words: Option<String>,
    /// Whether a process of it has taken connections.
    pub(crate) has_been_ready: bool,
}

impl Supervised {
    /// Its name, if it failed by itself for good.
    pub(crate) async fn live(mut self) -> Option<String> {
        let mut backoff = Backoff::default();
        loop {
            let begun = Instant::now();
            let ended = self.live_once().await;
            if *self.stopped.borrow() {
                return None;
            }
            let is_failure = !matches!(&ended, Ok(status) if status.success());
            let is_again = match self.told.borrow().definition.circle.restart {
                RestartPolicy::Always => true,
                RestartPolicy::OnFailure => is_failure,
                RestartPolicy::Never => false,
            };
            // Without any, circles that ended together may start together.
            let random = getrandom::u32().unwrap_or_default();
            if self.has_been_ready {
                backoff.note_ready();
            }
            let again_in = is_again.then(|| backoff.after(begun.elapsed(), random)).flatten();
            let why = ended.map_or_else(|error| format!("it cannot be started: {error}"), how);
            let why = self.last_words.take().into_iter().fold(why, |why, words| format!("{why}: {words}"));
            self.tell(CircleEventKind::Ended { reason: why, restart_in: again_in }).await;
            let Some(wait) = again_in else { return is_failure.then_some(self.name) };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // What it failed for may be mended.
                () = retold(&mut self.told) => {}
                () = wanted(&mut self.stopped) => return None,
            }
        }
    }

    /// One process, from its start to its end.
    async fn live_once(&mut self) -> io::Result<ExitStatus> {
        let (socket, its_socket) = std::os::unix::net::UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        let mut link = Link::new(UnixStream::from_std(socket)?);
        let told = self.told.borrow_and_update().clone();
        let mut child = self.spawn(&told.definition, its_socket.into())?;
        self.runs.send_replace(told.definition);
        if let Some(pid) = child.id() {
            self.tell(CircleEventKind::Started { pid }).await;
        }
        if told.number > 0 {
            self.tell(CircleEventKind::Configured { generation: told.number, refused: None }).await;
        }
        let arguments = arguments(&self.runs.borrow().circle, &self.files);
        let logs = [
            child.stdout.take().map(|log| tokio::spawn(forward(log, self.name.clone(), self.events.clone()))),
            child.stderr.take().map(|log| tokio::spawn(forward(log, self.name.clone(), self.events.clone()))),
        ];
        let mut stopped = self.stopped.clone();
        tokio::select! {
            // One that is gone has ended, or will.
            _ = link.start(arguments) => {}
            () = wanted(&mut stopped) => {}
            // One that does not read is late, too.
            () = tokio::time::sleep(STARTING) => {}
        }
        let status = self.watch(&mut child, &mut link, Asking::of(self.runs.clone())).await;
        drop(link);
        // Its last words before the news of its end.
        for log in logs.into_iter().flatten() {
            if let Ok(Ok(Some(words))) = timeout(Duration::from_secs(1), log).await {
                self.last_words = Some(words);
            }
        }
        status
    }

    async fn watch(&mut self, child: &mut Child, link: &mut Link, mut asking: Asking) -> io::Result<ExitStatus> {
        let mut stopped = self.stopped.clone();
        let mut pulse = Pulse::of(&TO_BE_READY);
        loop {
            let heard = tokio::select! {
                status = child.wait() => return status,
                () = wanted(&mut stopped) => return self.drain(child, link).await,
                heard = pulse.hear(link) => heard,
                () = asking.due(&mut self.told) => {
                    let patience = TO_BE_HEARD.iter().sum();
                    match timeout(patience, asking.go_on(&mut self.told, link)).await {
                        Ok(None) => continue,
                        Ok(Some(configured)) => {
                            self.tell(configured).await;
                            continue;
                        }
                        // It does not read.
                        Err(_) => Heard::Nothing(patience),
                    }
                }
            };
            match heard {
                Heard::Said(Said::Ready(ready)) => {
                    (pulse, asking.is_ready) = (Pulse::of(&TO_BE_HEARD), true);
                    self.has_been_ready = true;
                    self.tell(CircleEventKind::Listening(ready)).await;
                    self.tell(CircleEventKind::Ready).await;
                }
                Heard::Said(Said::Figures(figures)) => self.heard(figures),
                Heard::Said(Said::Configured(number, outcome)) => {
                    if let Some(configured) = asking.answered(number, outcome) {
                        self.tell(configured).await;
                    }
                }
                Heard::Nothing(patience) => {
                    let what = if pulse.is(&TO_BE_READY) { "not ready after" } else { "it gives no sign of life for" };
                    self.tell(CircleEventKind::Warning(format!("{what} {} s, and is killed", patience.as_secs())))
                        .await;
                    child.start_kill()?;
                    break;
                }
                // What closed its socket is ending, and says why in its log.
                Heard::End => {
                    tokio::select! {
                        status = child.wait() => return status,
                        () = wanted(&mut stopped) => return self.drain(child, link).await,
                        () = tokio::time::sleep(DRAINING) => {}
                    }
                    let what = "it cannot be heard any more, has not ended after";
                    self.tell(CircleEventKind::Warning(format!("{what} {} s, and is killed", DRAINING.as_secs())))
                        .await;
                    child.start_kill()?;
                    break;
                }
            }
        }
        tokio::select! {
            status = child.wait() => status,
            () = wanted(&mut stopped) => self.drain(child, link).await,
        }
    }

    /// Those that are not taken are made good by the next.
    fn heard(&self, figures: Heartbeat) {
        let event = CircleEvent { circle: self.name.clone(), kind: CircleEventKind::Heartbeat(figures) };
        let _full = self.events.try_send(event);
    }

    fn spawn(&self, definition: &Definition, socket: std::os::fd::OwnedFd) -> io::Result<Child> {
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

    async fn drain(&self, child: &mut Child, link: &mut Link) -> io::Result<ExitStatus> {
        let ends = async {
            // One that cannot be told has lost its socket, and ends for that.
            let _gone = link.drain().await;
            loop {
                tokio::select! {
                    status = child.wait() => return status,
                    Some(said) = link.next() => if let Said::Figures(figures) = said {
                        self.heard(figures);
                    },
                    else => return child.wait().await,
                }
            }
        };
        if let Ok(status) = timeout(DRAINING, ends).await {
            return status;
        }
        self.tell(CircleEventKind::Warning(format!("not drained after {} s, and killed", DRAINING.as_secs()))).await;
        child.kill().await?;
        child.wait().await
    }

    /// Waits for room, unless the end is wanted: then nothing is worth waiting for.
    async fn tell(&self, what: CircleEventKind) {
        let mut stopped = self.stopped.clone();
        let event = CircleEvent { circle: self.name.clone(), kind: what };
        tokio::select! {
            biased;
            _unheard = self.events.send(event) => {}
            () = wanted(&mut stopped) => {}
        }
    }
}

/// How long a circle may say nothing: so long, and then so long once more, and so on.
#[derive(Debug)]
struct Pulse {
    patience: &'static [Duration],
    /// How much of it is over.
    over: usize,
    since: Instant,
}

/// What is heard of a circle.
#[derive(Debug)]
enum Heard {
    Said(Said),
    /// For so long.
    Nothing(Duration),
    /// Its socket is closed.
    End,
}

impl Pulse {
    fn of(patience: &'static [Duration]) -> Self {
        Self { patience, over: 0, since: Instant::now() }
    }

    fn is(&self, patience: &[Duration]) -> bool {
        self.patience == patience
    }

    /// Waits for the next that is said. Cancel safe.
    async fn hear(&mut self, link: &mut Link) -> Heard {
        while let Some(&patience) = self.patience.get(self.over) {
            match timeout_at(self.since + patience, link.next()).await {
                Ok(Some(said)) => {
                    (self.over, self.since) = (0, Instant::now());
                    return Heard::Said(said);
                }
                Ok(None) => return Heard::End,
                Err(_) => (self.over, self.since) = (self.over + 1, Instant::now()),
            }
        }
        Heard::Nothing(self.patience.iter().sum())
    }
}

/// Waits until it is told to be something else; forever, where nobody is there any more to tell.
async fn retold(told: &mut watch::Receiver<Told>) {
    if told.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Waits until the end is wanted, or nobody is there to want it.
async fn wanted(stopped: &mut watch::Receiver<bool>) {
    let _wanted_or_gone = stopped.wait_for(|stopped| *stopped).await;
}

fn how(status: ExitStatus) -> String {
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
async fn forward(mut log: impl AsyncRead + Unpin, circle: String, events: mpsc::Sender<CircleEvent>) -> Option<String> {
    let (mut line, mut chunk, mut lost, mut last_words) = (Vec::new(), vec![0; MAX_LINE], 0_u64, None);
    let mut tell = |line: &mut Vec<u8>| {
        let text = String::from_utf8_lossy(&std::mem::take(line)).into_owned();
        if let Some(words) = text.strip_prefix(ERROR) {
            last_words = Some(words[..words.floor_char_boundary(MAX_WORDS)].to_owned());
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
            if byte == b'\n' || line.len() == MAX_LINE {
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
