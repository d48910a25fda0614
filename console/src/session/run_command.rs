//! The REPL commands. Commands that need a screen or other circles become requests to the renderer.

use std::path::Path;

use client_ws::ClientError;
use frontend::{
    error::CliError,
    script,
    text::{self, Style, StyledLine},
};
use keys::keystore::KeyName;

use super::{
    core::Core,
    event::{CallerIdentity, ConnectionStatus, DisplayKind, DisplayLines, SessionRequest},
    handle::FanOutTarget,
    messages,
    pending::{CommandOutcome, PendingCommand, Purpose},
    play::Script,
};
use crate::{commands::ReplCommand, message_size_error, truncate, value};

impl Core {
    pub(super) fn run_command(&mut self, command: &str) {
        let command = match ReplCommand::parse(command) {
            Ok(command) => command,
            Err(hint) => return self.finish_with_remark(&hint),
        };
        match command {
            ReplCommand::Help(topic) => self.forward(SessionRequest::Help(topic)),
            ReplCommand::Quit => self.forward(SessionRequest::Quit),
            ReplCommand::Use(target) => self.forward(SessionRequest::Use(target)),
            ReplCommand::History(part) => self.forward(SessionRequest::History(part)),
            ReplCommand::Edit => self.forward(SessionRequest::Edit(self.notebook.last_script().to_owned())),
            ReplCommand::Key(name) => self.run_key_command(name),
            ReplCommand::Load(file) => {
                let file = self.directory.resolve(&file);
                let load = move || {
                    let text = script::load(&file)?;
                    Ok(Script { text, name: Script::file_name(&file), ..Script::default() })
                };
                let read = tokio::task::spawn_blocking(load);
                self.work.pending = Some(PendingCommand::Load(Box::pin(read)));
            }
            ReplCommand::Save { file, overwrite } => self.save(&file, overwrite),
            ReplCommand::Replay { is_confirmed: false } => self.list_replay(),
            ReplCommand::Replay { is_confirmed: true } => self.start_replay(),
            ReplCommand::Time(script) if script.is_empty() && self.work.running.is_some() => {
                self.finish_with_remark(messages::STILL_RUNS);
            }
            ReplCommand::Time(script) if script.is_empty() => {
                self.remark_line(self.notebook.timing_line());
                self.finish_input();
            }
            ReplCommand::Time(script) => self.play(script, Purpose::Time),
            ReplCommand::TimeIt(script) => self.start_timing(script),
            ReplCommand::Out(number) => self.show_earlier_value(number),
            ReplCommand::Copy { is_json } => self.copy_value(is_json),
            ReplCommand::Json { file, overwrite } => self.show_json(file, overwrite),
            ReplCommand::Shell(command) => self.run_shell(command),
            // The play that waits for its circles, or for its file, does not wait for a directory.
            ReplCommand::Directory(_) if self.work.pending.is_some() => {
                self.finish_with_remark(messages::STILL_PENDING);
            }
            ReplCommand::Directory(to) => self.change_directory(to),
            ReplCommand::Plot(script) if script.is_empty() => self.plot_last(),
            ReplCommand::Plot(script) => self.play(script, Purpose::Plot),
            ReplCommand::FanOut { targets, script } => {
                self.work.pending = Some(PendingCommand::FanOut { script });
                self.request(SessionRequest::FanOut(targets));
            }
            ReplCommand::Last => {
                let width = self.room.width;
                let lines = self.notebook.last(|value, is_bound| {
                    if is_bound { value::format_value(value, width) } else { value::format_unbound_value(value, width) }
                });
                self.show(DisplayLines::new(DisplayKind::Listing, lines));
                self.finish_input();
            }
            ReplCommand::Source(name) => {
                let lines = self.notebook.source(&name);
                self.show(DisplayLines::new(DisplayKind::Listing, lines));
                self.finish_input();
            }
            ReplCommand::Call(call) => self.prepare_call(call),
            ReplCommand::Watch(subject) => self.start_watch(subject),
            ReplCommand::Functions(text) => self.list_functions(text),
            // No function of scripts has a point in its name, and a caller who may not play cannot ask about them.
            ReplCommand::Doc(name) if name.contains('.') || !self.state().may_play() => self.list_functions(name),
            ReplCommand::Vars | ReplCommand::Doc(_) | ReplCommand::Reset | ReplCommand::Who => {
                let answer = self.remote.clone().query(command.clone());
                self.work.pending = Some(PendingCommand::Query { command, answer });
            }
        }
    }

    pub(super) fn forward(&mut self, request: SessionRequest) {
        self.request(request);
        self.finish_input();
    }

    pub(super) fn finish_with_remark(&mut self, text: &str) {
        self.show(DisplayLines::new(DisplayKind::Remark, text::lines(Style::Dim, text)));
        self.finish_input();
    }

    fn plot_last(&mut self) {
        let lines = self.notebook.value().map(|value| self.chart(value));
        match lines {
            Some(lines) => {
                self.show(DisplayLines::new(DisplayKind::Value, lines));
                self.finish_input();
            }
            None => self.finish_with_remark(messages::NO_VALUE),
        }
    }

    /// Authenticates an anonymous session with a key. If the session has another key, leaves the switch to the
    /// renderer.
    fn run_key_command(&mut self, name: KeyName) {
        if self.login.owner.is_some() {
            self.remark(messages::SCRATCH_KEY);
            return self.finish_with_remark(messages::SCRATCH_KEY_HINT);
        }
        match &self.login.identity {
            CallerIdentity::Key(current) if *current == name => self.finish_with_remark(&messages::uses_key(&name)),
            CallerIdentity::Anonymous => {
                let before = self.login.key.replace(name);
                self.work.pending = Some(PendingCommand::Key { before });
                match self.connection.status {
                    // The session authenticates as soon as the circle is up.
                    ConnectionStatus::Disconnected if self.is_starting() => {}
                    ConnectionStatus::Disconnected => self.on_connect(true),
                    ConnectionStatus::Connecting => {}
                    ConnectionStatus::Connected => self.choose_key(),
                }
            }
            _ => self.forward(SessionRequest::UseKey(name)),
        }
    }

    fn save(&mut self, file: &Path, overwrite: bool) {
        let mut saved = self.notebook.save(&self.target.to_string());
        if saved.inputs == 0 {
            return self.finish_with_remark(messages::NOTHING_TO_SAVE);
        }
        if self.work.running.is_some() || self.work.pending.is_some() {
            saved.notes.push(messages::NOT_SAVED.to_owned());
        }
        let file = self.directory.resolve(file);
        let written = move || script::write(&file, &saved.script, overwrite).map(|()| saved.summary(&file));
        self.work.saves.spawn_blocking(written);
    }

    /// Handles the outcome of a pending command.
    pub(super) fn on_command_outcome(&mut self, done: CommandOutcome) {
        match done {
            CommandOutcome::Answered(answer) => self.on_query_answer(answer),
            CommandOutcome::FunctionsListed(answer) => self.on_functions_listed(answer),
            CommandOutcome::RightsFetched(update) => self.on_rights_fetched(update),
            CommandOutcome::CallPrepared(prepared) => self.on_call_prepared(prepared),
            CommandOutcome::Loaded(read) => self.on_script_loaded(read),
            CommandOutcome::DirectoryChanged(changed) => self.on_directory_changed(changed),
            CommandOutcome::Watched(update) => self.on_watch_update(update),
        }
    }

    fn on_query_answer(&mut self, answer: Result<Vec<StyledLine>, ClientError>) {
        let Some(PendingCommand::Query { command, .. }) = self.work.pending.take() else { return };
        let error = match answer {
            Ok(mut lines) => {
                match command {
                    ReplCommand::Reset => {
                        self.notebook.reset();
                        self.require_init();
                    }
                    // One row for each variable; its name alone shows all of its value.
                    ReplCommand::Vars => {
                        let width = self.room.width;
                        lines = lines.into_iter().map(|line| truncate::fit_line(line, width)).collect();
                    }
                    // The circle knows only the public key.
                    ReplCommand::Who => {
                        lines.extend(self.key_line());
                        // The user may have seen another role.
                        self.refresh_functions();
                    }
                    ReplCommand::Doc(name) if self.function(&name).is_some() => {
                        lines.push(StyledLine::of(Style::Dim, &messages::circle_function(&name)));
                    }
                    _ => {}
                }
                self.show(DisplayLines::new(DisplayKind::Listing, lines));
                None
            }
            Err(error) => self.show_query_error(error),
        };
        self.finish_input();
        self.finish_on_connection(error.as_ref());
        self.start_waiting_inputs();
    }

    /// The name of the key, if the session has authenticated.
    fn key_line(&self) -> Option<StyledLine> {
        let key = match &self.login.identity {
            CallerIdentity::Key(name) => name.to_string(),
            CallerIdentity::Owner => "of this scratch circle".to_owned(),
            _ => return None,
        };
        Some(StyledLine::of(Style::Plain, &format!("key      {key}")))
    }

    /// Shows the error of a command that the circle answers. Returns an error if the connection is lost.
    pub(super) fn show_query_error(&mut self, error: ClientError) -> Option<ClientError> {
        let is_lost = matches!(error, ClientError::ConnectionLost { .. } | ClientError::NotConnected);
        let error = self.play_error("", error);
        self.show(DisplayLines::error(&error, self.room.width));
        is_lost.then_some(ClientError::NotConnected)
    }

    fn on_script_loaded(&mut self, read: Result<Script, CliError>) {
        self.work.pending = None;
        let too_large = |script: &str| {
            self.connection.circle.as_ref().and_then(|circle| message_size_error(&circle.limits, script))
        };
        match read {
            Ok(script) => match too_large(&script.text) {
                Some(why) => self.show(DisplayLines::new(DisplayKind::Error, text::lines(Style::Plain, &why))),
                None => return self.play_script(script, Purpose::Value),
            },
            Err(error) => self.show(DisplayLines::error(&error, self.room.width)),
        }
        self.finish_input();
        self.start_waiting_inputs();
    }

    pub(super) fn on_saved(&mut self, written: Result<String, CliError>) {
        match written {
            Ok(summary) => self.remark(&summary),
            Err(error) => self.show(DisplayLines::error(&error, self.room.width)),
        }
        self.finish_input();
    }

    /// Starts a fan-out on the circles that the renderer found.
    pub(super) fn on_fan_out_targets(&mut self, targets: Vec<FanOutTarget>) {
        let Some(PendingCommand::FanOut { script }) =
            self.work.pending.take_if(|pending| matches!(pending, PendingCommand::FanOut { .. }))
        else {
            return;
        };
        if targets.is_empty() {
            self.finish_input();
            return self.start_waiting_inputs();
        }
        self.begin_fan_out(targets, script);
    }
}
