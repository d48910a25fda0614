//! What is asked of the supervisor of circles.json, and what it says.

use std::{path::PathBuf, time::Duration};

use launcher::{
    CircleStatus, Statuses,
    control::{Client, ControlError, Down, Names, Release, Watch},
    place::Place,
};
use protocol::{Method, methods::NoParams};

use super::Work;
use crate::app::{id::CircleId, message::{News, Supervision}};
use frontend::{error::CliError, supervisor::{self, PATIENCE, Supervisors, Wish}};

/// How long circles may take to be up, as with `circles up`.
const STARTING: Duration = Duration::from_mins(1);

/// How long circles may take to end. One that does not drain is killed long before that.
const STOPPING: Duration = Duration::from_mins(1);

/// How often it is looked whether there is a supervisor, while there is none.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The pause before it is asked again what has changed.
const PAUSE: Duration = Duration::from_millis(50);

/// Which supervisor is meant.
#[derive(Debug, Clone)]
pub(crate) struct Meant {
    pub(crate) supervisors: Supervisors,
    pub(crate) config: Option<PathBuf>,
}

impl Meant {
    async fn place(&self) -> Result<Place, CliError> {
        let meant = self.clone();
        let place = move || meant.supervisors.place(meant.config.as_deref());
        match tokio::task::spawn_blocking(place).await {
            Ok(place) => place,
            // The runtime ends, and with it whoever waits here.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Work {
    /// Says, again and again, how the supervisor is and how its circles are.
    pub(crate) fn watch_supervisor(&self, meant: Meant) {
        let work = self.clone();
        self.spawn(async move {
            // Without a circles.json there is no supervisor; one may be written any time.
            let place = loop {
                match meant.place().await {
                    Ok(place) => break place,
                    Err(_) => work.post(News::Supervisor(Supervision::Absent)).await,
                }
                tokio::time::sleep(LOOK_INTERVAL).await;
            };
            work.post(News::Placed(place.clone())).await;
            while !work.queue.is_closed() {
                let ended = work.watch(&place).await;
                let how = match ended {
                    Ok(()) | Err(ControlError::Lost) => Supervision::Absent,
                    Err(error) => Supervision::Silent(supervisor::failed(error)),
                };
                work.post(News::Supervisor(how)).await;
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
        });
    }

    /// Says how the circles are, until their supervisor is gone or silent.
    async fn watch(&self, place: &Place) -> Result<(), ControlError> {
        let Some(mut client) = Client::connect(place).await? else { return Ok(()) };
        let mut told = None;
        while !self.queue.is_closed() {
            let statuses = client.call::<Watch>(&NoParams {}, PATIENCE).await?;
            let known = without_time(&statuses);
            if told.as_ref() != Some(&known) {
                self.post(News::Supervisor(Supervision::Present(statuses))).await;
                told = Some(known);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Has circles up, by a supervisor that is started if there is none.
    pub(crate) fn order(&self, meant: Meant, wish: Wish, ids: Vec<CircleId>, names: Vec<String>) {
        let work = self.clone();
        self.spawn(async move {
            let told = async {
                let place = meant.place().await?;
                supervisor::tell(&meant.supervisors, &place, &names, wish, STARTING).await
            };
            let told = told.await;
            work.post(News::Ordered(ids, told)).await;
        });
    }

    /// Has circles drained.
    pub(crate) fn stop(&self, meant: Meant, names: Vec<String>) {
        let work = self.clone();
        self.spawn(async move {
            let stopped = end::<Down>(&meant, &names).await;
            work.post(News::Stopped(stopped)).await;
        });
    }

    /// Has circles drained, and the supervisor end if nothing else is up.
    pub(crate) fn release(&self, meant: Meant, names: Vec<String>) {
        let work = self.clone();
        self.spawn(async move {
            let released = end::<Release>(&meant, &names).await;
            work.post(News::Released(released)).await;
        });
    }
}

async fn end<M: Method<Params = Names, Result = Statuses>>(meant: &Meant, names: &[String]) -> Result<(), CliError> {
    // Where there is no supervisor nothing of it is up.
    supervisor::tell_running::<M>(&meant.place().await?, names, STOPPING).await.map(drop)
}

/// The time goes on by itself.
fn without_time(statuses: &Statuses) -> Statuses {
    let circles = statuses.circles.iter().map(CircleStatus::without_time).collect();
    Statuses { circles, ..statuses.clone() }
}
