//! What is asked of the supervisor of circles.json, and what it says.

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

/// How long circles may take to be up, as with `circles up`.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// How long circles may take to end. One that does not drain is killed long before that.
const STOP_TIMEOUT: Duration = Duration::from_mins(1);

/// How often it is looked whether there is a supervisor, while there is none.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The pause before it is asked again what has changed.
const POLL_PAUSE: Duration = Duration::from_millis(50);

/// Which supervisor to ask: the one of a circles.json.
#[derive(Debug, Clone)]
pub(crate) struct SupervisorRef {
    supervisors: SupervisorSetup,
    config: Option<PathBuf>,
}

impl SupervisorRef {
    pub(crate) fn new(setup: &Setup) -> Self {
        Self { supervisors: setup.supervisors.clone(), config: setup.config.clone() }
    }

    async fn place(&self) -> Result<SupervisorFiles, CliError> {
        let supervisor = self.clone();
        let place = move || supervisor.supervisors.files(supervisor.config.as_deref());
        match tokio::task::spawn_blocking(place).await {
            Ok(place) => place,
            // The runtime ends, and with it whoever waits here.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Tasks {
    /// Says, again and again, how the supervisor is and how its circles are.
    pub(crate) fn watch_supervisor(&self, supervisor: SupervisorRef) {
        let tasks = self.clone();
        self.spawn(async move {
            // Without a circles.json there is no supervisor; one may be written any time.
            let place = loop {
                match supervisor.place().await {
                    Ok(place) => break place,
                    Err(_) => tasks.post(AppEvent::Supervisor(SupervisorReport::Absent)).await,
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            };
            tasks.post(AppEvent::SupervisorFound(place.clone())).await;
            while !tasks.queue.is_closed() {
                let ended = tasks.watch(&place).await;
                let how = match ended {
                    Ok(()) | Err(ControlError::Disconnected) => SupervisorReport::Absent,
                    Err(error) => SupervisorReport::Silent(supervisor::control_error(error)),
                };
                tasks.post(AppEvent::Supervisor(how)).await;
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        });
    }

    /// Says how the circles are, until their supervisor is gone or silent.
    async fn watch(&self, place: &SupervisorFiles) -> Result<(), ControlError> {
        let Some(mut client) = ControlClient::connect(place).await? else { return Ok(()) };
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

    /// Has circles up, by a supervisor that is started if there is none.
    pub(crate) fn start(&self, supervisor: SupervisorRef, wish: StartCommand, ids: Vec<CircleId>, names: Vec<String>) {
        let tasks = self.clone();
        self.spawn(async move {
            let started = async {
                let place = supervisor.place().await?;
                supervisor::start_circles(&supervisor.supervisors, &place, &names, wish, START_TIMEOUT).await
            };
            let started = started.await;
            tasks.post(AppEvent::Started(ids, started)).await;
        });
    }

    /// Has circles drained.
    pub(crate) fn stop(&self, supervisor: SupervisorRef, names: Vec<String>) {
        let tasks = self.clone();
        self.spawn(async move {
            let stopped = stop_circles::<Down>(&supervisor, &names).await;
            tasks.post(AppEvent::Stopped(stopped)).await;
        });
    }

    /// Has circles drained, and the supervisor end if nothing else is up.
    pub(crate) fn release(&self, supervisor: SupervisorRef, names: Vec<String>) {
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
    // Where there is no supervisor nothing of it is up.
    supervisor::call_running::<M>(&supervisor.place().await?, names, STOP_TIMEOUT).await.map(drop)
}

/// Everything but the time, which always goes on.
fn without_time(statuses: &Statuses) -> Statuses {
    let circles = statuses.circles.iter().map(CircleStatus::without_uptime).collect();
    Statuses { circles, ..statuses.clone() }
}
