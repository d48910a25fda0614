//! The `:` commands, as this screen obeys them.

use std::path::PathBuf;

use client_ws::ClientError;
use keys::keystore::KeyName;

use super::{
    App, Effect,
    action::Action,
    circles::{Entry, Origin},
    help,
    id::{CircleId, PlayNumber},
    plays::chart,
    session::{Link, Pending, Purpose, Session, Who},
};
use console::{commands::{Meta, Takes}, completion::{self, Candidate, Completion, Question}, history, too_large, value};
use frontend::{error::CliError, suggest, target, text::{Line, Style}};

impl App {
    pub(super) fn obey(&mut self, id: CircleId, command: &str) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let command = match Meta::parse(command) {
            Ok(command) => command,
            Err(hint) => return session.note(&hint),
        };
        match command {
            Meta::Help(topic) => session.transcript.extend(help::of(&topic)),
            Meta::Quit => self.act(Action::Quit),
            Meta::Use(place) => self.open(&place, Some(id)),
            Meta::Key(name) => self.be(id, &name),
            Meta::Load(file) => {
                let number = session.next_play();
                session.pending = Some(Pending::Load(number));
                self.work.load((id, session.connection), number, file);
            }
            Meta::Save { file, is_over } => self.save(id, file, is_over),
            Meta::Edit => {
                let last = session.notebook.last_script().to_owned();
                self.effects.push(Effect::Edit(id, last));
            }
            Meta::Time(script) if script.is_empty() && session.running.is_some() => {
                session.note("the play still runs");
            }
            Meta::Time(script) if script.is_empty() => session.transcript.push(session.notebook.time()),
            Meta::Time(script) => self.play(id, script, Purpose::Time),
            Meta::Plot(script) if script.is_empty() => match session.notebook.value() {
                Some(value) => {
                    let lines = chart(value, session.transcript.room());
                    session.transcript.extend(lines);
                }
                None => session.note("there is no value yet: play something, or :plot [1, 4, 9]"),
            },
            Meta::Plot(script) => self.play(id, script, Purpose::Plot),
            Meta::Each { places, script } => self.each(id, places, script),
            Meta::History(part) => {
                let inputs: Vec<&str> = session.editor.past_inputs().collect();
                let numbered = (1..=inputs.len()).rev().zip(inputs);
                let lines = history::lines(numbered, &part);
                session.transcript.extend(lines);
            }
            Meta::Last => {
                let width = session.transcript.width();
                let lines = session.notebook.last(|value| value::lines_of(value, width));
                session.transcript.extend(lines);
            }
            Meta::Vars | Meta::Functions(_) | Meta::Doc(_) | Meta::Reset | Meta::Who => {
                let Some(client) = session.client().cloned() else { return session.note("not connected") };
                if command == Meta::Reset {
                    session.pending = Some(Pending::Reset);
                }
                self.work.ask((id, session.connection), client, command);
            }
        }
    }

    /// What the circle answered to a command.
    pub(super) fn told(&mut self, id: CircleId, command: &Meta, answered: Result<Vec<Line>, ClientError>) {
        let (Some(session), Some(entry)) = (self.sessions.get_mut(&id), self.circles.get(id)) else { return };
        if *command == Meta::Reset {
            session.pending = None;
            if answered.is_ok() {
                session.notebook.reset();
            }
        }
        let lines = answered.unwrap_or_else(|error| {
            let place = entry.destination(self.setup.config.as_deref());
            CliError::answer("", &place, error).lines(session.transcript.width())
        });
        session.transcript.extend(lines);
        self.carry_on(id);
    }

    /// Is a key on a circle: proves it where none was proved, connects anew where another one was.
    fn be(&mut self, id: CircleId, name: &KeyName) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if self.throwaway.as_ref().is_some_and(|(throwaway, _)| *throwaway == id) {
            session.note("the throw-away circle knows the key that was made for it, and no other");
            return session.note("  go to a circle: :use WHERE");
        }
        let known: Vec<&str> = self.keys.iter().map(|entry| entry.name.as_str()).collect();
        if !known.contains(&name.as_str()) {
            let near = suggest::nearest(name.as_str(), known.iter().copied());
            let near = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
            session.push_error(&format!("there is no key `{name}`{near}"));
            return session.note("  make one: 2, then n");
        }
        if session.who == Who::Key(name.clone()) {
            return session.note(&format!("you are {name} here"));
        }
        session.key = Some(name.clone());
        self.keys.use_key(name.clone());
        match (&session.link, &session.who) {
            (Link::On(_), Who::Nobody) => self.authenticate(id),
            (Link::Off, _) => self.connect(id),
            (Link::Connecting, _) => {}
            // What the session holds is not given up for a key that stays locked.
            (Link::On(_), _) if self.keys.unlocked(name).is_none() => self.unlock_for(id, name.clone()),
            (Link::On(_), _) => self.connect_as(id, name),
        }
    }

    /// Connects anew, where another key was proved.
    pub(super) fn connect_as(&mut self, id: CircleId, name: &KeyName) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let held = session.notebook.inputs();
        session.end();
        session.take_lost();
        session.note(&format!("a session is one key's for good: connecting anew as {name}"));
        if held > 0 {
            session.note("variables are gone; :save FILE writes what was played");
        }
        self.connect(id);
    }

    fn save(&mut self, id: CircleId, file: PathBuf, is_over: bool) {
        let (Some(session), Some(entry)) = (self.sessions.get_mut(&id), self.circles.get(id)) else { return };
        let mut saved = session.notebook.save(&entry.destination(self.setup.config.as_deref()).to_string());
        if saved.inputs == 0 {
            return session.note("nothing was played here yet");
        }
        if session.is_at_work() {
            saved.notes.push("what still runs or waits is not in it".to_owned());
        }
        self.work.save(id, file, saved, is_over);
    }

    pub(super) fn saved(&mut self, id: CircleId, saved: Result<String, CliError>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        match saved {
            Ok(said) => session.note(&said),
            Err(error) => session.say_error(&error),
        }
    }

    /// A file was read that is to be played.
    pub(super) fn loaded(&mut self, id: CircleId, number: PlayNumber, read: Result<String, CliError>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.pending != Some(Pending::Load(number)) {
            return;
        }
        session.pending = None;
        let is_too_large = |script: &str| session.description().and_then(|circle| too_large(&circle.limits, script));
        match read {
            Ok(script) => match is_too_large(&script) {
                Some(why) => session.push_error(&why),
                None => return self.play(id, script, Purpose::Value),
            },
            Err(error) => session.say_error(&error),
        }
        self.carry_on(id);
    }

    /// What came back from the editor.
    pub(super) fn edited(&mut self, id: CircleId, before: &str, edited: Result<Option<String>, CliError>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let text = match edited {
            Ok(edited) => edited.unwrap_or_else(|| before.to_owned()),
            Err(error) => {
                session.say_error(&error);
                before.to_owned()
            }
        };
        session.editor.set("");
        if !session.editor.paste(&text) {
            self.complain("what was edited is cut: an input has 256 KiB at the most");
        }
    }

    /// The circle that is meant, if it is in the list.
    pub(super) fn circle_named(&self, place: &str) -> Option<CircleId> {
        let url = || Some(target::parse(place, None).ok()?.url);
        // A name is looked for in the list alone: the file is not for this thread to read.
        let url = if target::is_name(place) { None } else { url() };
        let is_it = |entry: &Entry| {
            entry.name == place || url.as_deref().is_some_and(|url| target::is_same_url(entry.url(), url))
        };
        self.circles.iter().find(|(_, entry)| is_it(entry)).map(|(id, _)| id)
    }

    pub(super) fn complete(&mut self) {
        let Some(id) = self.circles.selected() else { return };
        let Some(session) = self.sessions.get(&id) else { return };
        let (input, cursor) = session.editor.cursor();
        let mut file = None;
        let question = completion::question(&input, cursor, |takes, begun| match takes {
            Takes::Circle => self.circles.iter().map(|(_, entry)| circle(entry)).collect(),
            Takes::Key => self.keys.iter().map(|entry| key(entry.name.as_str(), entry.default)).collect(),
            Takes::File => {
                file = Some(begun.to_owned());
                Vec::new()
            }
            _ => Vec::new(),
        });
        let to = (id, session.connection);
        match (question, file) {
            (Question::Answered(asked), Some(begun)) => self.work.list_files(to, asked, begun),
            (Question::Answered(completion), None) => self.offer(id, completion),
            (Question::Asked { script, cursor: at, offset }, _) => {
                if let Some(client) = session.client().cloned() {
                    self.work.complete(to, client, (input, cursor), (script, at, offset));
                }
            }
        }
    }

    pub(super) fn offer(&mut self, id: CircleId, completion: Completion) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if !session.editor.complete(completion) {
            self.say("nothing fits here");
        }
    }
}

impl Session {
    pub(super) fn push_error(&mut self, text: &str) {
        self.transcript.push(Line::of(Style::Error, "error: ").with(Style::Plain, text));
    }

    /// All of an error.
    pub(super) fn say_error(&mut self, error: &CliError) {
        let lines = error.lines(self.transcript.width());
        self.transcript.extend(lines);
    }
}

fn circle(entry: &Entry) -> Candidate {
    let detail = match entry.origin {
        Origin::Throwaway => "throw-away".to_owned(),
        Origin::Config | Origin::Address => entry.url().to_owned(),
    };
    Candidate { text: entry.name.clone(), detail }
}

fn key(name: &str, is_default: bool) -> Candidate {
    Candidate { text: name.to_owned(), detail: if is_default { "default" } else { "" }.to_owned() }
}
