//! A process for each circle, started again when it ends, ended with its supervisor.
//!
//! A circle holds a socket to its supervisor as its standard input. It says *ready* there, then gives a sign of life every
//! two seconds: one that hangs is killed and started again. When the socket closes it drains and ends: so none outlives its
//! supervisor, however that ends.

use std::{
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::UnixStream,
    process::{Child, Command},
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use crate::{Circle, Restart, backoff::Backoff};

/// The flag that tells `circles serve` of its supervisor.
pub const SUPERVISED: &str = "--supervised";

/// What a circle says on its socket once it takes connections.
pub const READY: &[u8] = b"ready\n";

/// What a circle says there from then on, every [`BEAT_INTERVAL`].
pub const BEAT: &[u8] = b".";

/// How often a circle gives a sign of life.
pub const BEAT_INTERVAL: Duration = Duration::from_secs(2);

/// A circle that gave none for so long is late.
const LATE: Duration = Duration::from_secs(8);

/// One that gives none for so long from then on hangs. A supervisor that was stopped itself (Ctrl-Z) finds its clock gone
/// on, and the signs that came meanwhile unread: they count.
const GRACE: Duration = Duration::from_secs(4);

/// How long a circle may take to be ready, its init script included.
const STARTING: Duration = Duration::from_secs(30);

/// How long a circle may take to drain, before it is killed.
const DRAINING: Duration = Duration::from_secs(12);

/// Bytes of one line of a log; a longer one is cut into several.
const MAX_LINE: usize = 8 << 10;

/// Events that wait to be taken, before the circles' logs are made to wait.
const EVENTS: usize = 256;

/// Something that happened to a circle.
#[derive(Debug)]
pub struct Event {
    /// Its name.
    pub circle: String,
    /// What happened.
    pub what: Happened,
}

/// What can happen to a circle.
#[derive(Debug)]
#[non_exhaustive]
pub enum Happened {
    /// It wrote a line.
    Log(String),
    /// It takes connections.
    Ready,
    /// It is not to be had, and why.
    Ended {
        /// For a person.
        why: String,
        /// When it is started again; never, without one.
        again_in: Option<Duration>,
    },
}

/// What is going on with the circles, and their end.
#[derive(Debug)]
pub struct Supervision {
    /// What happens; ends with the circles. What is not taken costs lines of logs and nothing else.
    pub events: mpsc::Receiver<Event>,
    /// Done once every circle has ended; the names of those that failed by themselves for good.
    pub ended: JoinHandle<Vec<String>>,
}

/// Starts circles and keeps them up until `shutdown` is done; then drains them all. It needs a tokio runtime with I/O and
/// time enabled.
pub fn supervise(
    circles: Vec<Circle>,
    program: &Path,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Supervision {
    let (to_listener, events) = mpsc::channel(EVENTS);
    let (stop, stopped) = watch::channel(false);
    let mut lives = JoinSet::new();
    for circle in circles {
        let (events, stopped) = (to_listener.clone(), stopped.clone());
        lives.spawn(Supervised { circle, program: program.to_owned(), events, stopped }.live());
    }
    let ended = tokio::spawn(async move {
        let all_ended = async {
            let mut failed = Vec::new();
            while let Some(life) = lives.join_next().await {
                failed.extend(life.ok().flatten());
            }
            failed
        };
        tokio::pin!(all_ended);
        tokio::select! {
            () = shutdown => {
                // Nobody is told where every circle has ended already.
                let _all_ended = stop.send(true);
                all_ended.await
            }
            failed = &mut all_ended => failed,
        }
    });
    Supervision { events, ended }
}

struct Supervised {
    circle: Circle,
    program: PathBuf,
    events: mpsc::Sender<Event>,
    stopped: watch::Receiver<bool>,
}

impl Supervised {
    /// Its name, if it failed by itself for good.
    async fn live(mut self) -> Option<String> {
        let mut backoff = Backoff::default();
        loop {
            let begun = Instant::now();
            let ended = self.live_once().await;
            if *self.stopped.borrow() {
                return None;
            }
            let is_failure = !matches!(&ended, Ok(status) if status.success());
            let is_again = match self.circle.restart {
                Restart::Always => true,
                Restart::OnFailure => is_failure,
                Restart::Never => false,
            };
            let again_in = is_again.then(|| backoff.after(begun.elapsed()));
            let why = ended.map_or_else(|error| format!("it cannot be started: {error}"), how);
            self.tell(Happened::Ended { why, again_in }).await;
            let Some(wait) = again_in else { return is_failure.then_some(self.circle.name) };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = wanted(&mut self.stopped) => return None,
            }
        }
    }

    /// One process, from its start to its end.
    async fn live_once(&mut self) -> io::Result<ExitStatus> {
        let (socket, its_socket) = std::os::unix::net::UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        let mut socket = UnixStream::from_std(socket)?;
        let mut child = self.spawn(its_socket.into())?;
        let logs = [
            child.stdout.take().map(|log| tokio::spawn(forward(log, self.circle.name.clone(), self.events.clone()))),
            child.stderr.take().map(|log| tokio::spawn(forward(log, self.circle.name.clone(), self.events.clone()))),
        ];
        let status = self.watch(&mut child, &mut socket).await;
        drop(socket);
        // Its last words before the news of its end.
        for log in logs.into_iter().flatten() {
            let _told = timeout(Duration::from_secs(1), log).await;
        }
        status
    }

    async fn watch(&mut self, child: &mut Child, socket: &mut UnixStream) -> io::Result<ExitStatus> {
        let mut said = [0; READY.len()];
        let mut stopped = self.stopped.clone();
        tokio::select! {
            status = child.wait() => return status,
            () = wanted(&mut stopped) => return self.drain(child, socket).await,
            ready = timeout(STARTING, socket.read_exact(&mut said)) => match ready {
                Ok(Ok(_)) if said == READY => self.tell(Happened::Ready).await,
                // What closed its socket is ending, and says why in its log.
                Ok(_) => {}
                Err(_) => {
                    self.tell(Happened::Log(format!("not ready after {} s, and killed", STARTING.as_secs()))).await;
                    child.start_kill()?;
                }
            },
        }
        let hangs = tokio::select! {
            status = child.wait() => return status,
            () = wanted(&mut stopped) => return self.drain(child, socket).await,
            hangs = silence(socket) => hangs,
        };
        if hangs {
            let line = format!("it gives no sign of life for {} s, and is killed", (LATE + GRACE).as_secs());
            self.tell(Happened::Log(line)).await;
            child.start_kill()?;
        }
        tokio::select! {
            status = child.wait() => status,
            () = wanted(&mut stopped) => self.drain(child, socket).await,
        }
    }

    fn spawn(&self, socket: std::os::fd::OwnedFd) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        command
            .args(arguments(&self.circle))
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name == "CIRCLES_LOG"))
            .stdin(Stdio::from(socket))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C in the supervisor's terminal is the supervisor's.
            .process_group(0)
            .kill_on_drop(true);
        command.spawn()
    }

    /// Closes the socket, which the circle takes as the word to drain.
    async fn drain(&self, child: &mut Child, socket: &mut UnixStream) -> io::Result<ExitStatus> {
        use tokio::io::AsyncWriteExt;

        socket.shutdown().await?;
        if let Ok(status) = timeout(DRAINING, child.wait()).await {
            return status;
        }
        self.tell(Happened::Log(format!("not drained after {} s, and killed", DRAINING.as_secs()))).await;
        child.kill().await?;
        child.wait().await
    }

    /// Waits for room, unless the end is wanted: then nothing is worth waiting for.
    async fn tell(&self, what: Happened) {
        let mut stopped = self.stopped.clone();
        let event = Event { circle: self.circle.name.clone(), what };
        tokio::select! {
            biased;
            _unheard = self.events.send(event) => {}
            () = wanted(&mut stopped) => {}
        }
    }
}

/// Waits until a circle that was ready says nothing any more: true if it hangs, false if its socket is closed, because then
/// it is ending.
async fn silence(socket: &mut UnixStream) -> bool {
    let (mut said, mut is_late) = ([0; 64], false);
    loop {
        match timeout(if is_late { GRACE } else { LATE }, socket.read(&mut said)).await {
            Ok(Ok(1..)) => is_late = false,
            Ok(Ok(0) | Err(_)) => return false,
            Err(_) if is_late => return true,
            Err(_) => is_late = true,
        }
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

/// Tells the lines of a log, as far as they are text. A line that nobody takes is dropped and counted: a circle must not
/// wait for whoever reads its log.
async fn forward(mut log: impl AsyncRead + Unpin, circle: String, events: mpsc::Sender<Event>) {
    let (mut line, mut chunk, mut lost) = (Vec::new(), vec![0; MAX_LINE], 0_u64);
    let mut tell = |line: &mut Vec<u8>| {
        let text = String::from_utf8_lossy(&std::mem::take(line)).into_owned();
        let event = |text| Event { circle: circle.clone(), what: Happened::Log(text) };
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
            return;
        }
    }
}

/// The arguments of `circles serve` that make this circle.
fn arguments(circle: &Circle) -> Vec<String> {
    let mut arguments: Vec<String> = vec!["serve".into(), SUPERVISED.into()];
    let mut flag = |name: &str, value: String| arguments.push(format!("--{name}={value}"));
    flag("name", circle.name.clone());
    flag("host", circle.address.ip().to_string());
    flag("port", circle.address.port().to_string());
    flag("access", circle.access.to_string());
    flag("sandbox", circle.sandbox.to_string());
    if circle.access == protocol::methods::Access::Members {
        circle.members.iter().for_each(|member| flag("member", member.to_hex()));
    }
    circle.hosts.iter().for_each(|host| flag("hosts", host.to_string()));
    circle.origins.iter().for_each(|origin| flag("origins", origin.clone()));
    circle.description.iter().for_each(|description| flag("description", description.clone()));
    circle.init.iter().for_each(|init| flag("init", init.display().to_string()));
    circle.modules.iter().for_each(|modules| flag("modules", modules.display().to_string()));
    if let Ok(serde_json::Value::Object(limits)) = serde_json::to_value(&circle.limits) {
        for (name, value) in limits.into_iter().filter(|(_, value)| !value.is_null()) {
            flag("limit", format!("{name}={value}"));
        }
    }
    if circle.allow_open {
        arguments.push("--allow-open".into());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// Time passes as fast as nothing happens.
    #[tokio::test(start_paused = true)]
    async fn what_was_late_once_does_not_hang_and_what_says_nothing_more_does() {
        let (mut socket, mut circle) = UnixStream::pair().expect("a pair");
        let begun = tokio::time::Instant::now();
        let beats = async {
            tokio::time::sleep(LATE + GRACE / 2).await;
            circle.write_all(BEAT).await.expect("it is read");
            std::future::pending::<()>().await;
        };
        let hangs = tokio::select! {
            hangs = silence(&mut socket) => hangs,
            () = beats => false,
        };
        assert!(hangs && begun.elapsed() >= LATE + GRACE / 2 + LATE + GRACE);
        drop(circle);
        assert!(!silence(&mut socket).await, "a closed socket is no silence");
    }
}
