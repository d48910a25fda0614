//! The queue of inputs: inputs start in the order in which the user typed them, each once the one before is finished.
//!
//! Some commands need not wait: those that do not depend on other inputs, and, while a play runs, those that show what
//! the session or the circle knows already.

use client_ws::ClientError;
use frontend::text::{self, Style};

use super::{
    core::Core,
    event::{CallerIdentity, ConnectionStatus, DisplayKind, DisplayLines, SessionEvent},
    functions::FunctionsUpdate,
    messages,
    pending::{PendingCommand, Purpose},
};
use crate::{
    commands::{self, ReplCommand, shorthand},
    message_size_error,
};

/// The maximum number of queued inputs.
const MAX_WAITING: usize = 64;

impl Core {
    pub(super) fn submit(&mut self, input: String) {
        let Some(input) = self.check_size(input) else { return };
        if commands::needs_circle(&input) {
            self.start_init();
        }
        let input = shorthand::question(&input).unwrap_or(input);
        if let Some(command) = shorthand::word(&input).filter(|_| !self.is_ready() || !self.state().may_play()) {
            // Without an environment there is no variable of that name.
            self.report(SessionEvent::InputStarted(input));
            return self.run_command(command);
        }
        if !self.must_wait(&input) && !self.is_behind_queue(&input) {
            return self.start_input(input);
        }
        if self.work.waiting.len() == MAX_WAITING {
            self.remark(messages::QUEUE_FULL);
            return self.report(SessionEvent::InputsReturned(vec![input]));
        }
        let needs_circle = commands::needs_circle(&input);
        self.work.waiting.push_back(input);
        if !needs_circle {
            return;
        }
        let is_stuck = self.login.identity == CallerIdentity::Anonymous
            && self.login.requested.is_none()
            && !self.state().is_ready()
            && self.work.pending.is_none();
        match self.connection.status {
            ConnectionStatus::Disconnected | ConnectionStatus::Connecting if self.is_starting() => {}
            ConnectionStatus::Disconnected => {
                self.reconnection.is_awaited = true;
                self.connect();
            }
            ConnectionStatus::Connecting => self.reconnection.is_awaited = true,
            ConnectionStatus::Connected if is_stuck => self.find_rights_or_key(),
            ConnectionStatus::Connected => {}
        }
    }

    /// Whether the session plays, waits for an answer, or reads a file.
    fn is_at_work(&self) -> bool {
        self.work.running.is_some() || self.work.pending.is_some() || self.work.part.is_some() || self.is_playing_init()
    }

    /// Whether a new input must wait, even if no other input waits.
    fn must_wait(&self, input: &str) -> bool {
        if self.is_about_rights(input) {
            return self.is_at_work();
        }
        match input.trim().strip_prefix(':').map(ReplCommand::parse) {
            Some(Ok(ReplCommand::FanOut { .. } | ReplCommand::Key(_))) => self.is_blocked(input),
            _ if !commands::needs_circle(input) => {
                matches!(self.work.pending, Some(PendingCommand::Directory(_))) && commands::uses_directory(input)
            }
            // The circle answers while a play runs.
            Some(Ok(ReplCommand::Who | ReplCommand::Doc(_))) => {
                self.work.pending.is_some() || self.is_playing_init() || !self.is_ready()
            }
            _ => self.is_blocked(input),
        }
    }

    /// Whether a new input must wait because an input that waits comes first.
    fn is_behind_queue(&self, input: &str) -> bool {
        if self.is_about_rights(input) {
            return false;
        }
        if commands::uses_directory(input) && self.has_waiting_directory_command(input) {
            return true;
        }
        let is_playing = self.work.running.is_some() || self.work.part.is_some();
        let has_unplayed = !self.work.waiting.is_empty() || matches!(self.work.pending, Some(PendingCommand::Load(_)));
        has_unplayed && !is_playing && commands::depends_on_inputs(input)
    }

    /// Whether an input shows or finds the rights of an anonymous caller who has none. It waits for no rights.
    fn is_about_rights(&self, input: &str) -> bool {
        let command = input.trim().strip_prefix(':').map(ReplCommand::parse);
        matches!(command, Some(Ok(ReplCommand::Who | ReplCommand::Functions(_))))
            && self.connection.status == ConnectionStatus::Connected
            && self.login.identity == CallerIdentity::Anonymous
            && self.login.requested.is_none()
            && !self.state().is_ready()
    }

    /// Whether a `:cd` command waits, or the input is one and a waiting input uses the directory.
    fn has_waiting_directory_command(&self, input: &str) -> bool {
        let is_change = commands::changes_directory(input);
        let mut waiting = self.work.waiting.iter();
        waiting.any(|other| commands::changes_directory(other) || is_change && commands::uses_directory(other))
    }

    /// Whether the first input of the queue cannot start yet.
    fn is_blocked(&self, input: &str) -> bool {
        self.is_at_work()
            || match input.trim().strip_prefix(':').map(ReplCommand::parse) {
                // Other circles play the script.
                Some(Ok(ReplCommand::FanOut { .. })) => false,
                // The command may make the session ready for the inputs behind it.
                Some(Ok(ReplCommand::Key(_))) => self.login.identity == CallerIdentity::Authenticating,
                _ => commands::needs_circle(input) && !self.is_ready() && !self.is_about_rights(input),
            }
    }

    /// Returns the input to the user if it exceeds the circle's message limit.
    fn check_size(&mut self, input: String) -> Option<String> {
        let is_fan_out =
            matches!(input.trim().strip_prefix(':').map(ReplCommand::parse), Some(Ok(ReplCommand::FanOut { .. })));
        // Each circle of a fan-out has a limit of its own.
        let circle = self.connection.circle.as_ref().filter(|_| !is_fan_out);
        let Some(why) = circle.and_then(|circle| message_size_error(&circle.limits, &input)) else {
            return Some(input);
        };
        self.show(DisplayLines::new(DisplayKind::Error, text::lines(Style::Plain, &why)));
        self.report(SessionEvent::InputsReturned(vec![input]));
        None
    }

    fn start_input(&mut self, input: String) {
        self.report(SessionEvent::InputStarted(input.clone()));
        if commands::needs_right_to_play(&input) && !self.state().may_play() {
            // If the caller has been given the right since, the init script is the first play.
            let fetched = Box::pin(self.fetch_functions());
            self.work.pending = Some(PendingCommand::Rights { input, fetched });
            return;
        }
        self.run_input(input);
    }

    /// Runs the input that waited for the rights of the caller. Without the right to play, the circle says so.
    pub(super) fn on_rights_fetched(&mut self, update: Result<FunctionsUpdate, ClientError>) {
        let Some(PendingCommand::Rights { input, .. }) = self.work.pending.take() else { return };
        if let Ok(update) = update {
            self.apply_functions(update);
        }
        self.start_init();
        if self.is_playing_init() {
            let fetched = Box::pin(std::future::ready(Err(ClientError::NotConnected)));
            self.work.pending = Some(PendingCommand::Rights { input, fetched });
            return;
        }
        self.run_input(input);
    }

    fn run_input(&mut self, input: String) {
        match input.trim().strip_prefix(':') {
            Some(command) => self.run_command(command),
            None => match shorthand::word(&input) {
                Some(command) => self.play_word(input, command),
                None => self.play(input, Purpose::Value),
            },
        }
    }

    /// Starts queued inputs, as far as possible.
    pub(super) fn start_waiting_inputs(&mut self) {
        self.start_due_init();
        self.start_waiting_part();
        while let Some(next) = self.work.waiting.pop_front() {
            // After a lost connection, the session returns the queued inputs.
            if self.is_blocked(&next) || commands::needs_circle(&next) && !self.remote.is_connected() {
                return self.work.waiting.push_front(next);
            }
            // The user may have typed it before the message limit was known.
            if let Some(next) = self.check_size(next) {
                self.start_input(next);
            }
            self.start_due_init();
        }
    }
}
