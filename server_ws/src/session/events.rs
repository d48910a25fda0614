//! The handling of the player's events: replies and notifications.

use protocol::{
    RpcError,
    error::LossReason,
    message,
    methods::{Notification, Output, ResetResult, SessionReset},
};

use worker::Loss;

use super::{Session, outbound::OutboundFrame, player::PlayerEvent, queue::Job, ticket::Ticket};
use crate::conversion;

impl Session {
    /// Handles an event, if there is one.
    pub(super) fn handle(&mut self, event: Option<PlayerEvent>) {
        match event {
            None => {}
            Some(PlayerEvent::Printed(prints)) => self.notify_output(prints),
            Some(PlayerEvent::Progress(report)) => self.notify_progress(report),
            Some(PlayerEvent::PlayFinished(ticket, result)) => self.reply_play(&ticket, &result),
            Some(PlayerEvent::QueryAnswered(ticket, answer)) => self.reply_query(&ticket, answer),
            Some(PlayerEvent::WorkerNotStarted(ticket, error)) => {
                for ticket in ticket.iter().chain(&self.player.queries.take_all()) {
                    self.reply_error(ticket, &error);
                }
            }
            Some(PlayerEvent::EnvironmentLost(tickets, reason)) => self.lose_environment(&tickets, reason),
        }
    }

    /// Sends prints together, each as a message of its own.
    fn notify_output(&mut self, prints: Vec<worker::Print>) {
        let Some((play, _)) = self.player.running_play() else { return };
        let texts = prints
            .into_iter()
            .map(|print| message::notification(Output::NAME, &conversion::output(play.clone(), print)));
        let texts = texts.collect();
        self.outbox.push_back(OutboundFrame::Texts(texts));
    }

    fn notify_progress(&mut self, report: worker::ProgressReport) {
        let Some((play, started)) = self.player.running_play() else { return };
        let progress = conversion::progress(play.clone(), started, report);
        self.notify(&progress);
    }

    /// Fails the plays that the worker had, and all queued plays and queries, which depend on the lost variables.
    fn lose_environment(&mut self, tickets: &[Ticket], reason: LossReason) {
        match self.player.take_machine_loss() {
            Some((machine, Loss::Drained)) => {
                tracing::info!(%reason, machine, "environment lost: worker machine drains");
            }
            Some((machine, Loss::Unreachable)) => {
                tracing::warn!(%reason, machine, "environment lost: worker machine is out of reach");
            }
            Some((machine, _)) => tracing::warn!(%reason, machine, "environment lost"),
            None => tracing::warn!(%reason, "environment lost"),
        }
        self.circle.metrics.count_environment_loss(reason);
        let error = RpcError::EnvironmentLost { reason };
        if tickets.is_empty() {
            self.notify(&SessionReset { reason });
        }
        for ticket in tickets {
            self.reply_error(ticket, &error);
        }
        self.fail_queries(&error);
        while let Some(queued) = self.queue.dequeue() {
            match queued.job {
                Job::Play { .. } => self.reply_error(&queued.ticket, &error),
                Job::Reset => self.reply(&queued.ticket, &ResetResult { reset: true }),
            }
        }
    }

    /// Replies to all pending queries with an error.
    pub(super) fn fail_queries(&mut self, error: &RpcError) {
        for ticket in self.player.queries.take_all() {
            self.reply_error(&ticket, error);
        }
    }
}
