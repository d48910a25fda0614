//! The supervisor of the circles.json that is meant: found, or started in the background.

mod directories;
mod errors;
mod start;
pub mod unsupervised;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use launcher::{
    Statuses,
    control::{CircleNames, ControlClient, ControlError, Restart, Status, Up},
    supervisor::SupervisorOptions,
    supervisor_files::SupervisorFiles,
};
use protocol::{Method, RpcError, methods::NoParams};
use tokio::{signal::unix::SignalKind, sync::mpsc};

pub use directories::{Directories, can_be_created};
pub use errors::control_error;
use start::find_or_start;
pub use start::{acquire_locks, wait_for_end};

use crate::{
    config,
    error::{CliError, os_error_text},
    signals::{is_ignored, listen},
};

/// How long a supervisor may take to say how its circles are, which costs it nothing.
pub const CONTROL_TIMEOUT: Duration = Duration::from_secs(5);

/// What it says to who started it, once it listens.
pub const LISTENING_LINE: &str = "listening";

/// How often a supervisor may turn out to be ending just when it is told.
const MAX_ATTEMPTS: usize = 3;

/// How supervisors are found and started.
#[derive(Debug, Clone)]
pub struct SupervisorSetup {
    /// The executable that they and their circles run.
    pub program: PathBuf,
    /// Where their files are.
    pub directories: Directories,
}

impl SupervisorSetup {
    /// Those of the user who runs this program.
    pub fn for_user() -> Result<Self, CliError> {
        Ok(Self { program: current_program()?, directories: directories::create_directories()? })
    }

    /// The place of the supervisor of the circles.json that is meant.
    pub fn files(&self, config: Option<&Path>) -> Result<SupervisorFiles, CliError> {
        let path = config::path(config)?;
        Ok(SupervisorFiles::create(&path, &self.directories.run, &self.directories.state)?)
    }
}

/// The place of the supervisor of the circles.json that is meant.
pub fn place(config: Option<&Path>) -> Result<SupervisorFiles, CliError> {
    SupervisorSetup::for_user()?.files(config)
}

/// The user's directories, as they are or would be; nothing is made.
pub fn find_directories() -> Directories {
    directories::directories_as_they_are()
}

/// What is wished of circles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartCommand {
    /// Start each circle that does not run.
    Up,
    /// Stop each circle and start it again.
    Restart,
}

/// How the circles of those names are, all without any, once the supervisor has done what it could in the time. It is started
/// if there is none.
pub async fn start_circles(
    supervisors: &SupervisorSetup,
    place: &SupervisorFiles,
    names: &[String],
    command: StartCommand,
    call_timeout: Duration,
) -> Result<Statuses, CliError> {
    let deadline = Instant::now() + call_timeout;
    for _ in 1..MAX_ATTEMPTS {
        match try_start_circles(supervisors, place, names, command, deadline).await {
            Err(StartError::SupervisorEnding) => {}
            Err(StartError::Failed(error)) => return Err(error),
            Ok(statuses) => return Ok(statuses),
        }
    }
    try_start_circles(supervisors, place, names, command, deadline).await.map_err(|untold| match untold {
        StartError::SupervisorEnding => control_error(ControlError::Disconnected),
        StartError::Failed(error) => error,
    })
}

enum StartError {
    /// It is ending: another one will do it.
    SupervisorEnding,
    Failed(CliError),
}

async fn try_start_circles(
    supervisors: &SupervisorSetup,
    place: &SupervisorFiles,
    names: &[String],
    wish: StartCommand,
    deadline: Instant,
) -> Result<Statuses, StartError> {
    let left = || deadline.saturating_duration_since(Instant::now());
    let mut client = find_or_start(supervisors, place, names, left()).await.map_err(StartError::Failed)?;
    let params = CircleNames { names: (!names.is_empty()).then(|| names.to_vec()) };
    let answer = match wish {
        StartCommand::Up => client.call::<Up>(&params, left()).await,
        StartCommand::Restart => client.call::<Restart>(&params, left()).await,
    };
    match answer {
        Ok(statuses) => Ok(statuses),
        Err(ControlError::Disconnected | ControlError::Refused(RpcError::ShuttingDown)) => {
            Err(StartError::SupervisorEnding)
        }
        Err(ControlError::TimedOut { .. }) => {
            let client = connect_unless_ending(place).await.map_err(StartError::Failed)?;
            let mut client = client.ok_or(StartError::SupervisorEnding)?;
            let statuses = client.call::<Status>(&NoParams {}, CONTROL_TIMEOUT).await;
            statuses.map_err(|error| StartError::Failed(control_error(error)))
        }
        Err(error) => Err(StartError::Failed(control_error(error))),
    }
}

/// Connects to the supervisor that runs, if there is one, and says how its circles are. One that does not answer at all is not waited
/// for as long as one that has something to do, and does not do later what was given up.
pub async fn connect_with_status(place: &SupervisorFiles) -> Result<Option<(ControlClient, Statuses)>, ControlError> {
    let Some(mut client) = ControlClient::connect(place).await? else { return Ok(None) };
    let statuses = client.call::<Status>(&NoParams {}, CONTROL_TIMEOUT).await?;
    Ok(Some((client, statuses)))
}

/// Has the supervisor that runs do it; `None` if there is none, or none any more: then nothing is up.
pub async fn call_running<M: Method<Params = CircleNames, Result = Statuses>>(
    place: &SupervisorFiles,
    names: &[String],
    call_timeout: Duration,
) -> Result<Option<Statuses>, CliError> {
    let told = async {
        let Some((mut client, _)) = connect_with_status(place).await? else { return Ok(None) };
        client.call::<M>(&CircleNames { names: Some(names.to_vec()) }, call_timeout).await.map(Some)
    };
    match told.await {
        Err(ControlError::Disconnected) => Ok(None),
        other => other.map_err(control_error),
    }
}

/// What SIGHUP means to a supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HangupAction {
    /// That circles.json is to be read again.
    Reload,
    /// That its terminal has gone.
    End,
}

impl HangupAction {
    /// In the foreground: where there is no terminal, or nobody is to notice that it goes (`nohup`), it can only be meant.
    pub fn for_foreground() -> Self {
        let has_terminal = std::fs::File::open("/dev/tty").is_ok();
        if has_terminal && !is_ignored(SignalKind::hangup()) { Self::End } else { Self::Reload }
    }

    /// The signals that end the supervisor.
    pub fn end_signals(self) -> Vec<SignalKind> {
        let mut signals = vec![SignalKind::terminate(), SignalKind::interrupt()];
        if self == Self::End {
            signals.push(SignalKind::hangup());
        }
        signals
    }
}

/// What a supervisor begins with that is to start the circles of those names; all, without any. To be called where there is a
/// runtime.
pub fn prepare_start(
    place: &SupervisorFiles,
    names: &[String],
    ends_with_circles: bool,
    hangup: HangupAction,
) -> Result<SupervisorOptions, CliError> {
    // One that is not taken yet stands for all that follow.
    let (command, reloads) = mpsc::channel(1);
    if hangup == HangupAction::Reload {
        let mut signals = listen(SignalKind::hangup())?;
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                let _already_pending = command.try_send(());
            }
        });
    }
    Ok(SupervisorOptions {
        circles: launcher::load(place.config())?,
        names: (!names.is_empty()).then(|| names.to_vec()),
        program: current_program()?,
        ends_with_circles,
        reloads,
        manager: launcher::SdNotifier::default(),
    })
}

fn current_program() -> Result<PathBuf, CliError> {
    worker::Program::SameExecutable.path().map_err(|error| {
        CliError::usage("cannot find this program itself", os_error_text(&error), "start it by its whole path")
    })
}

/// Connects to the supervisor that runs, if there is one that is not ending.
pub async fn connect_unless_ending(place: &SupervisorFiles) -> Result<Option<ControlClient>, CliError> {
    match connect_with_status(place).await {
        Ok(Some((client, statuses))) => Ok((!statuses.is_ending).then_some(client)),
        // There is none, or it has just ended.
        Ok(None) | Err(ControlError::Disconnected) => Ok(None),
        Err(error) => Err(control_error(error)),
    }
}

/// The processes of the circles that are up; none, where nobody can say.
pub async fn circle_pids(place: &SupervisorFiles) -> Vec<u32> {
    let Ok(Some((_, statuses))) = connect_with_status(place).await else { return Vec::new() };
    statuses.circles.iter().filter_map(|circle| circle.pid).collect()
}
