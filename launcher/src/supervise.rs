//! A process for each circle, started again when it ends, ended with its supervisor.
//!
//! A circle holds a socket to its supervisor as its standard input. It says *ready* there, and when the socket closes it
//! drains and ends: so none outlives its supervisor, however that ends.

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
    task::JoinSet,
    time::timeout,
};

use crate::{Circle, Restart, backoff::Backoff};

/// The flag that tells `circles serve` of its supervisor.
pub const SUPERVISED: &str = "--supervised";

/// What a circle says on its socket once it takes connections.
pub const READY: &[u8] = b"ready\n";

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

/// Starts circles and keeps them up until `shutdown` is done; then drains them all. Events come on the receiver, which
/// ends when everything has. It needs a tokio runtime with I/O and time enabled.
pub fn supervise(
    circles: Vec<Circle>,
    program: &Path,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> mpsc::Receiver<Event> {
    let (events, receiver) = mpsc::channel(EVENTS);
    let (stop, stopped) = watch::channel(false);
    let mut lives = JoinSet::new();
    for circle in circles {
        let supervised =
            Supervised { circle, program: program.to_owned(), events: events.clone(), stopped: stopped.clone() };
        lives.spawn(supervised.live());
    }
    tokio::spawn(async move {
        tokio::select! {
            () = shutdown => {
                // Nobody is told where every circle has ended already.
                let _all_ended = stop.send(true);
                while lives.join_next().await.is_some() {}
            }
            () = async { while lives.join_next().await.is_some() {} } => {}
        }
    });
    receiver
}

struct Supervised {
    circle: Circle,
    program: PathBuf,
    events: mpsc::Sender<Event>,
    stopped: watch::Receiver<bool>,
}

impl Supervised {
    async fn live(mut self) {
        let mut backoff = Backoff::default();
        loop {
            let begun = Instant::now();
            let ended = self.live_once().await;
            if *self.stopped.borrow() {
                return;
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
            let Some(wait) = again_in else { return };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = wanted(&mut self.stopped) => return,
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
            () = wanted(&mut stopped) => return drain(child, socket).await,
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
        tokio::select! {
            status = child.wait() => status,
            () = wanted(&mut stopped) => drain(child, socket).await,
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

    async fn tell(&self, what: Happened) {
        // Nobody may want to hear it any more.
        let _unheard = self.events.send(Event { circle: self.circle.name.clone(), what }).await;
    }
}

/// Waits until the end is wanted, or nobody is there to want it.
async fn wanted(stopped: &mut watch::Receiver<bool>) {
    let _wanted_or_gone = stopped.wait_for(|stopped| *stopped).await;
}

/// Closes the socket, which the circle takes as the word to drain.
async fn drain(child: &mut Child, socket: &mut UnixStream) -> io::Result<ExitStatus> {
    use tokio::io::AsyncWriteExt;

    socket.shutdown().await?;
    if let Ok(status) = timeout(DRAINING, child.wait()).await {
        return status;
    }
    child.kill().await?;
    child.wait().await
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

/// Tells the lines of a log, as far as they are text.
async fn forward(mut log: impl AsyncRead + Unpin, circle: String, events: mpsc::Sender<Event>) {
    let (mut line, mut chunk) = (Vec::new(), vec![0; MAX_LINE]);
    loop {
        let length = log.read(&mut chunk).await.unwrap_or(0);
        let mut rest = &chunk[..length];
        while let Some((&byte, behind)) = rest.split_first() {
            rest = behind;
            if byte != b'\n' {
                line.push(byte);
            }
            if byte == b'\n' || line.len() == MAX_LINE {
                let text = String::from_utf8_lossy(&std::mem::take(&mut line)).into_owned();
                if events.send(Event { circle: circle.clone(), what: Happened::Log(text) }).await.is_err() {
                    return;
                }
            }
        }
        if length == 0 {
            if !line.is_empty() {
                let text = String::from_utf8_lossy(&line).into_owned();
                let _unheard = events.send(Event { circle, what: Happened::Log(text) }).await;
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
