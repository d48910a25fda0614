//! The `:` commands, as every console obeys them. What needs a screen or other circles is requested of whoever renders the
//! session.

use std::path::PathBuf;

use client_ws::ClientError;
use frontend::{
    error::CliError,
    script,
    text::{self, Style, StyledLine},
};
use keys::keystore::KeyName;

use super::{
    awaited::{Done, Pending, Purpose},
    core::Core,
    event::{CallerIdentity, ConnectionStatus, DisplayKind, DisplayLines, SessionRequest},
    handle::FanOutTarget,
    sentences,
};
use crate::{commands::ReplCommand, too_large, value};

impl Core {
    pub(super) fn obey(&mut self, command: &str) {
        let command = match ReplCommand::parse(command) {
            Ok(command) => command,
            Err(hint) => return self.answer_remark(&hint),
        };
        match command {
            ReplCommand::Help(topic) => self.leave_to(SessionRequest::Help(topic)),
            ReplCommand::Quit => self.leave_to(SessionRequest::Quit),
            ReplCommand::Use(place) => self.leave_to(SessionRequest::Use(place)),
            ReplCommand::History(part) => self.leave_to(SessionRequest::History(part)),
            ReplCommand::Edit => self.leave_to(SessionRequest::Edit(self.notebook.last_script().to_owned())),
            ReplCommand::Key(name) => self.key_command(name),
            ReplCommand::Load(file) => {
                let read = tokio::task::spawn_blocking(move || script::load(&file));
                self.work.pending = Some(Pending::Load(Box::pin(read)));
            }
            ReplCommand::Save { file, overwrite: is_over } => self.save(file, is_over),
            ReplCommand::Time(script) if script.is_empty() && self.work.running.is_some() => {
                self.answer_remark(sentences::STILL_RUNS);
            }
            ReplCommand::Time(script) if script.is_empty() => {
                self.remark_line(self.notebook.time());
                self.done();
            }
            ReplCommand::Time(script) => self.play(script, Purpose::Time),
            ReplCommand::Plot(script) if script.is_empty() => self.plot_last(),
            ReplCommand::Plot(script) => self.play(script, Purpose::Plot),
            ReplCommand::FanOut { targets: places, script } => {
                self.work.pending = Some(Pending::FanOut { script });
                self.request(SessionRequest::FanOut(places));
            }
            ReplCommand::Last => {
                let width = self.room.width;
                let lines = self.notebook.last(|value| value::lines_of(value, width));
                self.show(DisplayLines::new(DisplayKind::Listing, lines));
                self.done();
            }
            ReplCommand::Vars
            | ReplCommand::Functions(_)
            | ReplCommand::Doc(_)
            | ReplCommand::Reset
            | ReplCommand::Who => {
                let answer = self.remote.clone().query(command.clone());
                self.work.pending = Some(Pending::Ask { command, answer });
            }
        }
    }

    fn leave_to(&mut self, request: SessionRequest) {
        self.request(request);
        self.done();
    }

    fn answer_remark(&mut self, text: &str) {
        self.show(DisplayLines::new(DisplayKind::Remark, text::lines(Style::Dim, text)));
        self.done();
    }

    fn plot_last(&mut self) {
        let lines = self.notebook.value().map(|value| self.chart(value));
        match lines {
            Some(lines) => {
                self.show(DisplayLines::new(DisplayKind::Value, lines));
                self.done();
            }
            None => self.answer_remark(sentences::NO_VALUE),
        }
    }

    /// Authenticates with a key where the session is anonymous; leaves it to whoever renders the session where it is
    /// another key's.
    fn key_command(&mut self, name: KeyName) {
        if self.login.owner.is_some() {
            self.remark(sentences::SCRATCH_KEY);
            return self.answer_remark(sentences::SCRATCH_KEY_HINT);
        }
        match &self.login.identity {
            CallerIdentity::Key(current) if *current == name => self.answer_remark(&sentences::uses_key(&name)),
            CallerIdentity::Anonymous => {
                let before = self.login.key.replace(name);
                self.work.pending = Some(Pending::Key { before });
                match self.connection.link {
                    // It is authenticated with as soon as the circle is there.
                    ConnectionStatus::Disconnected if self.is_expected() => {}
                    ConnectionStatus::Disconnected => self.connect_asked(true),
                    ConnectionStatus::Connecting => {}
                    ConnectionStatus::Connected => self.choose_key(),
                }
            }
            _ => self.leave_to(SessionRequest::UseKey(name)),
        }
    }

    fn save(&mut self, file: PathBuf, is_over: bool) {
        let mut saved = self.notebook.save(&self.target.to_string());
        if saved.inputs == 0 {
            return self.answer_remark(sentences::NOTHING_TO_SAVE);
        }
        if self.work.running.is_some() || self.work.pending.is_some() {
            saved.notes.push(sentences::NOT_SAVED.to_owned());
        }
        let written = move || script::write(&file, &saved.script, is_over).map(|()| saved.said(&file));
        self.work.saves.spawn_blocking(written);
    }

    /// What came of what was awaited.
    pub(super) fn resolved(&mut self, done: Done) {
        match done {
            Done::Asked(answer) => self.asked(answer),
            Done::Loaded(read) => self.loaded(read),
        }
    }

    fn asked(&mut self, answer: Result<Vec<StyledLine>, ClientError>) {
        let Some(Pending::Ask { command, .. }) = self.work.pending.take() else { return };
        let error = match answer {
            Ok(lines) => {
                if command == ReplCommand::Reset {
                    self.notebook.reset();
                }
                self.show(DisplayLines::new(DisplayKind::Listing, lines));
                None
            }
            Err(error) => {
                let is_lost = matches!(error, ClientError::ConnectionLost { .. } | ClientError::NotConnected);
                self.show(DisplayLines::error(&CliError::from_play("", &self.target, error), self.room.width));
                is_lost.then_some(ClientError::NotConnected)
            }
        };
        self.done();
        self.off_connection(error.as_ref());
        self.carry_on();
    }

    fn loaded(&mut self, read: Result<String, CliError>) {
        self.work.pending = None;
        let too_large =
            |script: &str| self.connection.circle.as_ref().and_then(|circle| too_large(&circle.limits, script));
        match read {
            Ok(script) => match too_large(&script) {
                Some(why) => self.show(DisplayLines::new(DisplayKind::Error, text::lines(Style::Plain, &why))),
                None => return self.play(script, Purpose::Value),
            },
            Err(error) => self.show(DisplayLines::error(&error, self.room.width)),
        }
        self.done();
        self.carry_on();
    }

    pub(super) fn saved(&mut self, written: Result<String, CliError>) {
        match written {
            Ok(said) => self.remark(&said),
            Err(error) => self.show(DisplayLines::error(&error, self.room.width)),
        }
        self.done();
    }

    /// The circles that a script is to be played on are known.
    pub(super) fn fan_out(&mut self, targets: Vec<FanOutTarget>) {
        let Some(Pending::FanOut { script }) =
            self.work.pending.take_if(|pending| matches!(pending, Pending::FanOut { .. }))
        else {
            return;
        };
        if targets.is_empty() {
            self.done();
            return self.carry_on();
        }
        self.begin_fan_out(targets, script);
    }
}
