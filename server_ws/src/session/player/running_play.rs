//! One play that runs: what it waits for, and how it may come to end.

use std::{sync::Arc, time::Duration};

use keys::PublicKey;
use protocol::{
    RpcError,
    error::LossReason,
    methods::{PlayParams, PlayResult},
};
use tokio::time::{Instant, timeout_at};

use super::{
    cpu_budget::Patience,
    host_calls::{Hosting, Returned},
};
use crate::{
    host::EndHookError,
    metrics::PlayTimer,
    quota::{Grant, Waiter},
    session::batches::Ticket,
};

/// When a play is first reported on.
const FIRST_PROGRESS: Duration = Duration::from_millis(500);

/// Why a play is made to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its client cancelled it.
    Cancelled,
    /// Its time is over.
    Time,
    /// The circle ends.
    Shutdown,
    /// It makes more host calls than it may.
    HostCalls,
    /// A host function's result is larger than it may be.
    HostBytes,
    /// Its caller has as many host functions running on as may be.
    LeftBehind,
}

pub(super) struct Running {
    pub(super) ticket: Ticket,
    pub(super) caller: Option<PublicKey>,
    /// Held while it runs.
    pub(super) slot: Option<Grant>,
    /// What it waits for before.
    pub(super) turn: Option<Waiter>,
    /// What is still to be sent, to a worker that is starting or once it is its turn.
    pub(super) unsent: Option<(Arc<PlayParams>, Option<String>)>,
    pub(super) number: u64,
    pub(super) started: Instant,
    timer: PlayTimer,
    pub(super) max_ms: u64,
    pub(super) deadline: Option<Instant>,
    /// Until its worker gives way, unless it has done so before.
    pub(super) patience: Option<Patience>,
    pub(super) next_progress: Instant,
    pub(super) ending: Option<Ending>,
    pub(super) kill_at: Option<Instant>,
    /// Once it has called a host function.
    pub(super) hosting: Option<Hosting>,
    /// Once it has ended, while modules are told.
    pub(super) telling: Option<Told>,
}

/// What is answered once modules have been told of it.
pub(super) struct Told {
    pub(super) then: Then,
    /// When it is answered all the same.
    pub(super) by: Option<Instant>,
}

/// What a play came to.
pub(super) enum Then {
    Ended(Result<PlayResult, RpcError>),
    Lost(LossReason),
}

/// Something that a play waited for.
pub(super) enum Waited {
    /// It is its turn.
    Turn(Option<Grant>),
    /// Its host function has ended.
    Returned(Returned),
    /// Its modules have been told of its end, or take too long.
    Told(Option<Result<(), EndHookError>>),
}

impl Running {
    /// One that has not begun; `slot` is what it is to hold while it runs.
    pub(super) fn new(
        number: u64,
        ticket: Ticket,
        params: Arc<PlayParams>,
        caller: Option<PublicKey>,
        max_ms: u64,
        slot: Result<Grant, Waiter>,
        timer: PlayTimer,
    ) -> Self {
        let now = Instant::now();
        let (slot, turn) = match slot {
            Ok(slot) => (Some(slot), None),
            Err(turn) => (None, Some(turn)),
        };
        let mut running = Self {
            ticket,
            caller,
            slot,
            turn,
            unsent: Some((params, caller.map(|key| key.to_hex()))),
            number,
            started: now,
            timer,
            max_ms,
            deadline: None,
            patience: None,
            next_progress: now,
            ending: None,
            kill_at: None,
            hosting: None,
            telling: None,
        };
        if running.slot.is_some() {
            running.begin_time();
        }
        running
    }

    /// From now on its time counts: what it waits for others' plays does not.
    pub(super) fn begin_time(&mut self) {
        self.started = Instant::now();
        self.timer.begin(self.started.into_std());
        self.deadline = self.started.checked_add(Duration::from_millis(self.max_ms));
        self.next_progress = self.started + FIRST_PROGRESS;
    }

    /// When something of it is due. `is_heard`: the client reads, so progress can be told.
    pub(super) fn next_tick(&self, is_heard: bool) -> Option<Instant> {
        if self.telling.is_some() {
            return None;
        }
        if self.ending.is_some() {
            return self.kill_at;
        }
        let progress = (is_heard && self.ticket.id.is_some()).then_some(self.next_progress);
        [self.deadline, self.patience.as_ref().map(Patience::next_look), progress].into_iter().flatten().min()
    }

    /// What it waits for, besides its worker; never, while that is nothing. Cancel safe.
    pub(super) async fn waits(&mut self) -> Waited {
        let (is_told, by) = (self.telling.is_none(), self.telling.as_ref().and_then(|telling| telling.by));
        let hosting = self.hosting.as_mut();
        let hosted = async {
            if is_told { Waited::Returned(returned(hosting).await) } else { Waited::Told(told(hosting, by).await) }
        };
        tokio::select! {
            slot = turn_of(self.turn.as_mut()) => Waited::Turn(slot),
            hosted = hosted => hosted,
        }
    }
}

/// What the host function came to that a play waits for; never, without one.
async fn returned(hosting: Option<&mut Hosting>) -> Returned {
    match hosting {
        Some(hosting) => hosting.returned().await,
        None => std::future::pending().await,
    }
}

/// What the modules say that are told of a play's end; `None` if they take too long.
async fn told(hosting: Option<&mut Hosting>, by: Option<Instant>) -> Option<Result<(), EndHookError>> {
    match (hosting, by) {
        (Some(hosting), Some(by)) => timeout_at(by, hosting.told()).await.ok(),
        (Some(hosting), None) => Some(hosting.told().await),
        (None, _) => std::future::pending().await,
    }
}

/// Waits for the turn of a play; forever, of none that waits for one.
async fn turn_of(turn: Option<&mut Waiter>) -> Option<Grant> {
    match turn {
        // The circle has the other end, and outlives its sessions.
        Some(turn) => turn.await.ok(),
        None => std::future::pending().await,
    }
}
