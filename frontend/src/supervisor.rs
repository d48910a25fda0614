//! Finds the supervisor of a circles.json, or starts one in the background.

mod directories;
mod errors;
mod recovery;
mod start;
pub mod unsupervised;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use launcher::{
    CircleStatus, Statuses,
    control::{CircleNames, ControlClient, ControlError, Restart, Status, Up},
    supervisor::SupervisorOptions,
    supervisor_files::SupervisorFiles,
};
use protocol::{Method, RpcError, methods::NoParams};
use tokio::{signal::unix::SignalKind, sync::mpsc};

pub use directories::{Directories, can_be_created};
pub use errors::control_error;
use recovery::report_recoveries;
use start::find_or_start;
pub use start::{acquire_locks, wait_for_end};

use crate::{
    config,
    error::{CliError, os_error_text},
    signals::{is_ignored, listen},
};

/// The timeout for a status request, which a supervisor answers at once.
pub const CONTROL_TIMEOUT: Duration = Duration::from_secs(5);

/// The line that a new supervisor prints once it listens.
pub const LISTENING_LINE: &str = "listening";

/// The maximum number of attempts, if the supervisor shuts down during the request.
const MAX_ATTEMPTS: usize = 3;

/// The program and the directories for finding and starting supervisors.
#[derive(Debug, Clone)]
pub struct SupervisorSetup {
    /// The executable of supervisors and circles.
    pub program: PathBuf,
    /// The directories for the supervisors' files.
    pub directories: Directories,
    /// Whether a supervisor that this starts applies changes of circles.json as soon as they are saved.
    pub is_watching: bool,
}

impl SupervisorSetup {
    /// Returns the setup of the user who runs this program.
    pub fn for_user() -> Result<Self, CliError> {
        Ok(Self { program: current_program()?, directories: directories::create_directories()?, is_watching: true })
    }

    /// Returns the files of the supervisor of a circles.json.
    pub fn files(&self, config: Option<&Path>) -> Result<SupervisorFiles, CliError> {
        let path = config::path(config)?;
        Ok(SupervisorFiles::create(&path, &self.directories.run, &self.directories.state)?)
    }
}

/// Returns the files of the supervisor of a circles.json, for the user who runs this program.
pub fn place(config: Option<&Path>) -> Result<SupervisorFiles, CliError> {
    SupervisorSetup::for_user()?.files(config)
}

/// Returns the user's directories without creating them.
pub fn find_directories() -> Directories {
    directories::directories_as_they_are()
}

/// What to do with circles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartCommand {
    /// Start each circle that is down.
    Up,
    /// Stop each circle and start it again.
    Restart,
}

/// Starts or restarts the named circles, or all circles if there are no names, and returns their statuses after
/// `call_timeout` at the latest. Starts a supervisor if there is none. `report` gets the circles that recover their stores
/// meanwhile, whenever they have made progress.
pub async fn start_circles(
    supervisors: &SupervisorSetup,
    files: &SupervisorFiles,
    names: &[String],
    command: StartCommand,
    call_timeout: Duration,
    report: &impl Fn(&CircleStatus),
) -> Result<Statuses, CliError> {
    let deadline = Instant::now() + call_timeout;
    for _ in 1..MAX_ATTEMPTS {
        match try_start_circles(supervisors, files, names, command, deadline, report).await {
            Err(StartError::SupervisorEnding) => {}
            Err(StartError::Failed(error)) => return Err(error),
            Ok(statuses) => return Ok(statuses),
        }
    }
    try_start_circles(supervisors, files, names, command, deadline, report).await.map_err(|error| match error {
        StartError::SupervisorEnding => control_error(ControlError::Disconnected),
        StartError::Failed(error) => error,
    })
}

enum StartError {
    /// The supervisor is shutting down; the next one can take the request.
    SupervisorEnding,
    Failed(CliError),
}

async fn try_start_circles(
    supervisors: &SupervisorSetup,
    files: &SupervisorFiles,
    names: &[String],
    command: StartCommand,
    deadline: Instant,
    report: &impl Fn(&CircleStatus),
) -> Result<Statuses, StartError> {
    let left = || deadline.saturating_duration_since(Instant::now());
    let mut client = find_or_start(supervisors, files, names, left()).await.map_err(StartError::Failed)?;
    let params = CircleNames { names: (!names.is_empty()).then(|| names.to_vec()) };
    let started = async {
        match command {
            StartCommand::Up => client.call::<Up>(&params, left()).await,
            StartCommand::Restart => client.call::<Restart>(&params, left()).await,
        }
    };
    let answer = tokio::select! {
        answer = started => answer,
        never = report_recoveries(files, report) => match never {},
    };
    match answer {
        Ok(statuses) => Ok(statuses),
        Err(ControlError::Disconnected | ControlError::Refused(RpcError::ShuttingDown)) => {
            Err(StartError::SupervisorEnding)
        }
        Err(ControlError::TimedOut { .. }) => {
            let client = connect_unless_ending(files).await.map_err(StartError::Failed)?;
            let mut client = client.ok_or(StartError::SupervisorEnding)?;
            let statuses = client.call::<Status>(&NoParams {}, CONTROL_TIMEOUT).await;
            statuses.map_err(|error| StartError::Failed(control_error(error)))
        }
        Err(error) => Err(StartError::Failed(control_error(error))),
    }
}

/// Connects to the running supervisor, if there is one, and returns the status of its circles. The short timeout of
/// this first request detects a supervisor that hangs, before it gets a request that it could carry out later.
pub async fn connect_with_status(files: &SupervisorFiles) -> Result<Option<(ControlClient, Statuses)>, ControlError> {
    ControlClient::connect_and_call::<Status>(files, &NoParams {}, CONTROL_TIMEOUT).await
}

/// Sends a request to the running supervisor; `None` if there is none or it has just ended, so that no circle is up.
pub async fn call_running<M: Method<Params = CircleNames, Result = Statuses>>(
    files: &SupervisorFiles,
    names: &[String],
    call_timeout: Duration,
) -> Result<Option<Statuses>, CliError> {
    let call = async {
        let Some((mut client, _)) = connect_with_status(files).await? else { return Ok(None) };
        client.call::<M>(&CircleNames { names: Some(names.to_vec()) }, call_timeout).await.map(Some)
    };
    match call.await {
        Err(ControlError::Disconnected) => Ok(None),
        other => other.map_err(control_error),
    }
}

/// What a supervisor does at SIGHUP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HangupAction {
    /// Reads circles.json again.
    Reload,
    /// Ends, because its terminal has closed.
    End,
}

impl HangupAction {
    /// Returns the action of a supervisor in the foreground. Without a terminal, or with `nohup`, SIGHUP means a
    /// reload.
    pub fn for_foreground() -> Self {
        let has_terminal = std::fs::File::open("/dev/tty").is_ok();
        if has_terminal && !is_ignored(SignalKind::hangup()) { Self::End } else { Self::Reload }
    }

    /// The signals that shut the supervisor down.
    pub fn end_signals(self) -> Vec<SignalKind> {
        let mut signals = vec![SignalKind::terminate(), SignalKind::interrupt()];
        if self == Self::End {
            signals.push(SignalKind::hangup());
        }
        signals
    }
}

/// Returns the options of a supervisor that starts the named circles, or all circles if there are no names. Needs a
/// tokio runtime.
pub fn prepare_start(
    files: &SupervisorFiles,
    names: &[String],
    ends_with_circles: bool,
    hangup: HangupAction,
    is_watching: bool,
) -> Result<SupervisorOptions, CliError> {
    // One pending reload covers all later signals.
    let (reload, reloads) = mpsc::channel(1);
    if hangup == HangupAction::Reload {
        let mut signals = listen(SignalKind::hangup())?;
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                let _already_pending = reload.try_send(());
            }
        });
    }
    Ok(SupervisorOptions {
        circles: launcher::load(files.config())?,
        names: (!names.is_empty()).then(|| names.to_vec()),
        program: current_program()?,
        ends_with_circles,
        is_watching,
        reloads,
        manager: launcher::SdNotifier::default(),
    })
}

fn current_program() -> Result<PathBuf, CliError> {
    worker::Program::SameExecutable.path().map_err(|error| {
        CliError::usage("cannot find the circles program", os_error_text(&error), "start it with its full path")
    })
}

/// Connects to the running supervisor; `None` if there is none or it is shutting down.
pub async fn connect_unless_ending(files: &SupervisorFiles) -> Result<Option<ControlClient>, CliError> {
    match connect_with_status(files).await {
        Ok(Some((client, statuses))) => Ok((!statuses.is_ending).then_some(client)),
        // There is none, or it has just ended.
        Ok(None) | Err(ControlError::Disconnected) => Ok(None),
        Err(error) => Err(control_error(error)),
    }
}

/// Returns the process ids of the circles that are up; empty if the supervisor does not answer.
pub async fn circle_pids(files: &SupervisorFiles) -> Vec<u32> {
    let Ok(Some((_, statuses))) = connect_with_status(files).await else { return Vec::new() };
    statuses.circles.iter().filter_map(|circle| circle.pid).collect()
}
