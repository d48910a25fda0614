//! What is asked of the supervisor of circles.json, and what it says.

use std::{path::PathBuf, time::Duration};

use launcher::{
    CircleStatus, Statuses,
    control::{CircleNames, ControlClient, ControlError, Down, Release, Watch},
    place::SupervisorFiles,
};
use protocol::{Method, methods::NoParams};

use frontend::{
    error::CliError,
    supervisor::{self, CONTROL_TIMEOUT, StartCommand, SupervisorSetup},
};

use super::Tasks;
use crate::{
    event::{Event, Supervision},
    id::CircleId,
    setup::Setup,
};

/// How long circles may take to be up, as with `circles up`.
const STARTING: Duration = Duration::from_mins(1);

/// How long circles may take to end. One that does not drain is killed long before that.
const STOPPING: Duration = Duration::from_mins(1);

/// How often it is looked whether there is a supervisor, while there is none.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The pause before it is asked again what has changed.
const PAUSE: Duration = Duration::from_millis(50);

/// Which supervisor to ask: the one of a circles.json.
#[derive(Debug, Clone)]
pub(crate) struct SupervisorOf {
    supervisors: SupervisorSetup,
    config: Option<PathBuf>,
}

impl SupervisorOf {
    pub(crate) fn new(setup: &Setup) -> Self {
        Self { supervisors: setup.supervisors.clone(), config: setup.config.clone() }
    }

    async fn place(&self) -> Result<SupervisorFiles, CliError> {
        let of = self.clone();
        let place = move || of.supervisors.files(of.config.as_deref());
        match tokio::task::spawn_blocking(place).await {
            Ok(place) => place,
            // The runtime ends, and with it whoever waits here.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Tasks {
    /// Says, again and again, how the supervisor is and how its circles are.
    pub(crate) fn watch_supervisor(&self, of: SupervisorOf) {
        let tasks = self.clone();
        self.spawn(async move {
            // Without a circles.json there is no supervisor; one may be written any time.
            let place = loop {
                match of.place().await {
                    Ok(place) => break place,
                    Err(_) => tasks.post(Event::Supervisor(Supervision::Absent)).await,
                }
                tokio::time::sleep(LOOK_INTERVAL).await;
            };
            tasks.post(Event::SupervisorFound(place.clone())).await;
            while !tasks.queue.is_closed() {
                let ended = tasks.watch(&place).await;
                let how = match ended {
                    Ok(()) | Err(ControlError::Disconnected) => Supervision::Absent,
                    Err(error) => Supervision::Silent(supervisor::control_error(error)),
                };
                tasks.post(Event::Supervisor(how)).await;
                tokio::time::sleep(LOOK_INTERVAL).await;
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
                self.post(Event::Supervisor(Supervision::Present(statuses))).await;
                posted = Some(known);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Has circles up, by a supervisor that is started if there is none.
    pub(crate) fn start(&self, of: SupervisorOf, wish: StartCommand, ids: Vec<CircleId>, names: Vec<String>) {
        let tasks = self.clone();
        self.spawn(async move {
            let started = async {
                let place = of.place().await?;
                supervisor::start_circles(&of.supervisors, &place, &names, wish, STARTING).await
            };
            let started = started.await;
            tasks.post(Event::Started(ids, started)).await;
        });
    }

    /// Has circles drained.
    pub(crate) fn stop(&self, of: SupervisorOf, names: Vec<String>) {
        let tasks = self.clone();
        self.spawn(async move {
            let stopped = end::<Down>(&of, &names).await;
            tasks.post(Event::Stopped(stopped)).await;
        });
    }

    /// Has circles drained, and the supervisor end if nothing else is up.
    pub(crate) fn release(&self, of: SupervisorOf, names: Vec<String>) {
        let tasks = self.clone();
        self.spawn(async move {
            let released = end::<Release>(&of, &names).await;
            tasks.post(Event::Released(released)).await;
        });
    }
}

async fn end<M: Method<Params = CircleNames, Result = Statuses>>(
    of: &SupervisorOf,
    names: &[String],
) -> Result<(), CliError> {
    // Where there is no supervisor nothing of it is up.
    supervisor::call_running::<M>(&of.place().await?, names, STOPPING).await.map(drop)
}

/// Everything but the time, which always goes on.
fn without_time(statuses: &Statuses) -> Statuses {
    let circles = statuses.circles.iter().map(CircleStatus::without_uptime).collect();
    Statuses { circles, ..statuses.clone() }
}
