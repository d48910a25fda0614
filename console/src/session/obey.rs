//! The `:` commands, as every console obeys them. What needs a screen or other circles is requested of whoever renders the
//! session.

use std::path::PathBuf;

use client_ws::ClientError;
use frontend::{
    error::CliError,
    script,
    text::{self, Line, Style},
};
use keys::keystore::KeyName;

use super::{
    awaited::{Done, Pending, Purpose},
    core::Core,
    event::{Identity, Link, Request, Shown, ShownKind},
    handle::Target,
    sentences,
};
use crate::{commands::Meta, too_large, value};

impl Core {
    pub(super) fn obey(&mut self, command: &str) {
        let command = match Meta::parse(command) {
            Ok(command) => command,
            Err(hint) => return self.answer_remark(&hint),
        };
        match command {
            Meta::Help(topic) => self.leave_to(Request::Help(topic)),
            Meta::Quit => self.leave_to(Request::Quit),
            Meta::Use(place) => self.leave_to(Request::Use(place)),
            Meta::History(part) => self.leave_to(Request::History(part)),
            Meta::Edit => self.leave_to(Request::Edit(self.notebook.last_script().to_owned())),
            Meta::Key(name) => self.key_command(name),
            Meta::Load(file) => {
                let read = tokio::task::spawn_blocking(move || script::load(&file));
                self.work.pending = Some(Pending::Load(Box::pin(read)));
            }
            Meta::Save { file, is_over } => self.save(file, is_over),
            Meta::Time(script) if script.is_empty() && self.work.running.is_some() => {
                self.answer_remark(sentences::STILL_RUNS);
            }
            Meta::Time(script) if script.is_empty() => {
                self.remark_line(self.notebook.time());
                self.done();
            }
            Meta::Time(script) => self.play(script, Purpose::Time),
            Meta::Plot(script) if script.is_empty() => self.plot_last(),
            Meta::Plot(script) => self.play(script, Purpose::Plot),
            Meta::Each { places, script } => {
                self.work.pending = Some(Pending::FanOut { script });
                self.request(Request::FanOut(places));
            }
            Meta::Last => {
                let width = self.room.width;
                let lines = self.notebook.last(|value| value::lines_of(value, width));
                self.show(Shown::new(ShownKind::Listing, lines));
                self.done();
            }
            Meta::Vars | Meta::Functions(_) | Meta::Doc(_) | Meta::Reset | Meta::Who => {
                let answer = self.remote.clone().ask(command.clone());
                self.work.pending = Some(Pending::Ask { command, answer });
            }
        }
    }

    fn leave_to(&mut self, request: Request) {
        self.request(request);
        self.done();
    }

    fn answer_remark(&mut self, text: &str) {
        self.show(Shown::new(ShownKind::Remark, text::lines(Style::Dim, text)));
        self.done();
    }

    fn plot_last(&mut self) {
        let lines = self.notebook.value().map(|value| self.chart(value));
        match lines {
            Some(lines) => {
                self.show(Shown::new(ShownKind::Value, lines));
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
            Identity::Key(current) if *current == name => self.answer_remark(&sentences::uses_key(&name)),
            Identity::Anonymous => {
                let before = self.login.key.replace(name);
                self.work.pending = Some(Pending::Key { before });
                match self.connection.link {
                    // It is authenticated with as soon as the circle is there.
                    Link::Off if self.is_expected() => {}
                    Link::Off => self.connect_asked(true),
                    Link::Connecting => {}
                    Link::On => self.choose_key(),
                }
            }
            _ => self.leave_to(Request::AnotherKey(name)),
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

    fn asked(&mut self, answer: Result<Vec<Line>, ClientError>) {
        let Some(Pending::Ask { command, .. }) = self.work.pending.take() else { return };
        let error = match answer {
            Ok(lines) => {
                if command == Meta::Reset {
                    self.notebook.reset();
                }
                self.show(Shown::new(ShownKind::Listing, lines));
                None
            }
            Err(error) => {
                let is_lost = matches!(error, ClientError::ConnectionLost { .. } | ClientError::NotConnected);
                self.show(Shown::error(&CliError::answer("", &self.target, error), self.room.width));
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
                Some(why) => self.show(Shown::new(ShownKind::Error, text::lines(Style::Plain, &why))),
                None => return self.play(script, Purpose::Value),
            },
            Err(error) => self.show(Shown::error(&error, self.room.width)),
        }
        self.done();
        self.carry_on();
    }

    pub(super) fn saved(&mut self, written: Result<String, CliError>) {
        match written {
            Ok(said) => self.remark(&said),
            Err(error) => self.show(Shown::error(&error, self.room.width)),
        }
        self.done();
    }

    /// The circles that a script is to be played on are known.
    pub(super) fn fan_out(&mut self, targets: Vec<Target>) {
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
