//! The supervisor of the circles.json that is meant: found, or started in the background.

mod directories;
pub mod unsupervised;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use launcher::{
    Statuses,
    control::{Client, ControlError, Names, Restart, Status, Up},
    place::{Held, Place, PlaceError},
    supervisor::Begin,
};
use protocol::{Method, RpcError, methods::NoParams};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
    runtime::Runtime,
    signal::unix::SignalKind,
    sync::{mpsc, oneshot},
};

pub use directories::Directories;
pub use directories::could_be_made;

use crate::signals::{is_ignored, listen};
use crate::{
    config,
    error::{CliError, os_text},
};

/// How long a supervisor may take to say how its circles are, which costs it nothing.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How long one that ends may take: its circles are killed long before that.
const ENDING: Duration = Duration::from_mins(1);

/// What it says to who started it, once it listens.
pub const LISTENING: &str = "listening";

/// How often a supervisor may turn out to be ending just when it is told.
const TRIES: usize = 3;

/// What a supervisor is given of the environment: how much is logged. Where its files are it is told by its arguments.
const ENVIRONMENT: [&str; 1] = ["CIRCLES_LOG"];

/// How supervisors are found and started.
#[derive(Debug, Clone)]
pub struct Supervisors {
    /// The executable that they and their circles run.
    pub program: PathBuf,
    /// Where their files are.
    pub directories: Directories,
}

impl Supervisors {
    /// Those of the user who runs this program.
    pub fn of_user() -> Result<Self, CliError> {
        Ok(Self { program: program()?, directories: directories::directories()? })
    }

    /// The place of the supervisor of the circles.json that is meant.
    pub fn place(&self, config: Option<&Path>) -> Result<Place, CliError> {
        let path = config::path(config)?;
        Ok(Place::of(&path, &self.directories.run, &self.directories.state)?)
    }
}

/// The place of the supervisor of the circles.json that is meant.
pub fn place(config: Option<&Path>) -> Result<Place, CliError> {
    Supervisors::of_user()?.place(config)
}

/// The user's directories, as they are or would be; nothing is made.
pub fn directories_as_they_are() -> Directories {
    directories::directories_as_they_are()
}

/// What is wished of circles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Start each circle that does not run.
    Up,
    /// Stop each circle and start it again.
    Restart,
}

/// How the circles of those names are, all without any, once the supervisor has done what it could in the time. It is started
/// if there is none.
pub async fn tell(
    supervisors: &Supervisors,
    place: &Place,
    names: &[String],
    wish: Wish,
    patience: Duration,
) -> Result<Statuses, CliError> {
    let deadline = Instant::now() + patience;
    for _ in 1..TRIES {
        match try_to_tell(supervisors, place, names, wish, deadline).await {
            Err(Untold::Ending) => {}
            Err(Untold::Failed(error)) => return Err(error),
            Ok(statuses) => return Ok(statuses),
        }
    }
    try_to_tell(supervisors, place, names, wish, deadline).await.map_err(|untold| match untold {
        Untold::Ending => failed(ControlError::Lost),
        Untold::Failed(error) => error,
    })
}

enum Untold {
    /// It is ending: another one will do it.
    Ending,
    Failed(CliError),
}

async fn try_to_tell(
    supervisors: &Supervisors,
    place: &Place,
    names: &[String],
    wish: Wish,
    deadline: Instant,
) -> Result<Statuses, Untold> {
    let left = || deadline.saturating_duration_since(Instant::now());
    let mut client = find_or_start(supervisors, place, names, left()).await.map_err(Untold::Failed)?;
    let params = Names { names: (!names.is_empty()).then(|| names.to_vec()) };
    let answer = match wish {
        Wish::Up => client.call::<Up>(&params, left()).await,
        Wish::Restart => client.call::<Restart>(&params, left()).await,
    };
    match answer {
        Ok(statuses) => Ok(statuses),
        Err(ControlError::Lost | ControlError::Refused(RpcError::ShuttingDown)) => Err(Untold::Ending),
        Err(ControlError::TimedOut { .. }) => {
            let client = running(place).await.map_err(Untold::Failed)?;
            let mut client = client.ok_or(Untold::Ending)?;
            let statuses = client.call::<Status>(&NoParams {}, PATIENCE).await;
            statuses.map_err(|error| Untold::Failed(failed(error)))
        }
        Err(error) => Err(Untold::Failed(failed(error))),
    }
}

/// Connects to the supervisor that runs, if there is one, and says how its circles are. One that does not answer at all is not waited
/// for as long as one that has something to do, and does not do later what was given up.
pub async fn answering(place: &Place) -> Result<Option<(Client, Statuses)>, ControlError> {
    let Some(mut client) = Client::connect(place).await? else { return Ok(None) };
    let statuses = client.call::<Status>(&NoParams {}, PATIENCE).await?;
    Ok(Some((client, statuses)))
}

/// Has the supervisor that runs do it; `None` if there is none, or none any more: then nothing is up.
pub async fn tell_running<M: Method<Params = Names, Result = Statuses>>(
    place: &Place,
    names: &[String],
    patience: Duration,
) -> Result<Option<Statuses>, CliError> {
    let told = async {
        let Some((mut client, _)) = answering(place).await? else { return Ok(None) };
        client.call::<M>(&Names { names: Some(names.to_vec()) }, patience).await.map(Some)
    };
    match told.await {
        Err(ControlError::Lost) => Ok(None),
        other => other.map_err(failed),
    }
}

impl From<PlaceError> for CliError {
    fn from(error: PlaceError) -> Self {
        let (path, source) = match &error {
            PlaceError::Io { path, source } => (path, source),
            PlaceError::NotPrivate { path, why } => {
                let path = path.display();
                let fix = format!(
                    "unset XDG_RUNTIME_DIR and XDG_STATE_HOME where they are those of another user (su and sudo -E keep them, \
                     and HOME); if {path} is yours, close it: chmod 700 {path}"
                );
                return Self::usage(format!("will not use {path}"), why, fix);
            }
            PlaceError::Unreachable { pid, path } => {
                let process = pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
                return Self::supervisor(
                    "cannot reach the supervisor",
                    format!("its process{process} runs, and does not listen at {}", path.display()),
                    "end it and its circles: circles down; then start anew: circles up",
                );
            }
            _ => return Self::usage("the supervisor has no place", error.to_string(), ""),
        };
        let fix = "see that it can be written, or set XDG_RUNTIME_DIR and XDG_STATE_HOME to directories that can";
        Self::usage(format!("cannot use {}", path.display()), os_text(source), fix)
    }
}

/// What SIGHUP means to a supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hangup {
    /// That circles.json is to be read again.
    Reloads,
    /// That its terminal has gone.
    Ends,
}

impl Hangup {
    /// In the foreground: where there is no terminal, or nobody is to notice that it goes (`nohup`), it can only be meant.
    pub fn of_foreground() -> Self {
        let has_terminal = std::fs::File::open("/dev/tty").is_ok();
        if has_terminal && !is_ignored(SignalKind::hangup()) { Self::Ends } else { Self::Reloads }
    }

    /// The signals that end the supervisor.
    pub fn ends(self) -> Vec<SignalKind> {
        let mut signals = vec![SignalKind::terminate(), SignalKind::interrupt()];
        if self == Self::Ends {
            signals.push(SignalKind::hangup());
        }
        signals
    }
}

/// What a supervisor begins with that is to start the circles of those names; all, without any. To be called where there is a
/// runtime.
pub fn begin(place: &Place, names: &[String], ends_with_circles: bool, hangup: Hangup) -> Result<Begin, CliError> {
    // One that is not taken yet stands for all that follow.
    let (wish, reloads) = mpsc::channel(1);
    if hangup == Hangup::Reloads {
        let mut signals = listen(SignalKind::hangup())?;
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                let _one_waits_already = wish.try_send(());
            }
        });
    }
    Ok(Begin {
        circles: launcher::load(place.config())?,
        names: (!names.is_empty()).then(|| names.to_vec()),
        program: program()?,
        ends_with_circles,
        reloads,
        manager: launcher::ServiceManager::default(),
    })
}

fn program() -> Result<PathBuf, CliError> {
    worker::Program::SameExecutable.path().map_err(|error| {
        CliError::usage("cannot find this program itself", os_text(&error), "start it by its whole path")
    })
}

/// The locks of a supervisor, unless one runs already: that of its life, and that of its start, which is to be held until it
/// listens, so that who looks for it meanwhile waits.
pub fn be_the_only_one(runtime: &Runtime, place: &Place) -> Result<(Held, Held), CliError> {
    let starting = waited_for(place, Place::lock_starting, ENDING)?;
    if runtime.block_on(running(place))?.is_some() {
        return Err(CliError::usage(
            "cannot launch the circles here",
            format!("a supervisor of {} runs already", place.config().display()),
            "tell that one: circles up, down, restart, status; or end it: circles down",
        ));
    }
    Ok((waited_for(place, Place::lock_supervisor, ENDING)?, starting))
}

/// A lock that another process may hold, which is to end.
fn waited_for(
    place: &Place,
    lock: impl FnOnce(&Place) -> Result<Held, PlaceError> + Send + 'static,
    patience: Duration,
) -> Result<Held, CliError> {
    let (place, (send, locked)) = (place.clone(), std::sync::mpsc::channel());
    // Nothing ends such a wait but the lock, or this process.
    std::thread::spawn(move || {
        let _too_late = send.send(lock(&place));
    });
    let locked = locked.recv_timeout(patience).map_err(|_| {
        let why = format!("it has not ended after {} s, or another is being started all that time", patience.as_secs());
        CliError::supervisor("the supervisor is in the way", why, "see what holds it up: ps; end it, and try again")
    })?;
    Ok(locked?)
}

/// Connects to the supervisor that runs, if there is one that is not ending.
pub async fn running(place: &Place) -> Result<Option<Client>, CliError> {
    match answering(place).await {
        Ok(Some((client, statuses))) => Ok((!statuses.is_ending).then_some(client)),
        // There is none, or it has just ended.
        Ok(None) | Err(ControlError::Lost) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// The processes of the circles that are up; none, where nobody can say.
pub async fn pids(place: &Place) -> Vec<u32> {
    let Ok(Some((_, statuses))) = answering(place).await else { return Vec::new() };
    statuses.circles.iter().filter_map(|circle| circle.pid).collect()
}

/// Connects to the supervisor that runs, or starts one that starts those circles. Who wants the same meanwhile waits for it.
async fn find_or_start(
    supervisors: &Supervisors,
    place: &Place,
    names: &[String],
    patience: Duration,
) -> Result<Client, CliError> {
    let late = |_| {
        let why = format!("it does not listen after {} s", patience.as_secs_f64());
        CliError::supervisor(
            "cannot start the supervisor",
            why,
            "give it longer: --timeout; or see what holds it up: ps",
        )
    };
    let found = async {
        let (waiting, (send, locked)) = (place.clone(), oneshot::channel());
        // Not one of the runtime's threads, whose end that waits for.
        std::thread::spawn(move || {
            let _too_late = send.send(waiting.lock_starting());
        });
        let _starting = locked.await.expect("waiting for a lock does not panic")?;
        if let Some(client) = running(place).await? {
            return Ok(client);
        }
        let mut starting = Starting(Some(spawn(supervisors, place, names)?));
        let child = starting.0.as_mut().expect("just started");
        listening(child).await?;
        starting.let_live();
        let client = Client::connect(place).await.map_err(failed)?;
        client.ok_or_else(|| failed(ControlError::Lost))
    };
    tokio::time::timeout(patience, found).await.map_err(late)?
}

/// A supervisor that does not listen yet; killed when it is dropped.
struct Starting(Option<Child>);

impl Starting {
    /// From here on it is to live, whatever becomes of this process.
    fn let_live(mut self) {
        let Some(mut child) = self.0.take() else { return };
        drop(child.stderr.take());
        // Once it has ended nothing is to be left of it here.
        tokio::spawn(async move { child.wait().await });
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It may have ended already.
            let _killed = child.start_kill();
        }
    }
}

/// Waits until nothing is left of a supervisor that is ending, so that who asks next finds none.
pub fn wait_for_end(runtime: &Runtime, place: &Place) -> Result<(), CliError> {
    // Without it, one that is started meanwhile would be waited for.
    let _starting = waited_for(place, Place::lock_starting, ENDING)?;
    let is_running = match runtime.block_on(answering(place)) {
        Ok(Some((_, statuses))) => !statuses.is_ending,
        Ok(None) | Err(ControlError::Lost | ControlError::Place(PlaceError::Unreachable { .. })) => false,
        Err(error) => return Err(failed(error)),
    };
    if !is_running {
        waited_for(place, Place::lock_supervisor, ENDING)?;
    }
    Ok(())
}

fn spawn(supervisors: &Supervisors, place: &Place, names: &[String]) -> Result<Child, CliError> {
    let Directories { run, state } = &supervisors.directories;
    let mut command = Command::new(&supervisors.program);
    command
        .arg("supervise")
        .arg("--config")
        .arg(place.config())
        .arg("--run-directory")
        .arg(run)
        .arg("--state-directory")
        .arg(state)
        .arg("--")
        .args(names)
        .env_clear()
        .envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        // It keeps no directory from being unmounted.
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
        .spawn()
        .map_err(|error| CliError::io("cannot start the supervisor", &error, "are there too many processes?"))
}

/// Bytes of what a supervisor that does not start is quoted with.
const MAX_SAID: u64 = 16 << 10;

/// Waits until it listens.
async fn listening(child: &mut Child) -> Result<(), CliError> {
    let stdout = child.stdout.take().expect("piped");
    let mut lines = BufReader::new(stdout).lines();
    if let Ok(Some(line)) = lines.next_line().await
        && line == LISTENING
    {
        return Ok(());
    }
    let mut said = String::new();
    if let Some(stderr) = child.stderr.take() {
        // Without its words there is still its end to be told.
        let _unreadable = stderr.take(MAX_SAID).read_to_string(&mut said).await;
    }
    let said = said.trim().trim_start_matches("error: ").to_owned();
    Err(CliError::supervisor("the supervisor does not start", said, "circles launch does the same in the foreground"))
}

/// What a user can do about a supervisor that does not answer as it should.
pub fn failed(error: ControlError) -> CliError {
    let what = "the supervisor does not do it";
    match error {
        ControlError::Place(error) => error.into(),
        ControlError::Lost => CliError::supervisor(what, "it ended before it answered", "see what is: circles status"),
        ControlError::TimedOut { patience } => CliError::supervisor(
            what,
            format!("it has not answered within {} s", patience.as_secs()),
            "is its process stopped? It is the one of `circles supervise` or `circles launch`; end it, and start anew: circles up",
        ),
        ControlError::Refused(RpcError::ShuttingDown) => {
            CliError::supervisor(what, "it is ending", "start anew once it has: circles up")
        }
        ControlError::Refused(RpcError::InvalidParams { reason, .. }) => {
            CliError::usage(crate::visible::visible(&reason).into_owned(), "", "see which there are: circles status")
        }
        ControlError::Refused(RpcError::Other(error)) if error.code == launcher::control::CONFIG_IS_WRONG => {
            CliError::usage(what, error.message, "mend it; nothing is changed until then")
        }
        ControlError::Refused(RpcError::MethodNotFound { .. }) | ControlError::NotUnderstood { .. } => {
            let fix = "is it another version? End it and start anew: circles down, circles up";
            CliError::supervisor(what, error.to_string(), fix)
        }
        other => CliError::supervisor(what, other.to_string(), ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_not_waited_for_for_ever() {
        let home = tempfile::tempdir().expect("a directory");
        let config = home.path().join("circles.json");
        std::fs::write(&config, "{}").expect("written");
        let place = Place::of(&config, &home.path().join("run"), &home.path().join("state")).expect("a place");
        let held = place.lock_supervisor().expect("free");
        let late = waited_for(&place, Place::lock_supervisor, Duration::from_millis(1)).expect_err("it is held");
        assert_eq!(late.exit_code(), 3);
        drop(held);
        waited_for(&place, Place::lock_supervisor, ENDING).expect("it is free");
    }
}
