//! Running inputs: the start, the output and the end of a play.

use std::{sync::Arc, time::Duration};

use client_ws::{ClientError, MissingRight, PlayEvent, PlayResult, RpcError};
use frontend::{
    error::{Caller, CliError},
    text::{self, Size, Style, StyledLine},
};
use tokio::time::Instant;

use super::{
    call::CallAttempt,
    core::Core,
    event::{DisplayKind, DisplayLines, SessionEvent},
    functions::FunctionsUpdate,
    messages,
    pending::{Purpose, Refusal, RunningFanOut, RunningInput, RunningUpdate, RunningWork},
    play::{PlayUpdate, Script},
    timing::Timing,
};
use crate::{LAST_VALUE, notebook::costs_environment, plot, truncate, value};

impl Core {
    /// Reports that an input is finished.
    pub(super) fn finish_input(&mut self) {
        self.report(SessionEvent::InputFinished);
    }

    pub(super) fn play(&mut self, script: String, purpose: Purpose) {
        self.play_script(Script { text: script, ..Script::default() }, purpose);
    }

    /// Plays a word that is a variable of the session or stands for a command.
    pub(super) fn play_word(&mut self, word: String, command: &'static str) {
        // The circle counts it like any other play.
        self.notebook.repeat_play();
        let play = Script { text: word.clone(), bind: Some(LAST_VALUE.into()), ..Script::default() };
        let work = RunningWork::Play(self.remote.clone().play(play));
        self.start(work, word, Purpose::Value);
        if let Some(running) = &mut self.work.running {
            running.word = Some(command);
        }
    }

    pub(super) fn play_script(&mut self, script: Script, purpose: Purpose) {
        let text = script.text.clone();
        self.notebook.begin_play(&text);
        let play = Script { bind: Some(LAST_VALUE.into()), ..script };
        let work = RunningWork::Play(self.remote.clone().play(play));
        self.start(work, text, purpose);
    }

    pub(super) fn play_fan_out(&mut self, fan_out: RunningFanOut, script: String) {
        self.start(RunningWork::FanOut(fan_out), script, Purpose::Value);
    }

    pub(super) fn start(&mut self, work: RunningWork, script: String, purpose: Purpose) {
        let started = Instant::now().into_std();
        self.work.running =
            Some(RunningInput { work, script, purpose, word: None, started, progress: None, cancelled: None });
    }

    /// Returns the running fan-out.
    pub(super) fn fan_out_mut(&mut self) -> Option<&mut RunningFanOut> {
        match &mut self.work.running.as_mut()?.work {
            RunningWork::FanOut(fan_out) => Some(fan_out),
            _ => None,
        }
    }

    pub(super) fn take_fan_out(&mut self) -> Option<RunningFanOut> {
        match self.work.running.take_if(|running| !running.uses_connection())?.work {
            RunningWork::FanOut(fan_out) => Some(fan_out),
            _ => None,
        }
    }

    pub(super) fn on_running_update(&mut self, update: RunningUpdate) {
        match update {
            RunningUpdate::Play(PlayUpdate::Event(event)) => self.on_play_event(event),
            RunningUpdate::Play(PlayUpdate::Ended(result)) => self.finish_play(result),
            RunningUpdate::FanOut(Some((index, event))) => self.on_fan_out_event(index, event),
            RunningUpdate::FanOut(None) => self.finish_fan_out(),
            RunningUpdate::Described(update) => self.finish_refused(*update),
        }
    }

    fn on_play_event(&mut self, event: PlayEvent) {
        match event {
            PlayEvent::Output(output) => {
                // A script that is timed prints the same at every run.
                if self.work.timing.as_ref().is_some_and(Timing::has_run) {
                    return;
                }
                self.notebook.add_print(&output.text);
                self.report(SessionEvent::Output(output, None));
            }
            PlayEvent::Progress(progress) => {
                if let Some(running) = &mut self.work.running {
                    running.progress = Some(progress);
                }
            }
            PlayEvent::EventsDropped { count } => {
                self.show(DisplayLines::warning(&messages::events_dropped(count)));
            }
            _ => {}
        }
    }

    fn finish_play(&mut self, result: Result<PlayResult, ClientError>) {
        let Some(mut running) = self.work.running.take() else { return };
        running.work = match running.work {
            RunningWork::Call(_, attempt) => match result {
                // The circle may have other functions, or other types, than the session knows.
                Err(error) if attempt.can_be_retried(&error) && running.cancelled.is_none() => {
                    let work = self.refusal(error, Some(attempt));
                    self.work.running = Some(RunningInput { work, progress: None, ..running });
                    return;
                }
                result => return self.finish_call(&attempt, running.cancelled.is_some(), result),
            },
            work => work,
        };
        match result {
            Ok(result) => {
                if !self.state().may_play() {
                    self.refresh_functions();
                }
                let result = Arc::new(result);
                let round_trip = Instant::now().into_std().saturating_duration_since(running.started);
                if running.purpose == Purpose::TimeIt {
                    return self.continue_timing(running, &result, round_trip);
                }
                if running.word.is_some() {
                    self.notebook.clear_last();
                }
                self.record_success(&running.script, result.clone(), round_trip);
                if running.purpose == Purpose::Replay {
                    return self.continue_replay();
                }
                let lines = match running.purpose {
                    Purpose::Plot => self.chart(&result),
                    Purpose::Value | Purpose::Time | Purpose::Replay | Purpose::TimeIt => {
                        value_lines(&result, self.room)
                    }
                };
                self.show(DisplayLines { lines, kind: DisplayKind::Value, result: Some(result) });
                if running.purpose == Purpose::Time {
                    self.remark_line(self.notebook.timing_line());
                }
                self.finish_on_connection(None);
            }
            Err(ClientError::Rpc(RpcError::Cancelled)) if running.cancelled.is_some() => {
                self.notebook.record_failure(&[], false);
                self.show_timing();
                self.remark(messages::CANCELLED);
                self.stop_replay(false);
                self.finish_on_connection(None);
            }
            Err(ClientError::Rpc(RpcError::Script(error)))
                if running.word.is_some()
                    && error.message == format!("Variable not found: {}", running.script.trim()) =>
            {
                self.run_command(running.word.unwrap_or_default());
                return self.start_waiting_inputs();
            }
            // The caller may have another role than the circle has described.
            Err(error) if is_missing_right(&error) && self.state().may_play() && self.has_described_rights() => {
                let work = self.refusal(error, None);
                self.work.running = Some(RunningInput { work, progress: None, ..running });
                return;
            }
            Err(error) => self.fail_play(&running.script, error),
        }
        self.finish_input();
        self.start_waiting_inputs();
    }

    /// Asks for the rights and the functions of the caller before the session reports a refusal. `call` is the refused
    /// call; `None` for a play.
    fn refusal(&self, error: ClientError, call: Option<CallAttempt>) -> RunningWork {
        RunningWork::Refused(Refusal { error, call, fetched: Box::pin(self.fetch_functions()) })
    }

    /// Handles what the circle says about the caller after it has refused a play or a call.
    fn finish_refused(&mut self, update: Result<FunctionsUpdate, ClientError>) {
        let Some(running) = self.work.running.take() else { return };
        let RunningWork::Refused(Refusal { error, call, .. }) = running.work else { return };
        if let Ok(update) = update {
            self.store_functions(update);
        }
        match call {
            Some(call) => return self.finish_refused_call(call, running.cancelled.is_some(), error),
            None => self.fail_play(&running.script, error),
        }
        self.note_rights();
        self.finish_input();
        self.start_waiting_inputs();
    }

    fn fail_play(&mut self, script: &str, error: ClientError) {
        let is_own_fault = matches!(&error, ClientError::Rpc(RpcError::Script(_) | RpcError::LimitExceeded { .. }));
        self.record_failure(script, error);
        self.work.timing = None;
        self.stop_replay(is_own_fault);
    }

    pub(super) fn record_success(&mut self, script: &str, result: Arc<PlayResult>, round_trip: Duration) {
        self.work.last_elapsed = Some(Duration::from_micros(result.elapsed_us));
        self.notebook.record_success(script, result, round_trip);
    }

    fn record_failure(&mut self, script: &str, error: ClientError) {
        let (is_lost, held) = (costs_environment(&error), self.notebook.inputs());
        if !has_started(&error) {
            self.notebook.forget_play();
        }
        if is_lost {
            self.require_init_again();
        }
        let is_connection = connection_error(&error);
        let shown = DisplayLines::error(&self.play_error(script, error), self.room.width);
        self.notebook.record_failure(&shown.lines, is_lost);
        self.show(shown);
        if is_lost {
            self.return_inputs_of_lost(held);
        }
        self.finish_on_connection(is_connection.as_ref());
    }

    /// The error of a play. For a caller who may not play, it names commands of the console.
    pub(super) fn play_error(&mut self, script: &str, error: ClientError) -> CliError {
        let may_play = self.state().may_play();
        match &error {
            ClientError::Rpc(RpcError::Forbidden { missing: Some(MissingRight::Play), .. }) if may_play => {
                // The role has changed since the circle described it.
                self.refresh_functions();
            }
            ClientError::Rpc(
                RpcError::Forbidden { missing: Some(MissingRight::Play), .. } | RpcError::Unauthenticated,
            ) if !may_play => {}
            _ => return CliError::from_play(script, &self.target, error),
        }
        let caller = self.you().map(Caller::from).unwrap_or_default();
        let key = if caller.has_key { "" } else { messages::KEY_HINT };
        let fix = format!("{}{key}", messages::CALL_HINT);
        CliError::usage(messages::PLAY_REFUSED, format!("you are {caller}"), fix)
    }

    /// Whether the circle has said what the caller may do.
    pub(super) fn has_described_rights(&self) -> bool {
        self.you().is_some_and(|you| you.may.is_some())
    }

    /// Returns the display size for full-width layouts, with the width of a usual terminal if the width is unbounded.
    pub(super) fn bounded_room(&self) -> Size {
        let bounded = |room: usize, usual| if room == usize::MAX { usual } else { room };
        Size { width: bounded(self.room.width, 80), ..self.room }
    }

    /// Plots a value, or returns why it cannot be plotted.
    pub(super) fn chart(&self, result: &PlayResult) -> Vec<StyledLine> {
        let room = self.bounded_room();
        let size = Size { height: room.height.min(plot::MAX_ROWS), ..room };
        plot::lines(result, size).unwrap_or_else(|why| text::lines(Style::Dim, &why))
    }

    pub(super) fn remark_line(&mut self, line: StyledLine) {
        self.show(DisplayLines::new(DisplayKind::Remark, vec![line]));
    }
}

/// Returns the error again if it means that the connection is lost.
pub(super) fn connection_error(error: &ClientError) -> Option<ClientError> {
    match error {
        ClientError::ConnectionLost { code, reason } => {
            Some(ClientError::ConnectionLost { code: *code, reason: reason.clone() })
        }
        ClientError::NotConnected => Some(ClientError::NotConnected),
        _ => None,
    }
}

/// Whether the circle refused a play because the caller may not play.
fn is_missing_right(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::Rpc(RpcError::Forbidden { missing: Some(MissingRight::Play), .. } | RpcError::Unauthenticated)
    )
}

/// Whether the circle may have started the play that failed, and counted it.
pub(super) fn has_started(error: &ClientError) -> bool {
    let is_refusal = matches!(
        error,
        ClientError::Rpc(
            RpcError::Busy { .. }
                | RpcError::RateLimited { .. }
                | RpcError::ShuttingDown
                | RpcError::Unauthenticated
                | RpcError::Forbidden { .. }
                | RpcError::InvalidParams { .. }
        )
    );
    !is_refusal
}

/// Formats a value, truncated to the display size.
pub(super) fn value_lines(result: &PlayResult, room: Size) -> Vec<StyledLine> {
    truncate::truncate_lines(value::format_value(result, room.width), room)
}
