//! One task a connection: its queue, its worker, its timers, and the outcome of each play.
//!
//! What is to be sent waits in the outbox, and nothing new is taken while it is not empty: neither a message of the
//! client nor a print of the worker. So a client that does not read holds up its own plays and costs a bounded amount
//! of memory, while its deadlines go on being kept here.

pub(crate) mod batches;
pub(crate) mod outbound;
mod pending_queries;
mod player;
pub(crate) mod queue;
mod replies;

use std::{collections::VecDeque, net::IpAddr, sync::Arc, time::Duration};

use bytestring::ByteString;
use keys::Authority;
use protocol::{
    Id, RpcError,
    error::LossReason,
    methods::{self, Access, ResetResult},
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use worker::Query;

use crate::{
    auth::Authenticator,
    circle::{Circle, Phase, SessionGuard, SessionLimits},
    conversion,
    metrics::SessionCounts,
    rpc,
};
use batches::{Answers, Ticket};
use outbound::{Frame, Sender};
use player::{Ending, Happened, Player};
use queue::{Job, Queue, Waiting};

/// A client that has said nothing for so long is asked for a sign of life, and is gone after as long again.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// How long a client may take to answer a close.
const LINGER: Duration = Duration::from_secs(1);

/// What comes from the connection. When the channel closes, the client is gone.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// One text message.
    Text(ByteString),
    /// A sign of life.
    Alive,
    /// The client broke the WebSocket's rules and is to be told so.
    Violation {
        /// RFC 6455 §7.4.
        code: u16,
        /// For a person.
        reason: &'static str,
    },
}

pub(crate) struct Session {
    pub(crate) circle: Arc<Circle>,
    /// The limits of the connection; an environment has its own.
    pub(crate) limits: Arc<SessionLimits>,
    pub(crate) auth: Authenticator,
    pub(crate) answers: Answers,
    pub(crate) counts: SessionCounts,
    queue: Queue,
    pub(crate) player: Player,
    outbound: Sender,
    outbox: VecDeque<Frame>,
    /// Set once the connection is to be closed; what is in the outbox still goes out.
    closing: Option<(u16, &'static str)>,
    last_heard: Instant,
    was_pinged: bool,
    /// Tells it apart.
    number: u64,
    address: IpAddr,
    _counted: SessionGuard,
}

impl Session {
    /// `number` tells it apart.
    pub(crate) fn new(
        circle: Arc<Circle>,
        limits: Arc<SessionLimits>,
        number: u64,
        authority: Authority,
        address: IpAddr,
        outbound: Sender,
    ) -> Self {
        Self {
            auth: Authenticator::new(authority),
            answers: Answers::new(limits.values.output_kib),
            counts: SessionCounts::connected(circle.metrics.clone()),
            queue: Queue::new(&limits.values),
            player: Player::new(circle.clone(), limits.clone(), number, address),
            outbound,
            outbox: VecDeque::new(),
            closing: None,
            last_heard: Instant::now(),
            was_pinged: false,
            number,
            address,
            _counted: circle.count_session(),
            limits,
            circle,
        }
    }

    /// Lives until the client is gone, the connection is closed or the circle ends. What it leaves is dropped: its worker
    /// is killed, its plays are over.
    pub(crate) async fn run(mut self, mut inbound: mpsc::Receiver<Inbound>) {
        tracing::debug!("connected");
        let mut phase = self.circle.phase.subscribe();
        let mut settings = self.circle.settings.subscribe();
        while self.closing.is_none() {
            self.start_next();
            let is_heard = self.outbox.is_empty();
            let idle = self.idle_until().filter(|_| is_heard);
            let player = [self.player.next_tick(is_heard), self.player.next_weighing()];
            let tick = player.into_iter().chain([self.player.inquiries.next_deadline(), idle]);
            let tick = tick.flatten().min();
            let ping = self.last_heard + PING_INTERVAL;
            tokio::select! {
                room = async { self.outbound.room_for(&self.outbox[0]).await }, if !is_heard => {
                    let Ok(room) = room else { return };
                    if let Some(frame) = self.outbox.pop_front() {
                        room.send(frame);
                    }
                    self.last_heard = Instant::now();
                }
                arrived = inbound.recv(), if is_heard => {
                    let Some(arrived) = arrived else { return };
                    self.arrived(arrived);
                }
                happened = self.player.happened(), if is_heard || self.player.is_ending() => self.digest(happened),
                () = sleep_until(tick.unwrap_or(ping)), if tick.is_some() => {
                    let now = Instant::now();
                    let overdue = self.player.inquiries.overdue(now);
                    for (ticket, error) in self.player.tick(now).into_iter().chain(overdue) {
                        self.refuse(&ticket, &error);
                    }
                    if let Some(lost) = self.player.weigh(now) {
                        self.digest(lost);
                    }
                    if idle.is_some_and(|idle| idle <= now) {
                        self.lose_idle();
                    }
                }
                () = sleep_until(ping), if is_heard => {
                    if self.was_pinged {
                        tracing::info!("the client gives no sign of life");
                        return;
                    }
                    self.was_pinged = true;
                    self.last_heard = Instant::now();
                    self.outbox.push_back(Frame::Ping);
                }
                // What it means is looked at below, whatever ended this turn.
                Ok(()) = phase.changed() => {}
                Ok(()) = settings.changed() => settings.mark_changed(),
            }
            // Before anything is begun that has just arrived.
            if settings.has_changed().is_ok_and(|has_changed| has_changed) {
                settings.mark_unchanged();
                self.stay_admitted();
            }
            let phase = *phase.borrow_and_update();
            self.follow(phase);
            if phase != Phase::Open && self.player.is_idle() && self.outbox.is_empty() {
                self.close(1001, "the circle is shutting down");
            }
        }
        self.say_goodbye(inbound).await;
    }

    async fn say_goodbye(mut self, mut inbound: mpsc::Receiver<Inbound>) {
        self.player.give_up();
        self.give_up_inquiries(&RpcError::EnvironmentLost { reason: LossReason::Killed });
        if let Some((code, reason)) = self.closing {
            self.outbox.push_back(Frame::Close(code, reason));
        }
        let flush = async {
            for frame in self.outbox {
                let Ok(room) = self.outbound.room_for(&frame).await else { return };
                room.send(frame);
            }
            // The client closes in turn; a socket that is closed before could take back what was just sent.
            while inbound.recv().await.is_some() {}
        };
        if timeout(LINGER, flush).await.is_err() {
            tracing::debug!("the client did not answer the close");
        }
    }

    fn arrived(&mut self, arrived: Inbound) {
        self.last_heard = Instant::now();
        self.was_pinged = false;
        match arrived {
            Inbound::Text(text) => rpc::receive(self, &text),
            Inbound::Alive => {}
            Inbound::Violation { code, reason } => self.close(code, reason),
        }
    }

    fn digest(&mut self, happened: Happened) {
        match happened {
            Happened::Nothing => {}
            Happened::Printed(print) => {
                if let Some((play, _)) = self.player.reported() {
                    let output = methods::Output {
                        play: play.clone(),
                        stream: conversion::stream(print.stream),
                        text: print.text,
                        position: print.position.map(conversion::position),
                    };
                    self.notify(&output);
                }
            }
            Happened::Progress(report) => {
                if let Some((play, started)) = self.player.reported() {
                    let (done, total, text) = match report.script {
                        Some(script) => (Some(script.done), Some(script.total), script.text),
                        None => (None, None, None),
                    };
                    let progress = methods::Progress {
                        play: play.clone(),
                        elapsed_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
                        operations: report.operations,
                        done,
                        total,
                        text,
                    };
                    self.notify(&progress);
                }
            }
            Happened::Ended(ticket, result) => {
                match &result {
                    Ok(result) => tracing::info!(elapsed_us = result.elapsed_us, "play ok"),
                    Err(error) => tracing::info!(code = error.code(), "play ended"),
                }
                self.answer_play(&ticket, &result);
            }
            Happened::Answered(ticket, answer) => self.reply_query(&ticket, answer),
            Happened::NotStarted(ticket, error) => {
                for ticket in ticket.iter().chain(&self.player.inquiries.give_up()) {
                    self.refuse(ticket, &error);
                }
            }
            Happened::Lost(ticket, reason) => self.lost(ticket, reason),
        }
    }

    /// The play that ran and those that were sent to the same state are lost with it.
    fn lost(&mut self, ticket: Option<Ticket>, reason: LossReason) {
        tracing::warn!(%reason, "an environment is lost");
        self.circle.metrics.environment_lost(reason);
        let error = RpcError::EnvironmentLost { reason };
        match ticket {
            Some(ticket) => self.refuse(&ticket, &error),
            None => self.notify(&methods::SessionReset { reason }),
        }
        self.give_up_inquiries(&error);
        while let Some(waiting) = self.queue.pop() {
            match waiting.job {
                Job::Play { .. } => self.refuse(&waiting.ticket, &error),
                Job::Reset => self.answer(&waiting.ticket, &ResetResult { reset: true }),
            }
        }
    }

    /// When an anonymous session that does nothing gives its worker back. Who has proved a key keeps theirs.
    fn idle_until(&self) -> Option<Instant> {
        self.player.idle_until(self.player.limits().values.idle_s.filter(|_| self.auth.identity().is_none()))
    }

    fn lose_idle(&mut self) {
        tracing::info!("an idle environment is given up");
        self.circle.metrics.environment_lost(LossReason::Idle);
        self.player.reset();
        self.notify(&methods::SessionReset { reason: LossReason::Idle });
    }

    /// Begins what waits, once what was before it has been told.
    fn start_next(&mut self) {
        while self.outbox.is_empty() && self.player.is_idle() {
            // What was asked of an environment is answered from it.
            if self.queue.is_reset_next() && self.player.inquiries.is_waited_for() {
                return;
            }
            let Some(Waiting { ticket, job }) = self.queue.pop() else { return };
            match job {
                Job::Reset => {
                    self.player.reset();
                    // Those that remain were told before that they take too long.
                    drop(self.player.inquiries.give_up());
                    self.answer(&ticket, &ResetResult { reset: true });
                }
                Job::Play { params, caller } => {
                    if let Err((ticket, error)) = self.player.begin(ticket, params, caller) {
                        self.refuse(&ticket, &error);
                    }
                }
            }
        }
    }

    fn follow(&mut self, phase: Phase) {
        if phase >= Phase::Draining {
            while let Some(waiting) = self.queue.pop() {
                self.refuse(&waiting.ticket, &RpcError::ShuttingDown);
            }
            for ticket in self.player.inquiries.dismiss() {
                self.refuse(&ticket, &RpcError::ShuttingDown);
            }
        }
        if phase == Phase::Ending
            && let Some((ticket, error)) = self.player.stop(Ending::Shutdown)
        {
            self.refuse(&ticket, &error);
        }
    }

    /// Closes the connection of whoever is no member any more.
    fn stay_admitted(&mut self) {
        if self.auth.identity().is_some_and(|key| !self.circle.admits(&key)) {
            self.close(1008, "the key is no longer a member of this circle");
        }
    }

    /// Whether this session may call protected methods.
    pub(crate) fn is_admitted(&self) -> bool {
        self.circle.access == Access::Open || self.auth.identity().is_some()
    }

    /// Whether a play with that id is not answered yet.
    pub(crate) fn has_play(&self, id: &Id) -> bool {
        self.player.runs(id) || self.queue.has_play(id) || self.answers.hold_play(id)
    }

    /// Admits a play or a reset to the queue.
    pub(crate) fn enqueue(&mut self, ticket: Ticket, job: Job) {
        if self.circle.is_draining() {
            return self.refuse(&ticket, &RpcError::ShuttingDown);
        }
        if let Err((ticket, error)) = self.queue.push(ticket, job, self.player.is_idle()) {
            self.refuse(&ticket, &error);
        }
    }

    /// Asks the worker something; it is answered beside the plays.
    pub(crate) fn inquire(&mut self, ticket: Ticket, query: Query) {
        if !ticket.is_answered {
            return;
        }
        if self.circle.is_draining() {
            return self.refuse(&ticket, &RpcError::ShuttingDown);
        }
        if let Err(error) = self.player.prepare(self.auth.identity()) {
            return self.refuse(&ticket, &error);
        }
        match self.player.inquiries.admit(ticket, query, Instant::now()) {
            Ok(()) => self.player.send(),
            Err((ticket, error)) => self.refuse(&ticket, &error),
        }
    }

    fn give_up_inquiries(&mut self, error: &RpcError) {
        for ticket in self.player.inquiries.give_up() {
            self.refuse(&ticket, error);
        }
    }

    /// Ends a play that runs or waits; false if it had ended, is ending for another reason, or never was.
    pub(crate) fn cancel(&mut self, play: &Id) -> bool {
        if self.player.runs(play) {
            if let Some((ticket, error)) = self.player.stop(Ending::Cancelled) {
                self.refuse(&ticket, &error);
                return true;
            }
            return self.player.ending() == Some(Ending::Cancelled);
        }
        let Some(waiting) = self.queue.remove_play(play) else { return false };
        self.refuse(&waiting.ticket, &RpcError::Cancelled);
        true
    }
}
