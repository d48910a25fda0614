//! The loop of a session: incoming messages, events of the player, timers, and changes of the circle.

use std::time::Duration;

use protocol::{
    RpcError,
    error::LossReason,
    methods::{ResetResult, SessionReset},
};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    task::yield_now,
    time::{Instant, sleep_until, timeout},
};

use super::{
    Session,
    inbound::Inbound,
    outbound::OutboundFrame,
    player::{PlayerEvent, StopReason},
    queue::{Job, QueuedJob},
};
use crate::circle::CirclePhase;

/// After this silence, the session pings the client. After the same time again, it drops the connection.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(30);

/// How long a client may take to answer a close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The number of bytes of replies from which a session sends them before it takes further outcomes.
const MAX_REPLY_BYTES: usize = 16 << 10;

impl Session {
    /// Serves until the client is gone, the connection is closed or the circle ends. Then everything left is dropped:
    /// the worker is killed, and the plays finish as disconnected.
    ///
    /// `receive` admits the requests of one text message. It is an argument because methods are a layer above sessions.
    pub(crate) async fn serve(mut self, mut inbound: mpsc::Receiver<Inbound>, receive: fn(&mut Self, &str)) {
        tracing::debug!(address = %self.address, "connected");
        let mut phase = self.circle.phase.subscribe();
        let mut settings = self.circle.settings.subscribe();
        let slot = self.slot.clone();
        // `None` is too far in the future to occur.
        let login_deadline = Instant::now().checked_add(Duration::from_secs(self.limits.values.login_s));
        let mut permit = None;
        while self.closing.is_none() {
            self.start_next();
            if permit.is_some() {
                // Other sessions of this thread run before this one continues. A play that has just arrived has already
                // been sent to its worker.
                yield_now().await;
                permit = None;
            }
            slot.set_session_bytes(self.held_bytes());
            let can_send = self.outbox.is_empty();
            let idle = self.idle_deadline().filter(|_| can_send);
            let player = [self.player.next_tick(can_send), self.player.next_memory_sample()];
            let start = self.delayed_start().filter(|_| can_send);
            let tick = player.into_iter().chain([self.player.queries.next_deadline(), idle, start]);
            let tick = tick.flatten().min();
            let heartbeat = self.last_activity + HEARTBEAT_INTERVAL;
            tokio::select! {
                room = async { self.outbound.room_for(&self.outbox[0]).await }, if !can_send => {
                    let Ok(room) = room else { return };
                    if let Some(frame) = self.outbox.pop_front() {
                        room.send(frame);
                    }
                    self.last_activity = Instant::now();
                }
                arrived = async { slot.ready_for_request().await; self.request_rate.next(&mut inbound).await }, if can_send => {
                    let Some(message) = arrived else { return };
                    self.last_activity = Instant::now();
                    self.is_ping_pending = false;
                    match message {
                        Inbound::Text(text) => {
                            permit = Some(self.acquire_permit().await);
                            receive(&mut self, &text);
                        }
                        Inbound::Heartbeat => {}
                        Inbound::Violation { code, reason } => self.close(code, reason),
                    }
                }
                event = self.player.next_event(), if can_send || self.player.is_finishing() => {
                    if let Some(PlayerEvent::Printed(_)) = &event {
                        permit = Some(self.acquire_permit().await);
                        self.handle(event);
                    } else {
                        self.handle(event);
                        self.handle_arrived_outcomes();
                    }
                }
                () = sleep_until(tick.unwrap_or(heartbeat)), if tick.is_some() => {
                    let now = Instant::now();
                    let stopped = self.player.tick(now);
                    self.handle(stopped);
                    for (ticket, error) in self.player.expire_queries(now) {
                        self.reply_error(&ticket, &error);
                    }
                    let evicted = self.player.sample_memory(now);
                    self.handle(evicted);
                    if idle.is_some_and(|idle| idle <= now) {
                        self.release_idle_worker();
                    }
                }
                () = sleep_until(heartbeat), if can_send => {
                    if self.is_ping_pending {
                        tracing::info!("heartbeat timeout");
                        return;
                    }
                    self.is_ping_pending = true;
                    self.last_activity = Instant::now();
                    self.outbox.push_back(OutboundFrame::Ping);
                }
                // This also applies while a stranger does not read.
                () = sleep_until(login_deadline.unwrap_or(heartbeat)), if login_deadline.is_some() && slot.is_stranger() => {
                    self.circle.metrics.count_login_timeout();
                    self.close(1008, "the connection did not authenticate in time");
                }
                () = slot.closed() => return,
                // A stranger's messages are not read while its last response waits, so the receiver does not see the
                // end.
                () = self.outbound.closed(), if slot.is_stranger() => return,
                // The phase is checked below after every event.
                Ok(()) = phase.changed() => {}
                Ok(()) = settings.changed() => settings.mark_changed(),
            }
            // This comes before any new job starts.
            if settings.has_changed().is_ok_and(|has_changed| has_changed) {
                settings.mark_unchanged();
                self.check_membership();
            }
            let phase = *phase.borrow_and_update();
            self.enter_phase(phase);
            if phase != CirclePhase::Open && self.player.is_idle() && self.outbox.is_empty() {
                self.close(1001, "the circle is shutting down");
            }
        }
        // The client determines how long closing takes, so the permit is released before.
        drop(permit);
        self.close_connection(inbound).await;
    }

    async fn close_connection(mut self, mut inbound: mpsc::Receiver<Inbound>) {
        self.player.abandon();
        self.fail_queries(&RpcError::EnvironmentLost { reason: LossReason::Killed });
        if let Some((code, reason)) = self.closing {
            self.outbox.push_back(OutboundFrame::Close(code, reason));
        }
        let flush = async {
            for frame in self.outbox {
                let Ok(room) = self.outbound.room_for(&frame).await else { return };
                room.send(frame);
            }
            // The client closes in turn. Closing the socket before that could discard the last messages.
            while inbound.recv().await.is_some() {}
        };
        if timeout(CLOSE_TIMEOUT, flush).await.is_err() {
            tracing::debug!("client did not answer the close frame");
        }
        // Unread messages may still reach a member, but the circle keeps none for a stranger.
        if self.slot.is_stranger() {
            self.slot.close();
        }
    }

    /// Starts the next queued job, once the replies before it have been sent.
    fn start_next(&mut self) {
        while self.outbox.is_empty() && self.is_start_possible() {
            // A query is answered from the environment in which it was sent, not from the one after a reset.
            if self.queue.is_reset_next() && self.player.queries.has_waiting() {
                break;
            }
            if self.queue.is_play_next() && self.player.is_idle() {
                self.player.reserve_start(self.auth.identity());
            }
            if self.delayed_start().is_some_and(|start| start > Instant::now()) {
                break;
            }
            let Some(QueuedJob { ticket, job }) = self.queue.dequeue() else { break };
            match job {
                Job::Reset => {
                    self.player.reset();
                    // The remaining queries have expired, so their clients already have a reply.
                    drop(self.player.queries.take_all());
                    self.reply(&ticket, &ResetResult { reset: true });
                }
                Job::Play { params, caller } => {
                    if let Err((ticket, error)) = self.player.start(ticket, params, caller) {
                        self.reply_error(&ticket, &error);
                    }
                }
            }
        }
        self.player.flush();
    }

    /// Whether the next job may start, or be sent to the worker ahead of its start.
    fn is_start_possible(&mut self) -> bool {
        self.player.is_idle()
            || self.queue.next_play().is_some_and(|(params, caller)| self.player.accepts_ahead(params, caller))
    }

    /// Handles the outcomes that arrived together with one that was handled, so that their replies go out together.
    fn handle_arrived_outcomes(&mut self) {
        while self.outbox.iter().map(OutboundFrame::wire_bytes).sum::<usize>() < MAX_REPLY_BYTES
            && let Some(event) = self.player.arrived_outcome()
        {
            self.handle(Some(event));
        }
    }

    /// Waits for a permit of the caller's semaphore.
    async fn acquire_permit(&mut self) -> Option<OwnedSemaphorePermit> {
        let caller = self.caller();
        if self.caller_semaphore.0 != caller {
            self.caller_semaphore = (caller, self.circle.caller_semaphores.get(caller));
        }
        // The semaphore is never closed.
        self.caller_semaphore.1.clone().acquire_owned().await.ok()
    }

    /// Returns when the next play starts, if the start of its worker is delayed.
    fn delayed_start(&self) -> Option<Instant> {
        self.player.next_start().filter(|_| self.queue.is_play_next() && self.player.is_idle())
    }

    /// Applies a phase of the circle.
    fn enter_phase(&mut self, phase: CirclePhase) {
        if phase >= CirclePhase::Draining {
            self.player.stop_all_ahead(StopReason::Shutdown);
            while let Some(queued) = self.queue.dequeue() {
                self.reply_error(&queued.ticket, &RpcError::ShuttingDown);
            }
            for ticket in self.player.queries.expire_all() {
                self.reply_error(&ticket, &RpcError::ShuttingDown);
            }
        }
        if phase == CirclePhase::Ending {
            let stopped = self.player.stop(StopReason::Shutdown);
            self.handle(stopped);
        }
    }

    /// Closes the connection if its key is no longer a member.
    fn check_membership(&mut self) {
        if self.auth.identity().is_some_and(|key| !self.circle.admits(&key)) {
            self.close(1008, "the key is no longer a member of this circle");
        }
    }

    /// Returns when an idle anonymous session releases its worker. An authenticated session keeps its worker.
    fn idle_deadline(&self) -> Option<Instant> {
        self.player.idle_deadline(self.player.limits().values.idle_s.filter(|_| self.auth.identity().is_none()))
    }

    fn release_idle_worker(&mut self) {
        tracing::info!("idle environment released");
        self.circle.metrics.count_environment_loss(LossReason::Idle);
        self.player.reset();
        // As after a reset, the remaining queries have expired.
        drop(self.player.queries.take_all());
        self.notify(&SessionReset { reason: LossReason::Idle });
    }
}
