//! The tasks that start workers.

use std::{hash::BuildHasher, hash::RandomState, sync::Arc};

use async_nats::{Client, Subject, connection::State};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, timeout_at},
};

use super::{
    WorkerStarter,
    fetching::{Requests, Source},
    setups::{Setups, SharedSetup},
};
use crate::{
    messages::{self, PlacementAnswer, PlacementRequest},
    subjects::Subjects,
    timings::Timings,
};

/// The reason of a placement that the machine gives up.
const TOO_LATE: &str = "the worker did not start in time";

/// A placement request that the machine has accepted.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) request: PlacementRequest,
    pub(super) subjects: Subjects,
    pub(super) reply: Subject,
}

/// The result of a start.
pub(super) struct Started<S: WorkerStarter> {
    pub(super) accepted: Accepted,
    pub(super) result: Result<(S::Worker, SharedSetup<S>), String>,
}

/// Starts workers.
pub(super) struct Starter<S: WorkerStarter> {
    pub(super) workers: Arc<S>,
    pub(super) setups: Arc<Setups<S>>,
    pub(super) requests: Arc<Requests>,
    pub(super) client: Client,
    pub(super) timings: Timings,
    /// Groups of different servers are different groups.
    pub(super) groups: RandomState,
    pub(super) started: mpsc::Sender<Started<S>>,
}

impl<S: WorkerStarter> Starter<S> {
    /// Starts a worker and sends the result. Tells the server to wait while it takes long.
    pub(super) async fn run(self: Arc<Self>, accepted: Accepted) {
        let period = self.timings.placement / 4;
        let mut interval = tokio::time::interval_at(Instant::now() + period, period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let result = {
            let start = self.start(&accepted, Instant::now() + self.timings.start);
            tokio::pin!(start);
            loop {
                tokio::select! {
                    result = &mut start => break result,
                    _ = interval.tick() => self.report_preparing(&accepted).await,
                }
            }
        };
        // The machine ends otherwise.
        let _receiver_dropped = self.started.send(Started { accepted, result }).await;
    }

    async fn start(&self, accepted: &Accepted, deadline: Instant) -> Result<(S::Worker, SharedSetup<S>), String> {
        let Accepted { request, subjects, .. } = accepted;
        let source = Source { requests: &self.requests, subjects, server: &request.server, setup: request.setup };
        let group = self.groups.hash_one((&request.server, request.group));
        let mut is_first = true;
        loop {
            let setup = timeout_at(deadline, self.setups.get(request.manifest(), &source)).await;
            let setup = setup.unwrap_or_else(|_| Err(TOO_LATE.into()))?;
            let result = timeout_at(deadline, self.workers.start(setup.get(), group)).await;
            let error = match result.unwrap_or_else(|_| Err(TOO_LATE.into())) {
                Ok(worker) => return Ok((worker, setup)),
                Err(error) => error,
            };
            // Also after a timeout: this fork server may never be ready.
            self.setups.discard(&setup);
            // The fork server may have ended before this request, so one attempt is made with a new one.
            if !std::mem::take(&mut is_first) || Instant::now() >= deadline {
                return Err(error);
            }
        }
    }

    async fn report_preparing(&self, accepted: &Accepted) {
        if self.client.connection_state() == State::Connected {
            let answer = messages::encode(PlacementAnswer::Preparing);
            // The server asks again if the answer is lost.
            let _lost = self.client.publish(accepted.reply.clone(), answer).await;
        }
    }
}
