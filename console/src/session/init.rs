//! The user's init script: the first play of each environment of the session. It is no input: the session shows its
//! prints and errors only, and neither the history nor the notebook keeps it.

use std::path::PathBuf;

use client_ws::{ClientError, PlayResult, RpcError};
use frontend::{error::CliError, quantity, script};

use super::{
    core::Core,
    event::DisplayLines,
    handle::FanOutPart,
    inputs::{connection_error, has_started},
    messages,
    pending::{PendingCommand, PlayKind, Purpose, RunningInput},
    play::Script,
};
use crate::{commands, message_size_error, notebook::costs_environment};

/// The init script of the session.
#[derive(Debug, Default)]
pub(super) struct UserInit {
    /// The file, if the user wants one.
    pub(super) file: Option<PathBuf>,
    pub(super) state: InitState,
    /// A part of a fan-out that waits for the end of the script.
    pub(super) part: Option<FanOutPart>,
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

    /// Whether the init script is being read or played.
    pub(super) fn is_playing_init(&self) -> bool {
        matches!(self.work.pending, Some(PendingCommand::Init(_)))
            || self.work.running.as_ref().is_some_and(|running| running.purpose == Purpose::Init)
    }

    /// Starts the init script if it is due before the inputs that wait.
    pub(super) fn start_due_init(&mut self) {
        let has_input =
            self.init.part.is_some() || self.work.waiting.front().is_some_and(|input| commands::needs_circle(input));
        match self.init.state {
            InitState::Due => self.start_init(),
            InitState::DueBeforeInput if has_input => self.start_init(),
            _ => {}
        }
    }

    /// Starts the init script if it is due and the session is idle.
    pub(super) fn start_init(&mut self) {
        let is_due = matches!(self.init.state, InitState::Due | InitState::DueBeforeInput);
        let is_at_work = self.work.running.is_some() || self.work.pending.is_some() || self.work.part.is_some();
        if !is_due || is_at_work || !self.can_play() {
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
        self.work.pending = Some(PendingCommand::Init(Box::pin(tokio::task::spawn_blocking(load))));
    }

    pub(super) fn on_init_loaded(&mut self, read: Result<Option<Script>, CliError>) {
        self.work.pending = None;
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
        let play = PlayKind::Single(self.remote.clone().play(script));
        self.start(play, text, Purpose::Init);
    }

    /// Handles the end of the init script.
    pub(super) fn finish_init(&mut self, running: &RunningInput, result: Result<PlayResult, ClientError>) {
        let mut lost = None;
        match result {
            Ok(_) => {}
            Err(ClientError::Rpc(RpcError::Cancelled)) if running.cancelled.is_some() => {
                self.note(messages::INIT_CANCELLED);
            }
            Err(error) => {
                if !has_started(&error) {
                    self.notebook.forget_play();
                }
                let (is_lost, held) = (costs_environment(&error), self.notebook.inputs());
                lost = connection_error(&error);
                self.show_init_error(&CliError::from_play(&running.script, &self.target, error));
                if is_lost {
                    self.init.state = InitState::Disabled;
                    self.notebook.mark_lost();
                    self.return_inputs_of_lost(held);
                }
            }
        }
        self.finish_on_connection(lost.as_ref());
        // Not earlier: a renderer that waits for an input would wait for the end of the script.
        if running.cancelled.is_some() {
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

    /// Stops reading the init script, because its environment is gone.
    pub(super) fn cancel_init(&mut self) {
        self.work.pending.take_if(|pending| matches!(pending, PendingCommand::Init(_)));
    }
}
