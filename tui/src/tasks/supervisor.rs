//! Tasks that talk to the supervisor of circles.json.

use std::{path::PathBuf, time::Duration};

use launcher::{
    CircleStatus, Statuses,
    control::{CircleNames, ControlClient, ControlError, Down, Release, Watch},
    supervisor_files::SupervisorFiles,
};
use protocol::{Method, methods::NoParams};

use frontend::{
    error::CliError,
    supervisor::{self, CONTROL_TIMEOUT, StartCommand, SupervisorSetup},
};

use super::Tasks;
use crate::{
    circle_id::CircleId,
    event::{AppEvent, SupervisorReport},
    setup::Setup,
};

/// Timeout of starting circles, as for `circles up`.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// Timeout of stopping circles. A circle that does not drain is killed long before.
const STOP_TIMEOUT: Duration = Duration::from_mins(1);

/// Interval of looking for a supervisor while there is none.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Pause between two calls of `watch`.
const POLL_PAUSE: Duration = Duration::from_millis(50);

/// The supervisor of a circles.json.
#[derive(Debug, Clone)]
pub(crate) struct SupervisorRef {
    supervisors: SupervisorSetup,
    config: Option<PathBuf>,
}

impl SupervisorRef {
    pub(crate) fn new(setup: &Setup) -> Self {
        Self { supervisors: setup.supervisors.clone(), config: setup.config.clone() }
    }

    pub(super) async fn files(&self) -> Result<SupervisorFiles, CliError> {
        let supervisor = self.clone();
        let files = move || supervisor.supervisors.files(supervisor.config.as_deref());
        match tokio::task::spawn_blocking(files).await {
            Ok(files) => files,
            // The runtime ends, and with it this task.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Tasks {
    /// Posts the state of the supervisor and its circles whenever it changes.
    pub(crate) fn watch_supervisor(&self, supervisor: SupervisorRef) {
        let tasks = self.clone();
        self.spawn(async move {
            // Without a circles.json there is no supervisor; the file may be created at any time.
            let files = loop {
                match supervisor.files().await {
                    Ok(files) => break files,
                    Err(_) => tasks.post(AppEvent::Supervisor(SupervisorReport::Absent)).await,
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            };
            tasks.post(AppEvent::SupervisorFound(files.clone())).await;
            while !tasks.queue.is_closed() {
                let ended = tasks.watch(&files).await;
                let report = match ended {
                    Ok(()) | Err(ControlError::Disconnected) => SupervisorReport::Absent,
                    Err(error) => SupervisorReport::Silent(supervisor::control_error(error)),
                };
                tasks.post(AppEvent::Supervisor(report)).await;
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        });
    }

    /// Posts the status of the circles, until their supervisor is gone or does not answer.
    async fn watch(&self, files: &SupervisorFiles) -> Result<(), ControlError> {
        let Some(mut client) = ControlClient::connect(files).await? else { return Ok(()) };
        let mut posted = None;
        while !self.queue.is_closed() {
            let statuses = client.call::<Watch>(&NoParams {}, CONTROL_TIMEOUT).await?;
            let known = without_time(&statuses);
            if posted.as_ref() != Some(&known) {
                self.post(AppEvent::Supervisor(SupervisorReport::Present(statuses))).await;
                posted = Some(known);
            }
            tokio::time::sleep(POLL_PAUSE).await;
        }
        Ok(())
    }

    /// Starts circles, and the supervisor if there is none.
    pub(crate) fn start(
        &self,
        supervisor: SupervisorRef,
        command: StartCommand,
        ids: Vec<CircleId>,
        names: Vec<String>,
    ) {
        #[cfg(test)]
        self.record(format!("start {command:?} {names:?}"));
        let tasks = self.clone();
        self.spawn(async move {
            let started = async {
                let files = supervisor.files().await?;
                supervisor::start_circles(&supervisor.supervisors, &files, &names, command, START_TIMEOUT, &|_| {})
                    .await
            };
            let started = started.await;
            tasks.post(AppEvent::Started(ids, started)).await;
        });
    }

    /// Stops circles.
    pub(crate) fn stop(&self, supervisor: SupervisorRef, names: Vec<String>) {
        #[cfg(test)]
        self.record(format!("stop {names:?}"));
        let tasks = self.clone();
        self.spawn(async move {
            let stopped = stop_circles::<Down>(&supervisor, &names).await;
            tasks.post(AppEvent::Stopped(stopped)).await;
        });
    }

    /// Stops circles, and the supervisor if nothing else is up.
    pub(crate) fn release(&self, supervisor: SupervisorRef, names: Vec<String>) {
        #[cfg(test)]
        self.record(format!("release {names:?}"));
        let tasks = self.clone();
        self.spawn(async move {
            let released = stop_circles::<Release>(&supervisor, &names).await;
            tasks.post(AppEvent::Released(released)).await;
        });
    }
}

async fn stop_circles<M: Method<Params = CircleNames, Result = Statuses>>(
    supervisor: &SupervisorRef,
    names: &[String],
) -> Result<(), CliError> {
    // Without a supervisor, nothing is up that it could stop.
    supervisor::call_running::<M>(&supervisor.files().await?, names, STOP_TIMEOUT).await.map(drop)
}

/// Returns everything but the uptimes, which always change.
fn without_time(statuses: &Statuses) -> Statuses {
    let circles = statuses.circles.iter().map(CircleStatus::without_uptime).collect();
    Statuses { circles, ..statuses.clone() }
}
