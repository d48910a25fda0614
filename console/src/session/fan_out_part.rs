//! Fan-outs: this session's part in a fan-out, and the fan-outs that this session started.

use std::{collections::VecDeque, sync::Arc};

use client_ws::{ClientError, Id, Output, OutputStream, PlayEvent, PlayResult, RpcError};
use frontend::{
    error::CliError,
    report,
    text::{Size, Style, StyledLine},
    visible::visible,
};
use tokio::time::Instant;

use super::{
    core::Core,
    event::{ConnectionStatus, DisplayKind, DisplayLines, FanOutEvent, FanOutOutcome, FanOutRefusal, SessionEvent},
    fan_out::FanOut,
    handle::{FanOutPart, FanOutTarget},
    inputs::{has_started, value_lines},
    messages,
    pending::{FanOutState, PartUpdate, PendingCommand, RunningFanOut, RunningInput, RunningPart},
    play::{PlayUpdate, Script},
};
use crate::{LAST_VALUE, columns, message_size_error, notebook::costs_environment};

/// The close code for a message that is too large (RFC 6455 §7.4.1).
const MESSAGE_TOO_BIG: u16 = 1009;

impl Core {
    /// Starts this session's part of a fan-out.
    pub(super) fn start_part(&mut self, part: FanOutPart) {
        if *part.cancelled.borrow() {
            drop(tokio::spawn(part.end(FanOutEvent::Ended(FanOutOutcome::Cancelled))));
            return;
        }
        self.start_init();
        if self.is_playing_init() && self.init.part.is_none() {
            self.init.part = Some(part);
            return;
        }
        let is_busy = self.work.part.is_some()
            || self.is_playing_init()
            || self.work.running.as_ref().is_some_and(RunningInput::uses_connection)
            || matches!(
                self.work.pending,
                Some(
                    PendingCommand::Query { .. }
                        | PendingCommand::Rights { .. }
                        | PendingCommand::Load(_)
                        | PendingCommand::Key { .. }
                )
            );
        let refused = |why| Some(FanOutEvent::Refused(why));
        let end = if !self.is_ready() {
            refused(if self.connection.status == ConnectionStatus::Connected {
                FanOutRefusal::NeedsKey
            } else {
                FanOutRefusal::Unreachable
            })
        } else if is_busy {
            refused(FanOutRefusal::Busy)
        } else {
            // The circle would close the connection, and the session would lose its variables.
            let why = self
                .connection
                .circle
                .as_ref()
                .and_then(|circle| message_size_error(&circle.limits, &part.script.text));
            let error = why.map(|reason| ClientError::ConnectionLost { code: Some(MESSAGE_TOO_BIG), reason });
            error.map(|error| FanOutEvent::Ended(FanOutOutcome::Failed(self.error(error))))
        };
        if let Some(end) = end {
            // In a task, because a slow receiver must not delay this session.
            drop(tokio::spawn(part.end(end)));
            return;
        }
        self.notebook.begin_play(&part.script.text);
        let play = Some(self.remote.clone().play(part.script.clone()));
        let (started, outbox) = (Instant::now(), VecDeque::new());
        self.work.part = Some(RunningPart { part, play, is_cancelled: false, started, outbox });
    }

    pub(super) fn on_part_update(&mut self, update: PartUpdate) {
        let Some(running) = &mut self.work.part else { return };
        match update {
            PartUpdate::Play(PlayUpdate::Event(PlayEvent::Output(output))) => {
                self.notebook.add_print(&output.text);
                running.outbox.push_back(FanOutEvent::Output(output));
            }
            PartUpdate::Play(PlayUpdate::Event(PlayEvent::EventsDropped { count })) => {
                let (play, text) = (Id::number(0), messages::events_dropped(count));
                let output = Output { play, stream: OutputStream::Debug, text, position: None };
                running.outbox.push_back(FanOutEvent::Output(output));
            }
            PartUpdate::Play(PlayUpdate::Event(_)) => {}
            PartUpdate::Play(PlayUpdate::Ended(result)) => self.finish_part(result),
            PartUpdate::Cancelled => self.cancel_part(),
            PartUpdate::Reported(true) if running.play.is_some() || !running.outbox.is_empty() => {}
            PartUpdate::Reported(_) => {
                let Some(RunningPart { play, part, .. }) = self.work.part.take() else { return };
                if let Some(play) = play {
                    self.notebook.record_failure(&[], false);
                    // The fan-out may have been dropped before the play ended.
                    if *part.cancelled.borrow() {
                        play.cancel();
                        drop(tokio::spawn(play.wait_for_end()));
                    }
                }
                self.finish_on_connection(None);
                self.start_waiting_inputs();
            }
        }
    }

    /// Cancels this session's part.
    pub(super) fn cancel_part(&mut self) {
        if let Some(running) = &mut self.work.part {
            running.is_cancelled = true;
            if let Some(play) = &running.play {
                play.cancel();
            }
        }
        self.return_inputs();
    }

    fn finish_part(&mut self, result: Result<PlayResult, ClientError>) {
        let Some(mut running) = self.work.part.take() else { return };
        running.play = None;
        let script = running.part.script.text.clone();
        let mut lost = None;
        let outcome = match result {
            Ok(result) => {
                let result = Arc::new(result);
                self.record_success(&script, result.clone(), running.started.elapsed());
                FanOutOutcome::Value(result)
            }
            Err(ClientError::Rpc(RpcError::Cancelled)) if running.is_cancelled => {
                self.notebook.record_failure(&[], false);
                FanOutOutcome::Cancelled
            }
            Err(error) => {
                let (is_lost, held) = (costs_environment(&error), self.notebook.inputs());
                if !has_started(&error) {
                    self.notebook.forget_play();
                }
                if matches!(error, ClientError::ConnectionLost { .. } | ClientError::NotConnected) {
                    lost = Some(ClientError::NotConnected);
                }
                let error = if running.part.is_for_console {
                    self.play_error(&script, error)
                } else {
                    CliError::from_play(&script, &self.target, error)
                };
                self.notebook.record_failure(&error.lines(self.room.width), is_lost);
                if is_lost {
                    self.require_init_again();
                }
                if is_lost && held > 0 {
                    self.return_unplayed_inputs();
                }
                FanOutOutcome::Failed(error)
            }
        };
        self.finish_on_connection(lost.as_ref());
        running.outbox.push_back(FanOutEvent::Ended(outcome));
        self.work.part = Some(running);
    }

    pub(super) fn begin_fan_out(&mut self, targets: Vec<FanOutTarget>, script: String) {
        let play = Script { text: script.clone(), bind: Some(LAST_VALUE.into()), ..Script::default() };
        let plays = FanOut::start_for_console(&targets, &play);
        let labels: Vec<Arc<str>> = targets.into_iter().map(|target| target.label.into()).collect();
        let ends = labels.iter().map(|_| FanOutState::Running).collect();
        self.play_fan_out(RunningFanOut { plays, labels, states: ends }, script);
    }

    pub(super) fn on_fan_out_event(&mut self, index: usize, event: FanOutEvent) {
        let Some(fan_out) = self.fan_out_mut() else { return };
        let (Some(label), Some(end)) = (fan_out.labels.get(index).cloned(), fan_out.states.get_mut(index)) else {
            return;
        };
        match event {
            FanOutEvent::Output(output) => self.report(SessionEvent::Output(output, Some(label))),
            FanOutEvent::Ended(outcome) => *end = FanOutState::Ended(outcome),
            FanOutEvent::Refused(why) => {
                *end = FanOutState::Refused;
                let line = StyledLine::of(Style::Error, "error: ")
                    .with(Style::Plain, &format!("{}: {}", visible(&label), messages::refusal(why, &label)));
                self.show(DisplayLines::new(DisplayKind::Error, vec![line]));
            }
        }
    }

    pub(super) fn finish_fan_out(&mut self) {
        if let Some(fan_out) = self.take_fan_out() {
            self.show_fan_out(fan_out);
            self.finish_input();
            self.start_waiting_inputs();
        }
    }

    /// Shows the answers of a fan-out side by side.
    pub(super) fn show_fan_out(&mut self, fan_out: RunningFanOut) {
        let RunningFanOut { labels, states: ends, .. } = fan_out;
        let ends: Vec<_> =
            labels.into_iter().zip(ends).filter(|(_, end)| !matches!(end, FanOutState::Refused)).collect();
        if ends.is_empty() {
            return;
        }
        let all = self.bounded_room();
        let width = columns::column_width(ends.len(), all.width).unwrap_or(all.width);
        let room = Size { width, height: all.height.saturating_sub(1) };
        let mut shown = Vec::new();
        for (label, end) in ends {
            let lines = match end {
                FanOutState::Ended(FanOutOutcome::Value(result)) => value_lines(&result, room),
                FanOutState::Ended(FanOutOutcome::Failed(error)) => error.lines(width),
                FanOutState::Ended(FanOutOutcome::Cancelled) => report::cancelled_lines(),
                FanOutState::Running | FanOutState::Refused => report::given_up_lines(),
            };
            shown.push((label.to_string(), lines));
        }
        let lines = columns::lines(&shown, all.width);
        self.show(DisplayLines::new(DisplayKind::Value, lines));
    }
}
