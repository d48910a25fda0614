//! The server's end of one worker. Nothing that comes from the worker is believed without being checked.

mod asked;
mod host_calls;

use std::{
    collections::HashMap,
    io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    net::UnixStream,
    process::{Child, Command},
    sync::oneshot,
    time::{Instant, timeout_at},
};

use crate::{
    allocator, child,
    host::{HostCall, HostReturn},
    inspection::{Answer, Inquiry, Query},
    message::{
        self, Control, FromControl, FromWorker, HEADER, Hello, Outcome, Play, Print, ProgressReport, Setup, ToWorker,
    },
    sandbox::Layer,
};

use asked::Asked;
use host_calls::HostCalls;

/// How long a process may go on once its socket is closed.
const END_GRACE: Duration = Duration::from_secs(1);

/// Which executable a worker runs. It must call [`run_if_worker`](crate::run_if_worker) first thing in its `main`.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Program {
    /// The one that is running, even if the file was replaced since.
    #[default]
    SameExecutable,
    /// Another one, for test harnesses.
    File(PathBuf),
}

impl Program {
    /// What is executed. The error is that this program cannot find itself.
    pub fn path(self) -> io::Result<PathBuf> {
        match self {
            Self::File(path) => Ok(path),
            Self::SameExecutable if cfg!(target_os = "linux") => Ok("/proc/self/exe".into()),
            Self::SameExecutable => std::env::current_exe(),
        }
    }
}

/// What a worker does or says.
#[derive(Debug)]
pub enum Event {
    /// A play printed something.
    Print(Print),
    /// A play ended.
    Done {
        /// The play's number.
        play: u64,
        /// How.
        outcome: Outcome,
    },
    /// A play calls a host function of [`Setup::host`] and waits for [`Worker::host_return`]. The arguments are the
    /// worker's word and nothing more: they may be no JSON.
    HostCall(HostCall),
    /// The answer to [`Worker::ask_progress`].
    Progress(ProgressReport),
    /// The answer to [`Worker::ask`]; to the kind of query that it was.
    Answer {
        /// The query's number.
        number: u64,
        /// What was asked for.
        answer: Answer,
    },
    /// The process is gone, and its environment with it. Nothing comes after this.
    Lost(Loss),
}

/// What ended a worker's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// [`Worker::kill`], or a SIGKILL from elsewhere.
    Killed,
    /// It would have had more memory than it may have.
    Memory,
    /// It failed by itself, or it said something that a worker does not say and was killed for it.
    Crashed,
}

/// One worker process. Dropping it kills the process.
#[derive(Debug)]
pub struct Worker {
    work: Pipe,
    control: Pipe,
    /// Whether a report is to come.
    is_progress_asked: bool,
    /// What it says that keeps it where it is.
    layers: Option<Vec<Layer>>,
    /// Number of the play that was sent and has not ended.
    running: Option<u64>,
    /// Number of the play that is to end.
    stopped: Option<u64>,
    host: HostCalls,
    /// What may be answered, by number.
    asked: HashMap<u64, Asked>,
    /// Bytes that an answer to one may have.
    max_answer: usize,
    kill: Option<oneshot::Sender<()>>,
    exit: oneshot::Receiver<io::Result<ExitStatus>>,
    is_broken: bool,
    is_control_closed: bool,
    /// When a process that closed its socket is killed.
    give_up_at: Option<Instant>,
    pid: Option<u32>,
}

impl Worker {
    /// Starts the process. It needs a tokio runtime with I/O enabled, which then reaps the process, too.
    pub async fn start(program: Program, setup: Setup) -> io::Result<Self> {
        let (work, its_work) = std::os::unix::net::UnixStream::pair()?;
        let (control, its_control) = std::os::unix::net::UnixStream::pair()?;
        work.set_nonblocking(true)?;
        control.set_nonblocking(true)?;
        let output = usize::try_from(setup.limits.output_bytes).unwrap_or(usize::MAX);
        let host = HostCalls::new(&setup);
        let max_frame = output.saturating_mul(2).saturating_add(128 << 10).max(host.max_args.saturating_add(1 << 10));
        let mut work = Pipe::new(UnixStream::from_std(work)?, max_frame);
        // An answer counts each of its texts and more than each entry's encoding adds.
        let control = Pipe::new(UnixStream::from_std(control)?, output.saturating_add(4 << 10));
        let child = spawn(program.path()?, its_work.into(), its_control.into()).await?;
        let pid = child.id();
        let (kill, killed) = oneshot::channel();
        let (exited, exit) = oneshot::channel();
        tokio::spawn(reap(child, killed, exited));
        work.send(&Hello { build: message::BUILD, setup });
        Ok(Self {
            work,
            control,
            is_progress_asked: false,
            layers: None,
            running: None,
            stopped: None,
            host,
            asked: HashMap::new(),
            max_answer: output,
            kill: Some(kill),
            exit,
            is_broken: false,
            is_control_closed: false,
            give_up_at: None,
            pid,
        })
    }

    /// What keeps it where it is; known with its first event.
    pub fn layers(&self) -> Option<&[Layer]> {
        self.layers.as_deref()
    }

    /// The process id, for log lines.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Sends a play. The one before must have ended.
    pub fn play(&mut self, play: &Play<'_>) {
        self.running = Some(play.number);
        self.work.send(&ToWorker::Play(*play));
    }

    /// Ends that play, now or as soon as it begins; its [`Event::Done`] still comes. It has no effect on a play that
    /// ended.
    pub fn stop(&mut self, play: u64) {
        self.control.send(&Control::Stop { play });
        if self.running == Some(play) {
            self.stopped = Some(play);
            // It would not look before it is answered.
            self.host_return(HostReturn::Aborted);
        }
    }

    /// Answers the host call for which the play waits. It has no effect where none waits any more: after
    /// [`stop`](Self::stop), or once the process is gone.
    pub fn host_return(&mut self, returned: HostReturn) {
        if let Some(call) = self.host.open.take() {
            self.work.send(&ToWorker::Return { call, returned });
        }
    }

    /// Kills a process that said what no worker says, in words that only the caller can judge; [`Event::Lost`] with
    /// [`Loss::Crashed`] follows.
    pub fn condemn(&mut self) {
        self.is_broken = true;
        self.kill();
    }

    /// Asks how far the running play is.
    pub fn ask_progress(&mut self) {
        // One question at a time: a worker that does not answer must not fill this end.
        if self.control.pending.is_empty() && !self.is_progress_asked {
            self.is_progress_asked = true;
            self.control.send(&Control::Progress);
        }
    }

    /// Asks something; [`Event::Answer`] follows under that number, which no other query of this worker may have. While a
    /// play runs it is answered from what there was before the play, without values. The caller bounds how many it asks
    /// for before they are answered.
    pub fn ask(&mut self, number: u64, query: Query) {
        self.asked.insert(number, Asked::new(&query));
        let inquiry = Inquiry { number, query };
        if self.running.is_some() {
            self.control.send(&Control::Inspect(inquiry));
        } else {
            self.work.send(&ToWorker::Inspect(inquiry));
        }
    }

    /// Kills the process; [`Event::Lost`] follows.
    pub fn kill(&mut self) {
        if let Some(kill) = self.kill.take() {
            // The receiver is gone only when the process is, too.
            let _reaped = kill.send(());
        }
    }

    /// The next event, in order. Cancel safe: an event is never lost when the future is dropped. It also drives what
    /// [`play`](Self::play) and [`stop`](Self::stop) could not send at once, so it must be awaited for them to go on.
    pub async fn event(&mut self) -> Event {
        if self.is_broken {
            return self.lost().await;
        }
        loop {
            match self.next() {
                Ok(Some(event)) => return event,
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(pid = self.pid, %error, "a worker broke the protocol and is killed");
                    self.is_broken = true;
                    self.kill();
                    return self.lost().await;
                }
            }
            tokio::select! {
                // The quiet one first: a play that prints without end must not keep answers from being seen. Its end is
                // not the worker's: what has arrived on the other one counts, even if the process is gone by now.
                biased;
                moved = self.control.drive(), if !self.is_control_closed => {
                    self.is_control_closed = !moved.unwrap_or(false);
                }
                moved = self.work.drive() => if !moved.unwrap_or(false) {
                    return self.lost().await;
                },
            }
        }
    }

    /// What has fully arrived.
    fn next(&mut self) -> io::Result<Option<Event>> {
        // Before it is sealed a worker has nothing to say there.
        let said = if self.layers.is_some() { self.control.receive::<FromControl>()? } else { None };
        match said {
            Some(FromControl::Progress(report)) if std::mem::take(&mut self.is_progress_asked) => {
                return Ok(Some(Event::Progress(report)));
            }
            Some(FromControl::Progress(_)) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a report that nobody asked for"));
            }
            Some(FromControl::Answer { number, answer }) => return self.answered(number, answer).map(Some),
            None => {}
        }
        while let Some(message) = self.work.receive::<FromWorker>()? {
            if let Some(event) = self.said(message)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// What a message on the work socket comes to.
    fn said(&mut self, message: FromWorker) -> io::Result<Option<Event>> {
        let broken = |why| Err(io::Error::new(io::ErrorKind::InvalidData, why));
        match message {
            FromWorker::Sealed(layers) if self.layers.is_none() => self.layers = Some(layers),
            // Before it is sealed a worker has nothing to say.
            _ if self.layers.is_none() => return broken("it is not sealed"),
            FromWorker::Print(print) if self.running == Some(print.play) => return Ok(Some(Event::Print(print))),
            FromWorker::HostCall(call) if self.running == Some(call.play) => {
                if !self.host.admit(&call) {
                    return broken("a host call that cannot be");
                }
                if self.stopped != self.running {
                    return Ok(Some(Event::HostCall(call)));
                }
                self.host_return(HostReturn::Aborted);
            }
            FromWorker::Done { play, outcome } if self.running == Some(play) && self.host.open.is_none() => {
                self.running = None;
                return Ok(Some(Event::Done { play, outcome }));
            }
            FromWorker::Answer { number, answer } => return self.answered(number, answer).map(Some),
            _ => return broken("a message of a play that is not running"),
        }
        Ok(None)
    }

    fn answered(&mut self, number: u64, answer: Answer) -> io::Result<Event> {
        match self.asked.remove(&number) {
            Some(asked) if asked.is_answered_by(&answer, self.max_answer) => Ok(Event::Answer { number, answer }),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "an answer to nothing that was asked")),
        }
    }

    /// Cancel safe: when it gives up waiting is noted, not counted anew.
    async fn lost(&mut self) -> Event {
        // A socket can close before its process has ended, by a failure that is still being handled there.
        let was_killed_here = self.kill.is_none();
        let give_up_at = *self.give_up_at.get_or_insert_with(|| Instant::now() + END_GRACE);
        let status = if let Ok(status) = timeout_at(give_up_at, &mut self.exit).await {
            status
        } else {
            self.kill();
            (&mut self.exit).await
        };
        let status = status.ok().and_then(Result::ok);
        if status.is_some_and(|status| status.code() == Some(allocator::OUT_OF_MEMORY)) && !self.is_broken {
            return Event::Lost(Loss::Memory);
        }
        let signal = status.and_then(|status| status.signal());
        let is_kill = was_killed_here || signal == Some(rustix::process::Signal::KILL.as_raw());
        Event::Lost(if is_kill && !self.is_broken { Loss::Killed } else { Loss::Crashed })
    }
}

async fn spawn(program: PathBuf, work: OwnedFd, control: OwnedFd) -> io::Result<Child> {
    let mut command = Command::new(program);
    command
        .arg0("circles-worker")
        .arg(child::FLAG)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(work))
        .stdout(Stdio::from(control))
        .stderr(Stdio::null())
        // A Ctrl-C in the server's terminal is not for its workers.
        .process_group(0)
        .kill_on_drop(true);
    // Starting a process blocks until it has begun.
    let runtime = tokio::runtime::Handle::current();
    let spawn = move || {
        let _in_runtime = runtime.enter();
        command.spawn()
    };
    tokio::task::spawn_blocking(spawn).await.map_err(io::Error::other)?
}

/// Owns the process until it has ended: the only place that kills it, so that no other process can be hit.
async fn reap(mut child: Child, mut killed: oneshot::Receiver<()>, exited: oneshot::Sender<io::Result<ExitStatus>>) {
    let status = tokio::select! {
        status = child.wait() => status,
        // Also when the handle was dropped.
        _ = &mut killed => match child.start_kill() {
            Ok(()) => child.wait().await,
            Err(error) => Err(error),
        },
    };
    // Nobody asks after a worker whose handle was dropped.
    let _unasked = exited.send(status);
}

/// One socket with what is on its way in both directions.
#[derive(Debug)]
struct Pipe {
    socket: UnixStream,
    /// Framed and not yet taken by the kernel.
    pending: Vec<u8>,
    sent: usize,
    arrived: Vec<u8>,
    taken: usize,
    max_frame: usize,
}

/// Bytes that are read at a time.
const CHUNK: usize = 16 << 10;

impl Pipe {
    fn new(socket: UnixStream, max_frame: usize) -> Self {
        Self { socket, pending: Vec::new(), sent: 0, arrived: Vec::new(), taken: 0, max_frame }
    }

    /// Takes a message to be sent, and sends what the kernel takes at once.
    fn send(&mut self, message: &impl serde::Serialize) {
        self.pending = message::encode(message, std::mem::take(&mut self.pending));
        // What fails here fails again in `drive`, where it is told.
        let _later = self.write();
    }

    fn write(&mut self) -> io::Result<()> {
        while self.sent < self.pending.len() {
            match self.socket.try_write(&self.pending[self.sent..]) {
                Ok(bytes) => self.sent += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.pending.clear();
        self.sent = 0;
        Ok(())
    }

    /// Sends and receives what there is; false at the end. Cancel safe.
    async fn drive(&mut self) -> io::Result<bool> {
        if self.pending.is_empty() {
            self.socket.readable().await?;
        } else {
            tokio::select! {
                ready = self.socket.writable() => {
                    ready?;
                    self.write()?;
                    return Ok(true);
                }
                ready = self.socket.readable() => ready?,
            }
        }
        self.read()
    }

    fn read(&mut self) -> io::Result<bool> {
        self.arrived.drain(..self.taken);
        self.taken = 0;
        let length = self.arrived.len();
        self.arrived.resize(length + CHUNK, 0);
        let read = self.socket.try_read(&mut self.arrived[length..]);
        self.arrived.truncate(length + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(bytes) => Ok(bytes > 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The next message, if it has wholly arrived.
    fn receive<T: serde::de::DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let Some((header, rest)) = self.arrived[self.taken..].split_first_chunk::<HEADER>() else { return Ok(None) };
        let length = message::length(*header);
        if length > self.max_frame {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message over the bound"));
        }
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        let message = message::decode(payload)?;
        self.taken += HEADER + length;
        Ok(Some(message))
    }
}
