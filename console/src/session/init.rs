//! The user's init script: the first play of each environment of the session. It is no input: the session shows its
//! prints and errors only, and neither the history nor the notebook keeps it.

use std::path::PathBuf;

use client_ws::{ClientError, PlayEvent, PlayResult, RpcError};
use frontend::{error::CliError, quantity, script};
use protocol::methods::Progress;
use tokio::time::Instant;

use super::{
    cancellation::is_second_cancellation,
    core::Core,
    event::{DisplayLines, FanOutEvent, FanOutRefusal, PlaySnapshot, SessionEvent},
    handle::FanOutPart,
    inputs::{connection_error, has_started},
    messages,
    pending::{BlockingResult, PendingCommand, RunningInput, finished},
    play::{PlayUpdate, RunningRequest, Script},
};
use crate::{commands, message_size_error, notebook::costs_environment};

/// The init script of the session.
#[derive(Default)]
pub(super) struct UserInit {
    /// The file, if the user wants one.
    pub(super) file: Option<PathBuf>,
    pub(super) state: InitState,
    /// The script, while the session reads or plays it. The inputs and the part of a fan-out wait meanwhile. A fan-out
    /// that this session started goes on.
    pub(super) work: Option<InitWork>,
    /// A part of a fan-out that waits for the end of the script.
    pub(super) part: Option<FanOutPart>,
}

/// An init script that the session reads or plays.
pub(super) enum InitWork {
    /// The session reads the file; the result is `None` if there is no file.
    Reading(BlockingResult<Option<Script>>),
    Playing(InitPlay),
}

/// A play of the init script.
pub(super) struct InitPlay {
    play: RunningRequest,
    script: String,
    started: Instant,
    progress: Option<Progress>,
    cancelled: Option<Instant>,
}

/// An update of the init script.
pub(super) enum InitUpdate {
    Read(Result<Option<Script>, CliError>),
    Play(PlayUpdate),
}

impl InitWork {
    /// Waits for the next update. Cancel safe.
    pub(super) async fn next(work: &mut Option<Self>) -> InitUpdate {
        match work {
            Some(Self::Reading(read)) => InitUpdate::Read(finished(read).await),
            Some(Self::Playing(InitPlay { play, .. })) => InitUpdate::Play(play.next().await),
            None => std::future::pending().await,
        }
    }
}

impl InitUpdate {
    pub(super) fn is_output(&self) -> bool {
        matches!(self, Self::Play(PlayUpdate::Event(PlayEvent::Output(_))))
    }
}

impl UserInit {
    /// Whether the session reads the script.
    pub(super) fn is_reading(&self) -> bool {
        matches!(self.work, Some(InitWork::Reading(_)))
    }

    /// Whether the session plays the script.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.work, Some(InitWork::Playing(_)))
    }

    /// Returns the state of the play, if the session plays the script.
    pub(super) fn snapshot(&self) -> Option<PlaySnapshot> {
        let Some(InitWork::Playing(init)) = &self.work else { return None };
        let (started, cancelled) = (init.started.into_std(), init.cancelled.map(Instant::into_std));
        Some(PlaySnapshot { started, progress: init.progress.clone(), cancelled })
    }

    /// Stops reading the script, because its environment is gone.
    pub(super) fn stop_reading(&mut self) {
        self.work.take_if(|work| matches!(work, InitWork::Reading(_)));
    }

    /// Cancels the script without messages.
    pub(super) fn detach(&mut self) {
        if let Some(InitWork::Playing(init)) = self.work.take() {
            init.play.cancel();
        }
    }
}

/// What the session has to do with the init script.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum InitState {
    /// Nothing: the environment has it.
    #[default]
    Done,
    /// Play it as soon as possible.
    Due,
    /// Play it before the next input: a lost environment that nobody uses should stay gone.
    DueBeforeInput,
    /// Nothing until there is a new connection or a reset: the script has cost the environment.
    Disabled,
}

impl Core {
    /// Records that the environment is new, and empty at the user's request.
    pub(super) fn require_init(&mut self) {
        self.init.state = InitState::Due;
    }

    /// Records that the environment is lost. The one that the init script itself has cost does not count.
    pub(super) fn require_init_again(&mut self) {
        if self.init.state == InitState::Done && !self.is_playing_init() {
            self.init.state = InitState::DueBeforeInput;
        }
    }

    /// Whether the session reads or plays the init script.
    pub(super) fn is_playing_init(&self) -> bool {
        self.init.work.is_some()
    }

    /// Starts the init script if it is due before the inputs that wait.
    pub(super) fn start_due_init(&mut self) {
        let has_input = self.init.part.is_some()
            || matches!(self.work.pending, Some(PendingCommand::Load(_)))
            || self.work.waiting.front().is_some_and(|input| commands::needs_circle(input));
        match self.init.state {
            InitState::Due => self.start_init(),
            InitState::DueBeforeInput if has_input => self.start_init(),
            _ => {}
        }
    }

    /// Starts the init script if it is due and nothing of this session plays on the circle. A fan-out that this session
    /// started is no obstacle: its part on this circle waits for the script, as a file that is being loaded does.
    pub(super) fn start_init(&mut self) {
        let is_due = matches!(self.init.state, InitState::Due | InitState::DueBeforeInput);
        let is_at_work = self.is_playing_init()
            || self.work.running.as_ref().is_some_and(RunningInput::uses_connection)
            || self.work.part.is_some()
            || matches!(self.work.pending, Some(PendingCommand::Query { .. } | PendingCommand::Key { .. }));
        if !is_due || is_at_work || !self.is_ready() || !self.state().may_play() {
            return;
        }
        let Some(file) = self.init.file.clone() else { return };
        self.init.state = InitState::Done;
        let load = move || match script::load(&file) {
            // A file that was never written is no mistake.
            Err(_) if !file.try_exists().unwrap_or(true) => Ok(None),
            Err(error) => Err(error),
            Ok(text) => Ok(Some(Script { text, name: Script::file_name(&file), ..Script::default() })),
        };
        self.init.work = Some(InitWork::Reading(Box::pin(tokio::task::spawn_blocking(load))));
    }

    pub(super) fn on_init_update(&mut self, update: InitUpdate) {
        match update {
            InitUpdate::Read(read) => self.on_init_loaded(read),
            InitUpdate::Play(PlayUpdate::Event(PlayEvent::Output(output))) => {
                self.report(SessionEvent::Output(output, None));
            }
            InitUpdate::Play(PlayUpdate::Event(PlayEvent::Progress(progress))) => {
                if let Some(InitWork::Playing(init)) = &mut self.init.work {
                    init.progress = Some(progress);
                }
            }
            InitUpdate::Play(PlayUpdate::Event(PlayEvent::EventsDropped { count })) => {
                self.show(DisplayLines::warning(&messages::events_dropped(count)));
            }
            InitUpdate::Play(PlayUpdate::Event(_)) => {}
            InitUpdate::Play(PlayUpdate::Ended(result)) => self.finish_init(result),
        }
    }

    fn on_init_loaded(&mut self, read: Result<Option<Script>, CliError>) {
        self.init.work = None;
        match read {
            Ok(Some(script)) if !script.text.trim().is_empty() => {
                let limits = self.connection.circle.as_ref().map(|circle| &circle.limits);
                let limits = limits.filter(|limits| message_size_error(limits, &script.text).is_some());
                let Some(limits) = limits else { return self.play_init(script) };
                let size = quantity::size(script.text.len() as u64);
                let error = messages::too_large_init(self.init.file.as_deref(), &size, limits.message_kib);
                self.show_init_error(&error);
            }
            Ok(_) => {}
            Err(error) => self.show_init_error(&error),
        }
        self.start_waiting_inputs();
    }

    fn play_init(&mut self, script: Script) {
        // The circle counts it like any other play.
        self.notebook.repeat_play();
        let text = script.text.clone();
        let play = self.remote.clone().play(script);
        let started = Instant::now();
        let init = InitPlay { play, script: text, started, progress: None, cancelled: None };
        self.init.work = Some(InitWork::Playing(init));
    }

    /// Handles the end of the init script.
    fn finish_init(&mut self, result: Result<PlayResult, ClientError>) {
        let Some(InitWork::Playing(InitPlay { script, cancelled, .. })) = self.init.work.take() else { return };
        let mut lost = None;
        match result {
            Ok(_) => {}
            Err(ClientError::Rpc(RpcError::Cancelled)) if cancelled.is_some() => {
                self.note(messages::INIT_CANCELLED);
            }
            Err(error) => {
                if !has_started(&error) {
                    self.notebook.forget_play();
                }
                let is_lost = costs_environment(&error);
                lost = connection_error(&error);
                self.show_init_error(&CliError::from_play(&script, &self.target, error));
                if is_lost {
                    self.init.state = InitState::Disabled;
                    self.notebook.mark_lost();
                }
            }
        }
        self.finish_on_connection(lost.as_ref());
        // Not earlier: a renderer that waits for an input would wait for the end of the script.
        if cancelled.is_some() {
            self.return_inputs();
        }
        self.start_waiting_inputs();
    }

    fn show_init_error(&mut self, error: &CliError) {
        self.show(DisplayLines::error(error, self.room.width));
    }

    /// Starts the part of a fan-out that waits for the init script.
    pub(super) fn start_waiting_part(&mut self) {
        if !self.is_playing_init()
            && let Some(part) = self.init.part.take()
        {
            self.start_part(part);
        }
    }

    /// Refuses the part of a fan-out that waits for the init script, because the connection is lost.
    pub(super) fn refuse_waiting_part(&mut self) {
        if let Some(part) = self.init.part.take() {
            drop(tokio::spawn(part.end(FanOutEvent::Refused(FanOutRefusal::Unreachable))));
        }
    }

    /// Cancels the init script. A second time soon after, gives up waiting for its end. Returns whether the session does
    /// not wait for the script any more.
    pub(super) fn cancel_init(&mut self) -> bool {
        let now = Instant::now();
        let message = match &mut self.init.work {
            None => return false,
            Some(InitWork::Reading(_)) => messages::INIT_CANCELLED,
            Some(InitWork::Playing(init)) if is_second_cancellation(init.cancelled, now) => messages::INIT_GIVEN_UP,
            Some(InitWork::Playing(init)) => {
                init.cancelled = Some(now);
                init.play.cancel();
                return false;
            }
        };
        self.init.work = None;
        self.return_inputs();
        self.note(message);
        self.finish_on_connection(None);
        true
    }
}
