//! The loop of a session: incoming messages, events of the player, timers, and changes of the circle.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use futures_util::poll;
use protocol::{
    RpcError,
    error::LossReason,
    methods::{ResetResult, SessionReset},
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout},
};

use super::{
    Session,
    deadline_timer::DeadlineTimer,
    inbound::{Inbound, Message, Messages},
    outbound::{ConnectionClosed, OutboundFrame},
    player::{PlayerEvent, StopReason},
    queue::{Job, QueuedJob},
    turn::{MAX_TURN_BYTES, MAX_TURN_TIME, Turn},
};
use crate::{
    circle::{CirclePhase, Settings},
    quota::Slot,
};

/// After this silence, the session pings the client. After the same time again, it drops the connection.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(30);

/// How long a client may take to answer a close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

impl Session {
    /// Serves until the client is gone, the connection is closed or the circle ends. Then everything left is dropped:
    /// the worker is killed, and the plays finish as disconnected.
    ///
    /// `receive` admits the requests of one text message. It is an argument because methods are a layer above sessions.
    pub(crate) async fn serve(
        mut self: Box<Self>,
        inbound: mpsc::Receiver<Box<Inbound>>,
        receive: fn(&mut Self, &str),
    ) {
        tracing::debug!(address = %self.address, "connected");
        let mut phase = self.circle.phase.subscribe();
        let mut current_phase = *phase.borrow();
        let slot = self.slot.clone();
        let (mut messages, mut timer) = (Messages::new(inbound), DeadlineTimer::new());
        // `None` is too far in the future to occur.
        let login_deadline = Instant::now().checked_add(Duration::from_secs(self.limits.values.login_s));
        let mut turn = Turn::default();
        loop {
            // This comes before any new job starts.
            self.apply_changed_settings();
            if phase.has_changed().is_ok_and(|has_changed| has_changed) {
                current_phase = *phase.borrow_and_update();
            }
            self.enter_phase(current_phase);
            if self.closing.is_some() {
                break;
            }
            if self.send_and_start().is_err() {
                return;
            }
            if current_phase != CirclePhase::Open
                && self.player.is_idle()
                && self.calls.count() == 0
                && self.outbox.is_empty()
            {
                self.close(1001, "the circle is shutting down");
                break;
            }
            turn.end(messages.has_arrived()).await;
            slot.set_session_bytes(self.held_bytes());
            let can_send = self.outbox.is_empty();
            let takes_events = can_send || self.player.is_finishing();
            if !takes_events {
                self.player.pause_ahead();
            }
            self.subscriptions.pause_unless(can_send, self.circle.event_hub());
            let idle = self.idle_deadline().filter(|_| can_send);
            let player = [self.player.next_tick(can_send), self.player.next_memory_sample()];
            let start = self.delayed_start().filter(|_| can_send);
            let tick = player.into_iter().chain([self.player.queries.next_deadline(), idle, start]);
            let tick = tick.flatten().min();
            let heartbeat = Some(self.last_activity + HEARTBEAT_INTERVAL).filter(|_| can_send);
            // This also applies while a stranger does not read.
            let login = login_deadline.filter(|_| slot.is_stranger());
            let deadline = [tick, heartbeat, login].into_iter().flatten().min();
            let (mut is_message, mut is_print) = (false, false);
            tokio::select! {
                room = self.outbox.room(&self.outbound), if !can_send => {
                    let Ok(room) = room else { return };
                    if let Some(frame) = self.outbox.pop_front() {
                        room.send(frame);
                    }
                    self.last_activity = Instant::now();
                }
                message = self.request_rate.next(&slot, &mut messages), if can_send => {
                    let Some(message) = message else { return };
                    is_message = true;
                    self.take(message, &mut turn, receive).await;
                }
                event = self.player.next_event_if(takes_events), if takes_events || self.player.may_give_way() => {
                    is_print = self.take_event(event, &mut turn).await;
                }
                event = self.calls.next_event() => self.take_call_event(event).await,
                read = self.subscriptions.next_read(self.circle.event_hub()), if can_send => {
                    self.begin(&mut turn).await;
                    self.deliver(read);
                }
                () = timer.wait_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    let now = Instant::now();
                    if tick.is_some_and(|tick| tick <= now) {
                        self.tick(now, idle);
                    }
                    if heartbeat.is_some_and(|heartbeat| heartbeat <= now) && !self.ping(now) {
                        return;
                    }
                    if login.is_some_and(|login| login <= now) {
                        self.close_unauthenticated();
                    }
                }
                // A stranger's messages are not read while its last response waits, so the receiver does not see the
                // end.
                () = self.outbound.closed(), if slot.is_stranger() => return,
                // The phase and the settings are checked above.
                is_closed = closed_or_changed(&slot, &phase, &self.settings) => {
                    if is_closed {
                        return;
                    }
                }
            }
            let now = Instant::now();
            if is_message {
                self.last_activity = now;
            }
            if can_send && !is_print {
                self.take_arrived(now, &mut messages, &mut turn, receive).await;
            }
            messages.release();
        }
        // The client determines how long closing takes, so the permit is released before.
        drop(turn);
        self.close_connection(messages).await;
    }

    /// Sends what the connection has room for, and starts the next job.
    fn send_and_start(&mut self) -> Result<(), ConnectionClosed> {
        self.counts.report();
        loop {
            if !self.outbox.is_empty() {
                self.outbox.send(&self.outbound)?;
                self.last_activity = Instant::now();
            }
            self.start_next();
            if self.outbox.is_empty() || self.outbox.is_blocked() {
                return Ok(());
            }
        }
    }

    /// Applies the settings of the circle if they have changed.
    fn apply_changed_settings(&mut self) {
        if self.settings.has_changed().is_ok_and(|has_changed| has_changed) {
            self.settings.mark_unchanged();
            self.check_membership();
        }
    }

    /// Processes a message of the client.
    async fn take(&mut self, message: Message, turn: &mut Turn, receive: fn(&mut Self, &str)) {
        self.is_ping_pending = false;
        // A change applies from the next message on, also if both came during one wait.
        self.apply_changed_settings();
        if self.closing.is_some() {
            return;
        }
        match message {
            Message::Text(text) => {
                self.begin(turn).await;
                receive(self, &text);
            }
            Message::Heartbeat => {}
            Message::Violation { code, reason } => self.close(code, reason),
        }
    }

    /// Handles an event of the player. Returns whether it was prints, which end the turn: most of their cost is sending
    /// them.
    async fn take_event(&mut self, event: Option<PlayerEvent>, turn: &mut Turn) -> bool {
        let is_print = matches!(event, Some(PlayerEvent::Printed(_)));
        if is_print {
            self.begin(turn).await;
        }
        self.send_committed_events().await;
        self.handle(event);
        is_print
    }

    /// Handles what else has arrived, until the turn is over, so that all of it is sent together.
    async fn take_arrived(
        &mut self,
        began: Instant,
        messages: &mut Messages,
        turn: &mut Turn,
        receive: fn(&mut Self, &str),
    ) {
        while self.closing.is_none() && self.outbox.bytes() < MAX_TURN_BYTES && began.elapsed() < MAX_TURN_TIME {
            // A job that need not wait starts before anything else happens: it counts neither as queued nor, if the
            // worker is lost, as another loss.
            if self.player.is_idle()
                && self.queue.has_jobs()
                && (self.send_and_start().is_err() || self.outbox.is_blocked())
            {
                return;
            }
            // A stranger's messages are processed one at a time.
            let message = if self.slot.is_stranger() { None } else { messages.arrived() };
            if let Some(message) = message {
                self.take(message, turn, receive).await;
                continue;
            }
            let outcome = self.player.arrived_outcome();
            if outcome.is_some() {
                self.send_committed_events().await;
                self.handle(outcome);
                continue;
            }
            let Poll::Ready(event) = poll!(pin!(self.player.next_event())) else { return };
            if self.take_event(event, turn).await {
                return;
            }
        }
    }

    /// Handles the timers that are due. The worker of an idle session is released at `idle`.
    fn tick(&mut self, now: Instant, idle: Option<Instant>) {
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

    fn close_unauthenticated(&mut self) {
        self.circle.metrics.count_login_timeout();
        self.close(1008, "the connection did not authenticate in time");
    }

    /// Pings a silent client. Returns false if the client has not answered the last ping.
    fn ping(&mut self, now: Instant) -> bool {
        if self.is_ping_pending {
            tracing::info!("heartbeat timeout");
            return false;
        }
        self.is_ping_pending = true;
        self.last_activity = now;
        self.outbox.push_back(OutboundFrame::Ping);
        true
    }

    async fn close_connection(mut self: Box<Self>, mut messages: Messages) {
        self.player.abandon();
        self.calls.abandon();
        self.fail_queries(&RpcError::EnvironmentLost { reason: LossReason::Killed });
        if let Some((code, reason)) = self.closing {
            self.outbox.push_back(OutboundFrame::Close(code, reason));
        }
        let flush = async {
            while let Some(frame) = self.outbox.pop_front() {
                let Ok(room) = self.outbound.room_for(&frame).await else { return };
                room.send(frame);
            }
            // The client closes in turn. Closing the socket before that could discard the last messages.
            messages.discard_all().await;
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
    fn is_start_possible(&self) -> bool {
        self.player.is_idle()
            || self.queue.next_play().is_some_and(|(params, caller)| self.player.accepts_ahead(params, caller))
    }

    /// Begins the turn, if that has not happened, with a permit of the caller's semaphore.
    async fn begin(&mut self, turn: &mut Turn) {
        if turn.has_begun() {
            return;
        }
        let caller = self.caller();
        if self.caller_semaphore.0 != caller {
            self.caller_semaphore = (caller, self.circle.caller_semaphores.get(caller));
        }
        turn.begin(&self.caller_semaphore.1).await;
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
            self.calls.stop_all(StopReason::Shutdown);
            let stopped = self.player.stop(StopReason::Shutdown);
            self.handle(stopped);
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

/// Waits until the slot closes the session, or the phase or the settings of the circle have changed. Returns whether the
/// session is closed.
async fn closed_or_changed(
    slot: &Slot,
    phase: &watch::Receiver<CirclePhase>,
    settings: &watch::Receiver<Arc<Settings>>,
) -> bool {
    poll_fn(|cx| {
        let is_closed = slot.poll_session_closed(cx);
        // The channels are open, because the circle outlives its sessions.
        let has_changed = phase.has_changed().unwrap_or_default() || settings.has_changed().unwrap_or_default();
        if is_closed || has_changed { Poll::Ready(is_closed) } else { Poll::Pending }
    })
    .await
}
