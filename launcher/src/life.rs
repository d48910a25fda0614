//! One circle: its processes, one after the other, each watched until it ends.

mod arguments;

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::UnixStream,
    process::{Child, Command},
    sync::{mpsc, watch},
    time::timeout,
};

use arguments::arguments;

use crate::{Circle, Event, Happened, Restart, backoff::Backoff};

/// The flag that tells `circles serve` of its supervisor.
pub const SUPERVISED: &str = "--supervised";

/// What a circle says on its socket once it takes connections; what follows in the line is where.
pub const READY: &str = "ready ";

/// Bytes that this line has at the most.
const MAX_READY: usize = 128;

/// What a circle says there from then on, every [`BEAT_INTERVAL`]: a sign of life, and how many connections it has.
pub fn beat(connections: usize) -> String {
    format!("{connections}\n")
}

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

/// The files of a circle's process, where it has any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files {
    /// Its log, which it writes itself.
    pub(crate) log: Option<PathBuf>,
    /// Held for its life: while a circle of an earlier supervisor still drains, its successor waits.
    pub(crate) lock: Option<PathBuf>,
}

/// One circle and what its life needs.
pub(crate) struct Supervised {
    pub(crate) circle: Circle,
    pub(crate) program: PathBuf,
    pub(crate) files: Files,
    pub(crate) events: mpsc::Sender<Event>,
    /// Turns true when it is to drain and end.
    pub(crate) stopped: watch::Receiver<bool>,
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
            let is_again = match self.circle.restart {
                Restart::Always => true,
                Restart::OnFailure => is_failure,
                Restart::Never => false,
            };
            let again_in = is_again.then(|| backoff.after(begun.elapsed())).flatten();
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
        if let Some(pid) = child.id() {
            self.tell(Happened::Started { pid }).await;
        }
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
        let mut stopped = self.stopped.clone();
        tokio::select! {
            status = child.wait() => return status,
            () = wanted(&mut stopped) => return self.drain(child, socket).await,
            ready = timeout(STARTING, said_ready(socket)) => match ready {
                Ok(Some(address)) => {
                    self.tell(Happened::Listening(address)).await;
                    self.tell(Happened::Ready).await;
                }
                // What closed its socket is ending, and says why in its log.
                Ok(None) => {}
                Err(_) => {
                    self.tell(Happened::Note(format!("not ready after {} s, and killed", STARTING.as_secs()))).await;
                    child.start_kill()?;
                }
            },
        }
        let hangs = tokio::select! {
            status = child.wait() => return status,
            () = wanted(&mut stopped) => return self.drain(child, socket).await,
            hangs = silence(socket, |connections| self.heard(connections)) => hangs,
        };
        if hangs {
            let line = format!("it gives no sign of life for {} s, and is killed", (LATE + GRACE).as_secs());
            self.tell(Happened::Note(line)).await;
            child.start_kill()?;
        }
        tokio::select! {
            status = child.wait() => status,
            () = wanted(&mut stopped) => self.drain(child, socket).await,
        }
    }

    /// One that is not taken is made good by the next.
    fn heard(&self, connections: u64) {
        let event = Event { circle: self.circle.name.clone(), what: Happened::Connections(connections) };
        let _full = self.events.try_send(event);
    }

    fn spawn(&self, socket: std::os::fd::OwnedFd) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        command
            .args(arguments(&self.circle, &self.files))
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
        self.tell(Happened::Note(format!("not drained after {} s, and killed", DRAINING.as_secs()))).await;
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

/// Where a circle takes connections, once it says so.
async fn said_ready(socket: &mut UnixStream) -> Option<SocketAddr> {
    let mut line = Vec::new();
    // Byte by byte: what follows the line are signs of life, for another reader.
    while line.len() < MAX_READY {
        match socket.read_u8().await {
            Ok(b'\n') => return std::str::from_utf8(&line).ok()?.strip_prefix(READY)?.parse().ok(),
            Ok(byte) => line.push(byte),
            Err(_) => return None,
        }
    }
    None
}

/// Waits until a circle that was ready says nothing any more: true if it hangs, false if its socket is closed, because then
/// it is ending.
async fn silence(socket: &mut UnixStream, mut heard: impl FnMut(u64)) -> bool {
    let (mut said, mut is_late, mut connections) = ([0; 64], false, 0_u64);
    loop {
        match timeout(if is_late { GRACE } else { LATE }, socket.read(&mut said)).await {
            Ok(Ok(length @ 1..)) => {
                is_late = false;
                for &byte in &said[..length] {
                    match byte {
                        b'0'..=b'9' => connections = connections.wrapping_mul(10).wrapping_add(u64::from(byte - b'0')),
                        _ => heard(std::mem::take(&mut connections)),
                    }
                }
            }
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

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// Time passes as fast as nothing happens.
    #[tokio::test(start_paused = true)]
    async fn what_was_late_once_does_not_hang_and_what_says_nothing_more_does() {
        let (mut socket, mut circle) = UnixStream::pair().expect("a pair");
        let (begun, mut heard) = (tokio::time::Instant::now(), Vec::new());
        let beats = async {
            tokio::time::sleep(LATE + GRACE / 2).await;
            circle.write_all(beat(12).as_bytes()).await.expect("it is read");
            std::future::pending::<()>().await;
        };
        let hangs = tokio::select! {
            hangs = silence(&mut socket, |connections| heard.push(connections)) => hangs,
            () = beats => false,
        };
        assert!(hangs && begun.elapsed() >= LATE + GRACE / 2 + LATE + GRACE);
        assert_eq!(heard, [12]);
        drop(circle);
        assert!(!silence(&mut socket, |_| {}).await, "a closed socket is no silence");
    }
}
