//! The `:` commands, as the line REPL obeys them.

use std::path::Path;

use keys::keystore::KeyName;
use rustyline::history::{History, SearchDirection};

use super::{MARGIN, Next, Repl, keymap, outside, painted, say, show, tell, unless_interrupted};
use console::{commands::{self, Meta}, history, plot, value};
use frontend::{error::CliError, script, text::{Line, Size, Style}, visible::visible};
use terminal::printing;

impl Repl {
    pub(super) fn obey(&mut self, input: &str, command: &str) -> Result<Next, CliError> {
        let command = match Meta::parse(command) {
            Ok(command) => command,
            Err(hint) => {
                tell_prose(&hint);
                return Ok(Next::Prompt);
            }
        };
        match command {
            Meta::Quit => return Ok(Next::Leave),
            Meta::Help(topic) => {
                let width = printing::stdout_size().map_or(usize::MAX, |(width, _)| width);
                let said = commands::help(&topic, keymap::KEYS);
                self.page(&said.iter().flat_map(|line| line.wrapped(width)).collect::<Vec<_>>())?;
            }
            Meta::Use(place) => self.go_to(&place),
            Meta::Key(name) => self.be(&name),
            Meta::Load(file) => self.load(input, &file)?,
            Meta::Save { file, is_over } => self.save(&file, is_over),
            Meta::Edit => {
                let last = self.sessions.current().notebook.last_script().to_owned();
                self.edit(&last);
            }
            Meta::Time(script) if script.is_empty() => say(&[self.sessions.current().notebook.time()])?,
            Meta::Time(script) => {
                if let Some(result) = self.play(input, &script)? {
                    show(&result)?;
                    say(&[self.sessions.current().notebook.time()])?;
                }
            }
            Meta::Plot(script) => self.plot(input, &script)?,
            Meta::Each { places, script } => self.each(&places, &script)?,
            Meta::History(part) => self.page(&self.typed(&part))?,
            Meta::Last => {
                let width = printing::stdout_size().map_or(usize::MAX, |(width, _)| width);
                self.page(&self.sessions.current().notebook.last(|value| value::lines_of(value, width)))?;
            }
            Meta::Vars | Meta::Functions(_) | Meta::Doc(_) | Meta::Reset | Meta::Who => self.ask(input, &command)?,
        }
        Ok(Next::Prompt)
    }

    fn ask(&mut self, input: &str, command: &Meta) -> Result<(), CliError> {
        if !self.is_connected(input) {
            return Ok(());
        }
        let line = self.sessions.current().link.line().clone();
        let _asking = line.asking();
        let answered = self.until_interrupt("waiting for the circle", commands::ask(&line.client, command));
        // One that is not waited for is carried out all the same.
        if answered.is_none() && *command == Meta::Reset {
            self.sessions.current_mut().notebook.is_lost();
        }
        match answered {
            Some(Ok(said)) => {
                if *command == Meta::Reset {
                    self.sessions.current_mut().reset();
                }
                self.page(&said)?;
            }
            Some(Err(error)) => tell(&line.answer("", error, printing::columns())),
            None => printing::to_stderr("no longer waiting for it\n"),
        }
        Ok(())
    }

    /// The value of a script as a chart, or the last one.
    fn plot(&mut self, input: &str, script: &str) -> Result<(), CliError> {
        let played = if script.is_empty() { None } else { self.play(input, script)? };
        let last = self.sessions.current().notebook.value().filter(|_| script.is_empty());
        let Some(value) = played.as_deref().or(last) else {
            if script.is_empty() {
                printing::to_stderr("there is no value yet: play something, or :plot [1, 4, 9]\n");
            }
            return Ok(());
        };
        let (width, rows) = printing::stdout_size().unwrap_or((80, 24));
        match plot::lines(value, Size { width, height: rows.saturating_sub(MARGIN).min(plot::MAX_ROWS) }) {
            Ok(chart) => say(&chart),
            Err(wanted) => {
                tell_prose(&wanted);
                Ok(())
            }
        }
    }

    fn go_to(&mut self, place: &str) {
        let Self { runtime, sessions, interrupts, .. } = self;
        let opened = runtime.block_on(unless_interrupted(interrupts, sessions.on(place)));
        self.turn_to(opened.unwrap_or(Err(CliError::Interrupted)));
    }

    fn be(&mut self, name: &KeyName) {
        let session = self.sessions.current();
        if session.link.is_throwaway {
            printing::to_stderr(
                "the throw-away circle knows the key that was made for it, and no other\n  go to a circle: :use WHERE\n",
            );
            return;
        }
        if session.link.key().as_ref() == Some(name) {
            return printing::to_stderr(&format!("you are {name} here\n"));
        }
        let Self { runtime, sessions, interrupts, .. } = self;
        let proved = sessions.unlock(name).and_then(|keypair| {
            let proved = runtime.block_on(unless_interrupted(interrupts, sessions.prove(name, keypair)));
            proved.unwrap_or(Err(CliError::Interrupted))
        });
        self.turn_to(proved);
    }

    /// Goes to a session, unless it could not be opened.
    fn turn_to(&mut self, opened: Result<usize, CliError>) {
        match opened {
            Ok(index) => {
                self.sessions.turn_to(index);
                self.recall();
            }
            Err(error) => printing::report(&error),
        }
    }

    fn load(&mut self, input: &str, file: &Path) -> Result<(), CliError> {
        match script::load(file) {
            Ok(script) => {
                if let Some(result) = self.play(input, &script)? {
                    show(&result)?;
                }
            }
            Err(error) => printing::report(&error),
        }
        Ok(())
    }

    fn save(&self, file: &Path, is_over: bool) {
        let session = self.sessions.current();
        let saved = session.notebook.save(&session.link.place.to_string());
        if saved.inputs == 0 {
            return printing::to_stderr("nothing was played here yet\n");
        }
        match script::write(file, &saved.script, is_over) {
            Ok(()) => printing::to_stderr(&format!("{}\n", saved.said(file))),
            Err(error) => printing::report(&error),
        }
    }

    /// Has a text edited, to stand at the next prompt.
    pub(super) fn edit(&mut self, text: &str) {
        let _its = self.notes.held();
        match outside::edit(&self.quiet, text) {
            // What is typed cannot hold control characters, and neither can what comes from a file.
            Ok(Some(text)) => self.text = visible(&text).into_owned(),
            // As it was, so that nothing is lost.
            Ok(None) => text.clone_into(&mut self.text),
            Err(error) => {
                text.clone_into(&mut self.text);
                printing::report(&error);
            }
        }
    }

    /// The inputs that have a text in them, newest last.
    fn typed(&self, part: &str) -> Vec<Line> {
        let history = self.editor.history();
        let inputs = (0..history.len()).rev().filter_map(|index| {
            let entry = history.get(index, SearchDirection::Reverse).ok()??;
            Some((index + 1, entry.entry))
        });
        history::lines(inputs, part)
    }

    /// Shows lines, in the pager if they are more than the screen has.
    pub(super) fn page(&self, lines: &[Line]) -> Result<(), CliError> {
        let text = painted(lines);
        let is_long = printing::stdout_size().is_some_and(|(columns, rows)| {
            lines.iter().map(|line| line.width().div_ceil(columns.max(1)).max(1)).sum::<usize>() + MARGIN > rows
        });
        if !is_long {
            return Ok(printing::to_stdout(&text)?);
        }
        let _its = self.notes.held();
        outside::page(&self.quiet, &text)
    }
}

/// Says something of the REPL's own.
fn tell_prose(text: &str) {
    let lines = Line::of(Style::Plain, text).wrapped(printing::columns());
    printing::to_stderr(&lines.iter().map(|line| format!("{line}\n")).collect::<Vec<_>>().concat());
}
