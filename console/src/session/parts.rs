//! One script on several circles: this session's part in one, and those that were asked of this session.

use std::{collections::VecDeque, sync::Arc};

use client_ws::{ClientError, PlayEvent, PlayResult, RpcError};
use frontend::{
    error::CliError,
    report,
    text::{Size, Style, StyledLine},
    visible::visible,
};
use tokio::time::Instant;

use super::{
    awaited::{End, PartUpdate, Pending, Running, RunningPart, SeveralPlays},
    core::Core,
    event::{ConnectionStatus, DisplayKind, DisplayLines, FanOutEvent, FanOutOutcome, FanOutRefusal, SessionEvent},
    fan_out::FanOut,
    handle::{FanOutTarget, Part},
    play::{PlayUpdate, Script},
    playing::value_lines,
    sentences,
};
use crate::{LAST_VALUE, columns, notebook::costs_environment, too_large};

/// The close code of a connection over which a message came that is too large (RFC 6455 §7.4.1).
const MESSAGE_TOO_BIG: u16 = 1009;

impl Core {
    /// Plays its part of a script that is played on several circles.
    pub(super) fn take_part(&mut self, part: Part) {
        let is_busy = self.work.part.is_some()
            || self.work.running.as_ref().is_some_and(Running::is_play)
            || matches!(self.work.pending, Some(Pending::Ask { .. } | Pending::Load(_) | Pending::Key { .. }));
        let refused = |why| Some(FanOutEvent::Refused(why));
        let end = if !self.can_play() {
            refused(if self.connection.link == ConnectionStatus::Connected {
                FanOutRefusal::NeedsKey
            } else {
                FanOutRefusal::Unreachable
            })
        } else if is_busy {
            refused(FanOutRefusal::Busy)
        } else {
            // The circle would close the connection over it, which costs the session its variables.
            let why = self.connection.circle.as_ref().and_then(|circle| too_large(&circle.limits, &part.script.text));
            let error = why.map(|reason| ClientError::ConnectionLost { code: Some(MESSAGE_TOO_BIG), reason });
            error.map(|error| FanOutEvent::Ended(FanOutOutcome::Failed(self.error(error))))
        };
        if let Some(end) = end {
            // Whoever listens may pause, which is to hold up nothing here.
            drop(tokio::spawn(part.end(end)));
            return;
        }
        self.notebook.begin(&part.script.text);
        let play = Some(self.remote.clone().play(part.script.clone()));
        let (started, outbox) = (Instant::now(), VecDeque::new());
        self.work.part = Some(RunningPart { part, play, is_cancelled: false, started, outbox });
    }

    pub(super) fn part_updated(&mut self, update: PartUpdate) {
        let Some(running) = &mut self.work.part else { return };
        match update {
            PartUpdate::Play(PlayUpdate::Event(PlayEvent::Output(output))) => {
                self.notebook.printed(&output.text);
                running.outbox.push_back(FanOutEvent::Output(output));
            }
            PartUpdate::Play(PlayUpdate::Event(_)) => {}
            PartUpdate::Play(PlayUpdate::Ended(result)) => self.part_ended(result),
            PartUpdate::Cancelled => self.cancel_part(),
            PartUpdate::Reported(true) if running.play.is_some() || !running.outbox.is_empty() => {}
            PartUpdate::Reported(_) => {
                let Some(RunningPart { play, part, .. }) = self.work.part.take() else { return };
                if let Some(play) = play {
                    self.notebook.went_wrong(&[], false);
                    // Whoever cancelled it need not have waited for its end.
                    if *part.cancelled.borrow() {
                        play.cancel();
                        drop(tokio::spawn(play.end()));
                    }
                }
                self.off_connection(None);
                self.carry_on();
            }
        }
    }

    /// Cancels this session's part, whoever wants that.
    pub(super) fn cancel_part(&mut self) {
        if let Some(running) = &mut self.work.part {
            running.is_cancelled = true;
            if let Some(play) = &running.play {
                play.cancel();
            }
        }
        self.give_back();
    }

    fn part_ended(&mut self, result: Result<PlayResult, ClientError>) {
        let Some(mut running) = self.work.part.take() else { return };
        running.play = None;
        let script = running.part.script.text.clone();
        let mut lost = None;
        let outcome = match result {
            Ok(result) => {
                let result = Arc::new(result);
                self.went_well(&script, result.clone(), running.started.elapsed());
                FanOutOutcome::Value(result)
            }
            Err(ClientError::Rpc(RpcError::Cancelled)) if running.is_cancelled => {
                self.notebook.went_wrong(&[], false);
                FanOutOutcome::Cancelled
            }
            Err(error) => {
                let (is_lost, held) = (costs_environment(&error), self.notebook.inputs());
                if matches!(error, ClientError::ConnectionLost { .. } | ClientError::NotConnected) {
                    lost = Some(ClientError::NotConnected);
                }
                let error = CliError::from_play(&script, &self.target, error);
                self.notebook.went_wrong(&error.lines(self.room.width), is_lost);
                if is_lost && held > 0 {
                    self.give_back_unplayed();
                }
                FanOutOutcome::Failed(error)
            }
        };
        self.off_connection(lost.as_ref());
        running.outbox.push_back(FanOutEvent::Ended(outcome));
        self.work.part = Some(running);
    }

    pub(super) fn begin_fan_out(&mut self, targets: Vec<FanOutTarget>, script: String) {
        let play = Script { text: script.clone(), bind: Some(LAST_VALUE.into()), ..Script::default() };
        let plays = FanOut::start(&targets, &play);
        let labels: Vec<Arc<str>> = targets.into_iter().map(|target| target.label.into()).collect();
        let ends = labels.iter().map(|_| End::NotYet).collect();
        self.play_on_several(SeveralPlays { plays, labels, ends }, script);
    }

    pub(super) fn one_of_several(&mut self, index: usize, event: FanOutEvent) {
        let Some(several) = self.several() else { return };
        let (Some(label), Some(end)) = (several.labels.get(index).cloned(), several.ends.get_mut(index)) else {
            return;
        };
        match event {
            FanOutEvent::Output(output) => self.report(SessionEvent::Output(output, Some(label))),
            FanOutEvent::Ended(outcome) => *end = End::Ended(outcome),
            FanOutEvent::Refused(why) => {
                *end = End::Refused;
                let line = StyledLine::of(Style::Error, "error: ")
                    .with(Style::Plain, &format!("{}: {}", visible(&label), sentences::refusal(why, &label)));
                self.show(DisplayLines::new(DisplayKind::Error, vec![line]));
            }
        }
    }

    pub(super) fn all_ended(&mut self) {
        if let Some(several) = self.take_several() {
            self.show_several(several);
            self.done();
            self.carry_on();
        }
    }

    /// What several circles answered, side by side.
    pub(super) fn show_several(&mut self, several: SeveralPlays) {
        let SeveralPlays { labels, ends, .. } = several;
        let ends: Vec<_> = labels.into_iter().zip(ends).filter(|(_, end)| !matches!(end, End::Refused)).collect();
        if ends.is_empty() {
            return;
        }
        let all = self.bounded_room();
        let width = columns::columns(ends.len(), all.width).unwrap_or(all.width);
        let room = Size { width, height: all.height.saturating_sub(1) };
        let mut shown = Vec::new();
        for (label, end) in ends {
            let lines = match end {
                End::Ended(FanOutOutcome::Value(result)) => value_lines(&result, room),
                End::Ended(FanOutOutcome::Failed(error)) => error.lines(width),
                End::Ended(FanOutOutcome::Cancelled) => report::cancelled_lines(),
                End::NotYet | End::Refused => report::given_up_lines(),
            };
            shown.push((label.to_string(), lines));
        }
        let lines = columns::lines(&shown, all.width);
        self.show(DisplayLines::new(DisplayKind::Value, lines));
    }
}
