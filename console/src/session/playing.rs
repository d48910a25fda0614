//! Inputs and plays: what waits, what runs, how it ends.

use std::{sync::Arc, time::Duration};

use client_ws::{ClientError, PlayEvent, PlayResult, RpcError};
use frontend::{
    error::CliError,
    text::{self, Size, Style, StyledLine},
};
use tokio::time::Instant;

use super::{
    awaited::{Pending, Purpose, Running, RunningPart, SeveralPlays, Update, Work},
    core::Core,
    event::{CallerIdentity, ConnectionStatus, DisplayKind, DisplayLines, FanOutEvent, FanOutOutcome, SessionEvent},
    play::{PlayUpdate, Script},
    sentences,
};
use crate::{
    LAST_VALUE,
    commands::{self, ReplCommand},
    notebook::costs_environment,
    plot, too_large, truncate, value,
};

/// Inputs that may wait.
const MAX_WAITING: usize = 64;

/// How soon a second cancellation has to come to give up waiting for the play's end.
pub const GIVE_UP_WINDOW: Duration = Duration::from_secs(2);

impl Core {
    pub(super) fn submit(&mut self, input: String) {
        let Some(input) = self.fitting(input) else { return };
        if !self.has_to_wait(&input) {
            return self.carry_out(input);
        }
        if self.work.waiting.len() == MAX_WAITING {
            self.remark(sentences::TOO_MUCH_WAITS);
            return self.report(SessionEvent::InputsReturned(vec![input]));
        }
        self.work.waiting.push_back(input);
        let is_stuck = self.login.identity == CallerIdentity::Anonymous
            && self.login.requested.is_none()
            && !self.state().is_ready()
            && self.work.pending.is_none();
        match self.connection.link {
            ConnectionStatus::Disconnected | ConnectionStatus::Connecting if self.is_expected() => {}
            ConnectionStatus::Disconnected => {
                self.reconnection.is_awaited = true;
                self.connect();
            }
            ConnectionStatus::Connecting => self.reconnection.is_awaited = true,
            ConnectionStatus::Connected if is_stuck => self.choose_key(),
            ConnectionStatus::Connected => {}
        }
    }

    /// Whether an input cannot be carried out now. What depends on what the session holds waits for the play before it.
    fn has_to_wait(&self, input: &str) -> bool {
        let is_at_work = self.work.running.is_some() || self.work.pending.is_some() || self.work.part.is_some();
        let is_ready = self.can_play();
        match input.trim().strip_prefix(':').map(ReplCommand::parse) {
            // Other circles play it, whatever this one does.
            Some(Ok(ReplCommand::FanOut { .. })) => is_at_work,
            _ if !commands::needs_circle(input) => false,
            // It may be what makes the circle ready for the others.
            Some(Ok(ReplCommand::Key(_))) => is_at_work || self.login.identity == CallerIdentity::Authenticating,
            Some(Ok(ReplCommand::Who | ReplCommand::Doc(_))) => self.work.pending.is_some() || !is_ready,
            _ => is_at_work || !is_ready,
        }
    }

    /// The input, unless it is larger than what the circle takes: it is given back then.
    fn fitting(&mut self, input: String) -> Option<String> {
        let is_fan_out =
            matches!(input.trim().strip_prefix(':').map(ReplCommand::parse), Some(Ok(ReplCommand::FanOut { .. })));
        // Each circle of a fan-out has a limit of its own.
        let circle = self.connection.circle.as_ref().filter(|_| !is_fan_out);
        let Some(why) = circle.and_then(|circle| too_large(&circle.limits, &input)) else { return Some(input) };
        self.show(DisplayLines::new(DisplayKind::Error, text::lines(Style::Plain, &why)));
        self.report(SessionEvent::InputsReturned(vec![input]));
        None
    }

    fn carry_out(&mut self, input: String) {
        self.report(SessionEvent::InputStarted(input.clone()));
        match input.trim().strip_prefix(':') {
            Some(command) => self.obey(command),
            None => self.play(input, Purpose::Value),
        }
    }

    /// Carries out what waited, as far as it can.
    pub(super) fn carry_on(&mut self) {
        while let Some(next) = self.work.waiting.pop_front() {
            // A connection that is lost is noticed; what waits is given back then.
            if self.has_to_wait(&next) || !self.remote.is_connected() {
                return self.work.waiting.push_front(next);
            }
            // It may have been typed before the circle said what it takes.
            if let Some(next) = self.fitting(next) {
                self.carry_out(next);
            }
        }
    }

    /// An input was carried out.
    pub(super) fn done(&mut self) {
        self.report(SessionEvent::InputFinished);
    }

    pub(super) fn play(&mut self, script: String, purpose: Purpose) {
        self.notebook.begin(&script);
        let play = Script { text: script.clone(), bind: Some(LAST_VALUE.into()), ..Script::default() };
        let work = Work::Play(self.remote.clone().play(play));
        self.start(work, script, purpose);
    }

    pub(super) fn play_on_several(&mut self, several: SeveralPlays, script: String) {
        self.start(Work::FanOut(several), script, Purpose::Value);
    }

    fn start(&mut self, work: Work, script: String, purpose: Purpose) {
        let started = Instant::now().into_std();
        self.work.running = Some(Running { work, script, purpose, started, progress: None, cancelled: None });
    }

    /// What runs on several circles.
    pub(super) fn several(&mut self) -> Option<&mut SeveralPlays> {
        match &mut self.work.running.as_mut()?.work {
            Work::FanOut(several) => Some(several),
            Work::Play(_) => None,
        }
    }

    pub(super) fn take_several(&mut self) -> Option<SeveralPlays> {
        match self.work.running.take_if(|running| !running.is_play())?.work {
            Work::FanOut(several) => Some(several),
            Work::Play(_) => None,
        }
    }

    pub(super) fn updated(&mut self, update: Update) {
        match update {
            Update::Play(PlayUpdate::Event(event)) => self.happened(event),
            Update::Play(PlayUpdate::Ended(result)) => self.ended(result),
            Update::FanOut(Some((index, event))) => self.one_of_several(index, event),
            Update::FanOut(None) => self.all_ended(),
        }
    }

    fn happened(&mut self, event: PlayEvent) {
        match event {
            PlayEvent::Output(output) => {
                self.notebook.printed(&output.text);
                self.report(SessionEvent::Output(output, None));
            }
            PlayEvent::Progress(progress) => {
                if let Some(running) = &mut self.work.running {
                    running.progress = Some(progress);
                }
            }
            _ => {}
        }
    }

    fn ended(&mut self, result: Result<PlayResult, ClientError>) {
        let Some(running) = self.work.running.take() else { return };
        match result {
            Ok(result) => {
                let result = Arc::new(result);
                let round_trip = Instant::now().into_std().saturating_duration_since(running.started);
                self.went_well(&running.script, result.clone(), round_trip);
                let lines = match running.purpose {
                    Purpose::Plot => self.chart(&result),
                    Purpose::Value | Purpose::Time => value_lines(&result, self.room),
                };
                self.show(DisplayLines { lines, kind: DisplayKind::Value, result: Some(result) });
                if running.purpose == Purpose::Time {
                    self.remark_line(self.notebook.time());
                }
                self.off_connection(None);
            }
            Err(ClientError::Rpc(RpcError::Cancelled)) if running.cancelled.is_some() => {
                self.notebook.went_wrong(&[], false);
                self.remark(sentences::CANCELLED);
                self.off_connection(None);
            }
            Err(error) => self.went_wrong(&running.script, error),
        }
        self.done();
        self.carry_on();
    }

    pub(super) fn went_well(&mut self, script: &str, result: Arc<PlayResult>, round_trip: Duration) {
        self.work.last_elapsed = Some(Duration::from_micros(result.elapsed_us));
        self.notebook.ended(script, result, round_trip);
    }

    fn went_wrong(&mut self, script: &str, error: ClientError) {
        let (is_lost, held) = (costs_environment(&error), self.notebook.inputs());
        let is_connection = match &error {
            ClientError::ConnectionLost { code, reason } => {
                Some(ClientError::ConnectionLost { code: *code, reason: reason.clone() })
            }
            ClientError::NotConnected => Some(ClientError::NotConnected),
            _ => None,
        };
        let shown = DisplayLines::error(&CliError::from_play(script, &self.target, error), self.room.width);
        self.notebook.went_wrong(&shown.lines, is_lost);
        self.show(shown);
        if is_lost && held > 0 {
            self.give_back_unplayed();
        }
        self.off_connection(is_connection.as_ref());
    }

    /// The room for what is laid out over all of it: that of a usual terminal, where there is no bound.
    pub(super) fn bounded_room(&self) -> Size {
        let bounded = |room: usize, usual| if room == usize::MAX { usual } else { room };
        Size { width: bounded(self.room.width, 80), ..self.room }
    }

    /// A value as a chart, or why there is none.
    pub(super) fn chart(&self, result: &PlayResult) -> Vec<StyledLine> {
        let room = self.bounded_room();
        let size = Size { height: room.height.min(plot::MAX_ROWS), ..room };
        plot::lines(result, size).unwrap_or_else(|why| text::lines(Style::Dim, &why))
    }

    /// Cancels what goes on; a second time soon after, no longer waits for its end.
    pub(super) fn cancel(&mut self) {
        if let Some(running) = &mut self.work.running {
            let now = Instant::now();
            let is_second = running.cancelled.is_some_and(|before| now.duration_since(before) < GIVE_UP_WINDOW);
            running.cancelled = Some(now);
            if is_second {
                return self.give_up();
            }
            running.cancel();
            return self.give_back();
        }
        match &self.work.pending {
            Some(Pending::Load(_) | Pending::FanOut { .. }) => self.stop_waiting(sentences::NOT_BEGUN),
            Some(Pending::Ask { command, .. }) => {
                // It is carried out all the same.
                if *command == ReplCommand::Reset {
                    self.notebook.is_lost();
                }
                self.stop_waiting(sentences::NOT_AWAITED);
            }
            // The circle is still being started; what waits for it does so no longer.
            _ if self.is_expected() => {
                self.key_command_ends(false);
                self.give_back();
            }
            None if self.work.part.is_some() => self.cancel_part(),
            // A `:key` command, or what was typed, waits for the key.
            pending
                if self.reconnection.is_awaited
                    || self.state().is_settling() && (pending.is_some() || !self.work.waiting.is_empty()) =>
            {
                self.stop_connecting();
            }
            _ => self.give_back(),
        }
    }

    fn stop_waiting(&mut self, why: &str) {
        self.work.pending = None;
        self.remark(why);
        self.done();
        self.give_back();
        self.off_connection(None);
        self.carry_on();
    }

    /// A file that is being read is not played: the environment that it was meant for is gone.
    pub(super) fn stop_loading(&mut self) {
        if self.work.pending.take_if(|pending| matches!(pending, Pending::Load(_))).is_some() {
            self.remark(sentences::NOT_BEGUN);
            self.done();
        }
    }

    fn give_up(&mut self) {
        self.give_back();
        let Some(running) = self.work.running.take() else { return };
        match running.work {
            Work::Play(_) => {
                self.notebook.went_wrong(&[], false);
                self.remark(sentences::GIVEN_UP);
            }
            Work::FanOut(several) => self.show_several(several),
        }
        self.done();
        self.off_connection(None);
    }

    /// Ends what is awaited, without a word: the connection is about to be closed.
    pub(super) fn stop_listening(&mut self) {
        if let Some(running) = self.work.running.take() {
            // What runs on others as well would go on there.
            running.cancel();
            self.notebook.went_wrong(&[], false);
            self.done();
        }
        if self.work.pending.take_if(|pending| !matches!(pending, Pending::Key { .. })).is_some() {
            self.done();
        }
        if let Some(RunningPart { part, .. }) = self.work.part.take() {
            let error = self.error(ClientError::NotConnected);
            drop(tokio::spawn(part.end(FanOutEvent::Ended(FanOutOutcome::Failed(error)))));
        }
    }

    /// Gives back what waits.
    pub(super) fn give_back(&mut self) {
        if !self.work.waiting.is_empty() {
            let inputs = self.work.waiting.drain(..).collect();
            self.report(SessionEvent::InputsReturned(inputs));
        }
    }

    /// Gives back what waits, where it is another environment that would play it.
    pub(super) fn give_back_unplayed(&mut self) {
        if !self.work.waiting.is_empty() {
            self.note(sentences::NOT_PLAYED);
            self.give_back();
        }
    }

    pub(super) fn remark_line(&mut self, line: StyledLine) {
        self.show(DisplayLines::new(DisplayKind::Remark, vec![line]));
    }
}

/// A value as lines, as much of it as finds room.
pub(super) fn value_lines(result: &PlayResult, room: Size) -> Vec<StyledLine> {
    truncate::folded(value::lines_of(result, room.width), room)
}
