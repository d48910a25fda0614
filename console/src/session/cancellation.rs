//! Cancellation: the end of what the session does before its time, and the inputs that go back to the user.

use std::time::Duration;

use client_ws::ClientError;
use tokio::time::Instant;

use super::{
    core::Core,
    event::{FanOutEvent, FanOutOutcome, SessionEvent},
    messages,
    pending::{PendingCommand, PlayKind, Purpose, RunningPart},
};
use crate::commands::ReplCommand;

/// The time within which a second cancellation gives up waiting for the end of the play.
pub const GIVE_UP_WINDOW: Duration = Duration::from_secs(2);

impl Core {
    /// Cancels the current activity. A second time soon after, gives up waiting for its end.
    pub(super) fn cancel(&mut self) {
        if let Some(running) = &mut self.work.running {
            let now = Instant::now();
            let is_second = running.cancelled.is_some_and(|before| now.duration_since(before) < GIVE_UP_WINDOW);
            running.cancelled = Some(now);
            if is_second {
                return self.stop_waiting_for_play();
            }
            running.cancel();
            // The inputs behind the init script are returned when it has ended.
            if running.purpose != Purpose::Init {
                self.return_inputs();
            }
            return;
        }
        match &self.work.pending {
            Some(PendingCommand::Init(_)) => {
                self.cancel_init();
                self.note(messages::INIT_CANCELLED);
                self.return_inputs();
                self.start_waiting_inputs();
            }
            Some(PendingCommand::Load(_) | PendingCommand::FanOut { .. }) => {
                self.abandon_pending(messages::NOT_STARTED);
            }
            Some(PendingCommand::Directory(_)) => self.abandon_pending(messages::STOPPED_WAITING),
            Some(PendingCommand::Query { command, .. }) => {
                // The circle resets the environment all the same.
                if *command == ReplCommand::Reset {
                    self.notebook.mark_lost();
                }
                self.abandon_pending(messages::STOPPED_WAITING);
            }
            // The circle is still starting; stop waiting for it.
            _ if self.is_starting() => {
                self.finish_key_command(false);
                self.return_inputs();
            }
            None if self.work.part.is_some() => self.cancel_part(),
            // A `:key` command or a queued input waits for the key.
            pending
                if self.reconnection.is_awaited
                    || self.state().is_settling() && (pending.is_some() || !self.work.waiting.is_empty()) =>
            {
                self.stop_connecting();
            }
            _ => self.return_inputs(),
        }
    }

    fn abandon_pending(&mut self, why: &str) {
        self.work.pending = None;
        self.remark(why);
        self.finish_input();
        self.return_inputs();
        self.finish_on_connection(None);
        self.start_waiting_inputs();
    }

    /// Cancels reading a file to play, because its environment is gone.
    pub(super) fn cancel_load(&mut self) {
        if self.work.pending.take_if(|pending| matches!(pending, PendingCommand::Load(_))).is_some() {
            self.remark(messages::NOT_STARTED);
            self.finish_input();
        }
    }

    fn stop_waiting_for_play(&mut self) {
        self.return_inputs();
        let Some(running) = self.work.running.take() else { return };
        if running.purpose == Purpose::Init {
            self.note(messages::INIT_GIVEN_UP);
            self.finish_on_connection(None);
            return self.start_waiting_inputs();
        }
        match running.play {
            PlayKind::Single(_) => {
                self.notebook.record_failure(&[], false);
                self.show_timing();
                self.remark(messages::GIVEN_UP);
                self.stop_replay(false);
            }
            PlayKind::FanOut(fan_out) => self.show_fan_out(fan_out),
        }
        self.finish_input();
        self.finish_on_connection(None);
    }

    /// Ends all activities without messages before the connection is closed.
    pub(super) fn detach(&mut self) {
        if let Some(running) = self.work.running.take() {
            // A fan-out would go on on the other circles.
            running.cancel();
            if running.purpose != Purpose::Init {
                self.notebook.record_failure(&[], false);
                self.work.timing = None;
                self.stop_replay(false);
                self.finish_input();
            }
        }
        self.cancel_init();
        if let Some(part) = self.init.part.take() {
            let error = self.error(ClientError::NotConnected);
            drop(tokio::spawn(part.end(FanOutEvent::Ended(FanOutOutcome::Failed(error)))));
        }
        if self.work.pending.take_if(|pending| !matches!(pending, PendingCommand::Key { .. })).is_some() {
            self.finish_input();
        }
        if let Some(RunningPart { part, .. }) = self.work.part.take() {
            let error = self.error(ClientError::NotConnected);
            drop(tokio::spawn(part.end(FanOutEvent::Ended(FanOutOutcome::Failed(error)))));
        }
    }

    /// Returns the queued inputs to the user.
    pub(super) fn return_inputs(&mut self) {
        if !self.work.waiting.is_empty() {
            let inputs = self.work.waiting.drain(..).collect();
            self.report(SessionEvent::InputsReturned(inputs));
        }
    }

    /// Returns the queued inputs with a note, because their environment is gone.
    pub(super) fn return_unplayed_inputs(&mut self) {
        if !self.work.waiting.is_empty() {
            self.note(messages::NOT_PLAYED);
            self.return_inputs();
        }
    }

    /// Returns the queued inputs if the environment that is lost had inputs.
    pub(super) fn return_inputs_of_lost(&mut self, held: usize) {
        if held > 0 {
            self.remark(&messages::lost_inputs(held));
            self.return_unplayed_inputs();
        }
    }
}
