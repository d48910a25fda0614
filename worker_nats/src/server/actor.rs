//! The task of a hub.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
    time::{Duration, Instant},
};

use async_nats::{Message, Subscriber};
use futures_util::StreamExt;
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::sleep_until,
};

use super::{
    HubError, HubOptions, Shared, lock,
    opening::{Opened, ServerIdentity, SharedSubjects, open},
    placement::{PlaceError, Placement, Placements, Retry},
    remote_end::ServerEnd,
    status::NatsTraffic,
};
use crate::{
    connection::ConnectError,
    content::{ContentHash, Setup},
    endpoint::{BATCH, Endpoint, receive_arrived},
    ids::LinkId,
    link::Side,
    messages::{self, PlacementRequest},
    subjects::{SubjectName, Subjects},
};

/// Time without another input after which the task looks at its state.
const IDLE: Duration = Duration::from_secs(1);

mod receiving;
mod reporting;

/// The numbers that a task has added to those of the hub.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    workers: usize,
    waiting: usize,
}

/// What a task has counted since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    resent: u64,
    lost: u64,
    traffic: NatsTraffic,
}

/// The state of a task.
struct Actor {
    options: HubOptions,
    /// The queue of the first task of the hub, if this is another one. The first task reports the state of its connection
    /// as that of the hub.
    first: Option<mpsc::WeakSender<Placement>>,
    counts: Counts,
    sums: Sums,
    shared: Arc<Mutex<Shared>>,
    endpoint: Endpoint<ServerEnd>,
    server: SubjectName,
    subjects: Subjects,
    own_prefix: String,
    /// When the server announces its identity again.
    announce_at: Instant,
    /// When another circle of this name has announced itself.
    conflict_seen: Option<Instant>,
    placements: Placements,
    setups: HashMap<ContentHash, Weak<Setup>>,
}

/// Runs the first task of a hub until the handles of the hub are dropped.
pub(super) async fn run(
    opened: Option<(Opened, SharedSubjects)>,
    options: HubOptions,
    mut queue: mpsc::Receiver<Placement>,
    shared: Arc<Mutex<Shared>>,
) {
    let (opened, shared_subjects) = match opened {
        Some(opened) => opened,
        None => match connect(&options, &mut queue, &shared).await {
            Some(opened) => opened,
            None => return,
        },
    };
    start(opened, options, queue, shared, None, Some(shared_subjects)).await;
}

/// Runs a further task of a hub until the handles of the hub are dropped.
pub(super) async fn run_further(
    opened: Opened,
    options: HubOptions,
    queue: mpsc::Receiver<Placement>,
    shared: Arc<Mutex<Shared>>,
    first: mpsc::WeakSender<Placement>,
) {
    start(opened, options, queue, shared, Some(first), None).await;
}

async fn start(
    opened: Opened,
    options: HubOptions,
    queue: mpsc::Receiver<Placement>,
    shared: Arc<Mutex<Shared>>,
    first: Option<mpsc::WeakSender<Placement>>,
    shared_subjects: Option<SharedSubjects>,
) {
    let Opened { connection, server, subjects, own } = opened;
    let actor = Actor {
        endpoint: Endpoint::new(connection, Side::Server, options.timings.association),
        announce_at: Instant::now() + options.timings.announcement,
        conflict_seen: None,
        own_prefix: subjects.server_prefix(&server),
        server,
        subjects,
        placements: Placements::default(),
        setups: HashMap::new(),
        options,
        first,
        counts: Counts::default(),
        sums: Sums::default(),
        shared,
    };
    let (machines, servers) = shared_subjects.map(|subjects| (subjects.machines, subjects.servers)).unzip();
    actor.run(own, machines, servers, queue).await;
}

/// Waits for the next message of a subscription. Without one, and after its end, there is none.
async fn next(subscriber: &mut Option<Subscriber>) -> Message {
    if let Some(open) = subscriber {
        if let Some(message) = open.next().await {
            return message;
        }
        *subscriber = None;
    }
    std::future::pending().await
}

/// Tries to connect until it succeeds. Returns `None` if the handles are dropped.
async fn connect(
    options: &HubOptions,
    queue: &mut mpsc::Receiver<Placement>,
    shared: &Mutex<Shared>,
) -> Option<(Opened, SharedSubjects)> {
    loop {
        let attempt = async {
            tokio::time::sleep(options.timings.connect_delay).await;
            open(options).await
        };
        tokio::pin!(attempt);
        let result = loop {
            tokio::select! {
                result = &mut attempt => break result,
                placement = queue.recv() => {
                    let placement = placement?;
                    let mut shared = lock(shared);
                    let error = PlaceError::NotConnected(shared.status.error.clone().unwrap_or_default());
                    shared.status.count_failure(&error);
                    drop(shared);
                    placement.fail(error);
                }
            }
        };
        match result {
            Ok(opened) => return Some(opened),
            Err(error) => {
                let text = error.to_string();
                let status = &mut lock(shared).status;
                if !matches!(&error, HubError::Connect(error) if error.is_transient())
                    && status.error.as_deref() != Some(&text)
                {
                    tracing::error!(%error, "NATS cannot be used; trying again");
                }
                status.is_refused = matches!(&error, HubError::Connect(ConnectError::Refused { .. }));
                status.conflict = matches!(&error, HubError::NameTaken { .. }).then(|| text.clone());
                status.set_error(Some(text));
            }
        }
    }
}

impl Actor {
    async fn run(
        mut self,
        mut own: Subscriber,
        mut machines: Option<Subscriber>,
        mut servers: Option<Subscriber>,
        mut queue: mpsc::Receiver<Placement>,
    ) {
        loop {
            let now = Instant::now();
            let first_messages = self.endpoint.begin_turn(now).await;
            self.report_connection();
            receive_arrived(&mut own, first_messages, |message| self.receive(message));
            self.check_deadlines(now);
            let is_blocked = self.endpoint.publish(now);
            let deadline = self.deadline(now, is_blocked);
            tokio::select! {
                message = own.next() => {
                    let Some(message) = message else { break };
                    self.receive(message);
                    receive_arrived(&mut own, BATCH, |message| self.receive(message));
                }
                () = self.endpoint.changed(is_blocked) => {}
                placement = queue.recv() => {
                    let Some(placement) = placement else { break };
                    self.request(placement);
                }
                message = next(&mut machines) => self.receive_state(&message),
                message = next(&mut servers) => self.receive_identity(&message),
                () = sleep_until(deadline.into()) => {}
            }
        }
        self.end().await;
    }

    /// The handles are dropped, or the client has ended.
    async fn end(mut self) {
        for placement in self.placements.drain() {
            placement.fail(PlaceError::NotConnected("the hub has ended".into()));
        }
        self.endpoint.give_up_all();
        self.endpoint.finish().await;
    }

    fn check_deadlines(&mut self, now: Instant) {
        self.announce(now);
        for machine in self.endpoint.give_up(now) {
            tracing::warn!(%machine, "worker machine is out of reach; its workers of this thread are lost");
            lock(&self.shared).count_lost_machine(machine, now);
        }
        for farewell in self.endpoint.peers.remove_unused(now) {
            self.endpoint.outbox.push_message(farewell);
        }
        while let Some(placement) = self.placements.pop_overdue(now) {
            let retry = placement.time_out(&self.options.timings, now);
            self.retry(retry, PlaceError::TimedOut);
        }
        while let Some(placement) = self.placements.pop_paused(now) {
            self.request(placement);
        }
    }

    fn deadline(&self, now: Instant, is_blocked: bool) -> Instant {
        let deadlines = self.endpoint.deadline(is_blocked).into_iter().chain(self.placements.deadline());
        deadlines.fold(self.announce_at.min(now + IDLE), Instant::min)
    }

    /// Requests a worker from any machine.
    fn request(&mut self, placement: Placement) {
        let now = Instant::now();
        if placement.is_abandoned() {
            return;
        }
        if !self.endpoint.connected().1 {
            let placement = match self.first.as_ref().and_then(mpsc::WeakSender::upgrade) {
                // The first task may be connected.
                Some(first) => match first.try_send(placement) {
                    Ok(()) => return,
                    Err(TrySendError::Full(placement) | TrySendError::Closed(placement)) => placement,
                },
                None => placement,
            };
            let status = self.endpoint.connection().status();
            return self.fail(placement, PlaceError::NotConnected(status.error.unwrap_or_default()));
        }
        if self.placements.is_full() {
            return self.fail(placement, PlaceError::Full);
        }
        let link = match LinkId::generate() {
            Ok(link) => link,
            Err(error) => return self.fail(placement, PlaceError::Refused(error.to_string())),
        };
        self.setups.retain(|_, setup| setup.strong_count() > 0);
        self.setups.insert(placement.setup.hash(), Arc::downgrade(&placement.setup));
        let request = PlacementRequest {
            server: self.server.clone(),
            link,
            setup: placement.setup.hash(),
            manifest_bytes: placement.setup.manifest().bytes,
            group: placement.group,
        };
        let reply = format!("{}inbox.place.{}", self.own_prefix, link.to_hex());
        let subject = self.subjects.placements(&self.options.build);
        self.endpoint.outbox.push(subject, Some(reply.into()), messages::encode(request));
        self.placements.insert(link, now + self.options.timings.placement, placement);
    }

    /// What the servers of the circle learn of this one.
    fn identity(&self) -> ServerIdentity {
        ServerIdentity { server: self.server.clone(), identity: self.options.identity.clone(), is_new: false }
    }

    /// Requests a worker again, or fails with an error.
    fn retry(&mut self, retry: Retry, error: PlaceError) {
        match retry {
            Retry::Again(placement) => self.request(placement),
            Retry::At(next, placement) => self.placements.pause(next, placement),
            Retry::GiveUp(placement) => self.fail(placement, error),
        }
    }

    fn fail(&mut self, placement: Placement, error: PlaceError) {
        lock(&self.shared).status.count_failure(&error);
        placement.fail(error);
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        // The runtime of a thread may end before the hub.
        self.report(Counts::default());
    }
}
