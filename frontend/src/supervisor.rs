//! The supervisor of the circles.json that is meant: found, or started in the background.

mod directories;
mod failure;
mod start;
pub mod unsupervised;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use launcher::{
    Statuses,
    control::{Client, ControlError, Names, Restart, Status, Up},
    place::Place,
    supervisor::Begin,
};
use protocol::{Method, RpcError, methods::NoParams};
use tokio::{signal::unix::SignalKind, sync::mpsc};

pub use directories::{Directories, could_be_made};
pub use failure::failed;
use start::find_or_start;
pub use start::{be_the_only_one, wait_for_end};

use crate::{
    config,
    error::{CliError, os_text},
    signals::{is_ignored, listen},
};

/// How long a supervisor may take to say how its circles are, which costs it nothing.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// What it says to who started it, once it listens.
pub const LISTENING: &str = "listening";

/// How often a supervisor may turn out to be ending just when it is told.
const TRIES: usize = 3;

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
