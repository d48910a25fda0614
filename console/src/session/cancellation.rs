//! Cancellation: the end of what the session does before its time, and the inputs that go back to the user.

use std::time::Duration;

use client_ws::ClientError;
use tokio::time::Instant;

use super::{
    core::Core,
    event::{FanOutEvent, FanOutOutcome, SessionEvent},
    messages,
    pending::{PendingCommand, Refusal, RunningPart, RunningWork},
};
use crate::commands::ReplCommand;

/// The time within which a second cancellation gives up waiting for the end of the play.
pub const GIVE_UP_WINDOW: Duration = Duration::from_secs(2);

/// Whether a cancellation follows the one before so soon that the user gives up waiting.
pub(super) fn is_second_cancellation(before: Option<Instant>, now: Instant) -> bool {
    before.is_some_and(|before| now.duration_since(before) < GIVE_UP_WINDOW)
}

impl Core {
    /// Cancels the current activity. A second time soon after, gives up waiting for its end.
    pub(super) fn cancel(&mut self) {
        if let Some(running) = &mut self.work.running {
            let now = Instant::now();
            let is_second = is_second_cancellation(running.cancelled, now);
            running.cancelled = Some(now);
            running.cancel();
            // The part of a fan-out may wait for the init script.
            let is_init_ended = self.cancel_init();
            if is_second {
                self.stop_waiting_for_play();
            } else {
                self.return_inputs();
            }
            if is_init_ended {
                self.start_waiting_inputs();
            }
            return;
        }
        if self.is_playing_init() {
            let is_init_ended = self.cancel_init();
            // The inputs behind the script are returned when it has ended.
            if self.work.pending.is_none() {
                if is_init_ended {
                    self.start_waiting_inputs();
                }
                return;
            }
        }
        match &self.work.pending {
            Some(PendingCommand::Load(_) | PendingCommand::Rights { .. } | PendingCommand::FanOut { .. }) => {
                self.abandon_pending(messages::NOT_STARTED);
            }
            Some(PendingCommand::Call { .. }) => self.abandon_pending(messages::NOT_CALLED),
            Some(PendingCommand::Watch(_)) => self.abandon_pending(messages::STOPPED_WATCHING),
            Some(PendingCommand::Directory(_) | PendingCommand::Functions { .. }) => {
                self.abandon_pending(messages::STOPPED_WAITING);
            }
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

    /// Cancels an input that waits for its file or for the right to play, because its environment is gone.
    pub(super) fn cancel_load(&mut self) {
        let is_play =
            |pending: &mut PendingCommand| matches!(pending, PendingCommand::Load(_) | PendingCommand::Rights { .. });
        if self.work.pending.take_if(is_play).is_some() {
            self.remark(messages::NOT_STARTED);
            self.finish_input();
        }
    }

    fn stop_waiting_for_play(&mut self) {
        self.return_inputs();
        let Some(running) = self.work.running.take() else { return };
        match running.work {
            RunningWork::Play(_) | RunningWork::Refused(Refusal { call: None, .. }) => {
                self.notebook.record_failure(&[], false);
                self.show_timing();
                self.remark(messages::GIVEN_UP);
                self.stop_replay(false);
            }
            RunningWork::Call(..) | RunningWork::Refused(_) => self.remark(messages::CALL_GIVEN_UP),
            RunningWork::FanOut(fan_out) => self.show_fan_out(fan_out),
        }
        self.finish_input();
        self.finish_on_connection(None);
    }

    /// Ends all activities without messages before the connection is closed.
    pub(super) fn detach(&mut self) {
        if let Some(mut running) = self.work.running.take() {
            // A fan-out would go on on the other circles.
            running.cancel();
            if !matches!(running.work, RunningWork::Call(..) | RunningWork::Refused(Refusal { call: Some(_), .. })) {
                self.notebook.record_failure(&[], false);
            }
            self.work.timing = None;
            self.stop_replay(false);
            self.finish_input();
        }
        self.init.detach();
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
