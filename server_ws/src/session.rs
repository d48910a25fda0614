//! The session of a connection, in a task of its own: its queue, its worker, its timers, and one result for each play.
//!
//! A play passes these stages, each with one verb: `rpc` **admits** its request and makes the ticket, the session
//! **enqueues** the play, the player **starts** it (it waits for a worker and a grant), **runs** it in the worker,
//! **stops** it if necessary, and **finishes** it with one result, and the session **replies**.
//!
//! A session handles what has arrived in turns. The frames of a turn wait in the outbox, and are sent together at its
//! end. Until the connection has taken them, the session accepts neither a message of the client nor a print of the
//! worker. So a client that does not read blocks only its own plays and costs a bounded
//! amount of memory, while the session continues to enforce its deadlines.

mod batches;
mod calls;
mod deadline_timer;
mod events;
pub(crate) mod inbound;
pub(crate) mod outbound;
mod outbox;
mod pending_queries;
mod player;
mod queue;
mod replies;
mod request_rate;
mod serve;
pub(crate) mod span;
mod subscriptions;
mod ticket;
mod turn;

use std::{net::IpAddr, sync::Arc};

use keys::Authority;
use protocol::{Id, RpcError};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};
use worker::Query;

use crate::{
    auth::Authenticator,
    calls::lost_right_to_play,
    circle::{Circle, SessionGuard, SessionLimits, Settings},
    metrics::SessionCounts,
    quota::{Caller, Slot},
    rights::CallerRights,
};
use batches::Batches;
use calls::SessionCalls;
use outbound::OutboundSender;
use outbox::Outbox;
use player::{Player, StopReason};
pub(crate) use queue::Job;
use queue::JobQueue;
use request_rate::RequestRate;
use subscriptions::SessionSubscriptions;
pub(crate) use ticket::{ReplyTo, Ticket};

pub(crate) struct Session {
    pub(crate) circle: Arc<Circle>,
    /// The limits of the connection; an environment has its own.
    pub(crate) limits: Arc<SessionLimits>,
    /// Those of the circle, of which the session has applied the last that it has seen.
    settings: watch::Receiver<Arc<Settings>>,
    pub(crate) auth: Authenticator,
    /// The rights of the caller.
    pub(crate) rights: CallerRights,
    pub(crate) batches: Batches,
    pub(crate) counts: SessionCounts,
    queue: JobQueue,
    pub(crate) player: Player,
    calls: SessionCalls,
    subscriptions: SessionSubscriptions,
    outbound: OutboundSender,
    outbox: Outbox,
    /// The close code and reason, once the session closes the connection. Frames in the outbox are sent before.
    closing: Option<(u16, &'static str)>,
    /// When a message last arrived, or a frame was last sent. The heartbeat counts from here.
    last_activity: Instant,
    is_ping_pending: bool,
    number: u64,
    address: IpAddr,
    /// The session's last caller, and that caller's semaphore.
    caller_semaphore: (Caller, Arc<Semaphore>),
    request_rate: RequestRate,
    /// The connection's slot in the quota of connections.
    pub(crate) slot: Arc<Slot>,
    _guard: SessionGuard,
}

impl Session {
    /// Makes the session of a client at `address` that dialled `authority`. The number identifies the session in the
    /// log.
    pub(crate) fn new(
        circle: Arc<Circle>,
        limits: Arc<SessionLimits>,
        number: u64,
        authority: Authority,
        address: IpAddr,
        slot: Arc<Slot>,
        outbound: OutboundSender,
    ) -> Self {
        // What changes from here on is not applied yet.
        let settings = circle.settings.subscribe();
        Self {
            settings,
            auth: Authenticator::new(authority, circle.identity()),
            rights: circle.rights_of(None),
            batches: Batches::new(limits.values.output_kib),
            counts: SessionCounts::new(circle.metrics.clone()),
            queue: JobQueue::new(&limits.values),
            player: Player::new(circle.clone(), limits.clone(), number, address),
            calls: SessionCalls::default(),
            subscriptions: SessionSubscriptions::default(),
            outbound,
            outbox: Outbox::default(),
            closing: None,
            last_activity: Instant::now(),
            is_ping_pending: false,
            number,
            address,
            caller_semaphore: (Caller::anonymous(address), circle.caller_semaphores.get(Caller::anonymous(address))),
            request_rate: RequestRate::default(),
            slot,
            _guard: circle.count_session(),
            limits,
            circle,
        }
    }

    /// Whether the caller of this session may do anything.
    pub(crate) fn is_admitted(&self) -> bool {
        self.rights.role.is_some()
    }

    /// Notes that the session has just authenticated.
    pub(crate) fn note_authentication(&mut self) {
        self.counts.authenticate();
        self.apply_rights();
        self.slot.admit(self.caller());
    }

    /// Applies the current rights of the caller.
    pub(super) fn apply_rights(&mut self) {
        self.rights = self.circle.rights_of(self.auth.identity().as_ref());
        self.check_subscriptions();
        if self.is_admitted() && self.slot.is_stranger() {
            self.slot.admit(self.caller());
        }
    }

    /// Applies changed rights. Closes the connection if its key has none any more.
    fn check_membership(&mut self) {
        let could_play = self.rights.may_play();
        self.apply_rights();
        if could_play && !self.rights.may_play() {
            let error = lost_right_to_play();
            while let Some(queued) = self.queue.dequeue() {
                self.reply_error(&queued.ticket, &error);
            }
            self.player.stop_all_ahead(StopReason::LostRight);
            self.fail_queries(&error);
        }
        if !self.is_admitted() && self.auth.identity().is_some() {
            self.close(1008, "the key is no longer a member of this circle");
        } else if !self.is_admitted() && !self.slot.is_stranger() {
            self.close(1008, "anonymous callers have no role in this circle any more");
        }
    }

    /// Whether the connection has to authenticate before it may do anything.
    pub(crate) fn is_stranger(&self) -> bool {
        !self.is_admitted()
    }

    /// Returns the bytes of the plays and replies that wait in the session.
    fn held_bytes(&self) -> usize {
        let queued = usize::try_from(self.queue.bytes()).unwrap_or(usize::MAX);
        let player = usize::try_from(self.player.held_bytes()).unwrap_or(usize::MAX);
        queued
            .saturating_add(player)
            .saturating_add(self.batches.held() + self.outbox.bytes() + self.calls.held_bytes())
    }

    /// Returns the number of the session, as in the log.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether a play or a call with this id is still unanswered.
    pub(crate) fn has_play(&self, id: &Id) -> bool {
        self.player.has_play(id) || self.calls.has_call(id) || self.queue.has_play(id) || self.batches.has_play(id)
    }

    /// Enqueues a play or a reset.
    pub(crate) fn enqueue(&mut self, ticket: Ticket, job: Job) {
        if self.circle.is_draining() {
            return self.reply_error(&ticket, &RpcError::ShuttingDown);
        }
        if let Err((ticket, error)) = self.queue.enqueue(ticket, job, self.player.load()) {
            self.reply_error(&ticket, &error);
        }
    }

    /// Sends a query to the worker, bypassing the queue of plays.
    pub(crate) fn query(&mut self, ticket: Ticket, query: Query) {
        if ticket.is_notification() {
            return;
        }
        if self.circle.is_draining() {
            return self.reply_error(&ticket, &RpcError::ShuttingDown);
        }
        if let Err(error) = self.player.ensure_worker(self.auth.identity()) {
            return self.reply_error(&ticket, &error);
        }
        match self.player.queries.admit(ticket, query, Instant::now()) {
            Ok(()) => self.player.send_pending(),
            Err((ticket, error)) => self.reply_error(&ticket, &error),
        }
    }

    /// Stops a call or a running play, or removes a queued play. Returns false if it has finished, is already being stopped
    /// for another reason, or never existed.
    pub(crate) fn cancel(&mut self, play: &Id) -> bool {
        if let Some(is_cancelled) = self.calls.stop(play, StopReason::Cancelled) {
            return is_cancelled;
        }
        if self.player.is_running(play) {
            let stopped = self.player.stop(StopReason::Cancelled);
            let is_cancelled = stopped.is_some() || self.player.stop_reason() == Some(StopReason::Cancelled);
            self.handle(stopped);
            return is_cancelled;
        }
        if let Some(is_cancelled) = self.player.cancel_ahead(play) {
            return is_cancelled;
        }
        let Some(queued) = self.queue.remove_play(play) else { return false };
        self.reply_error(&queued.ticket, &RpcError::Cancelled);
        true
    }
}
