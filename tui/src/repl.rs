//! The line REPL: its history, its `:` commands, and a play while it runs.

mod helper;
mod running;

use std::{io::IsTerminal, path::Path};

use client_ws::{ClientError, Notice};
use keys::keystore::KeyName;
use rustyline::{Cmd, CompletionType, Config, Editor, KeyEvent, error::ReadlineError, history::FileHistory};
use tokio::runtime::Runtime;

use crate::{
    connect::Connected,
    console::{
        completion::Completer,
        history::{self, HistoryFile},
        meta::{self, Meta},
        report,
        text::Line,
        too_large, value,
    },
    error::CliError,
    printing::{self, Paint, line_to_stdout, to_stdout},
    script,
    terminal::{Interrupts, Quiet},
    visible::visible,
};
use helper::Typing;
use running::Ended;

/// What `:help` says of keys.
const KEYS: &[(&str, &str)] = &[
    ("Enter", "runs a complete input and continues an incomplete one; two blank lines run it as it is"),
    ("Alt-Enter", "a new line, whatever stands before it (also Ctrl-J)"),
    ("Tab", "completes: variables, functions, members of maps, commands"),
    ("Ctrl-C", "cancels the play and keeps the session; at the prompt it clears the line"),
    ("Right", "takes the grey hint from the history"),
    ("Ctrl-D", "leaves, on an empty line"),
    ("Ctrl-R", "searches the history; a line that begins with a space is not kept"),
];

/// A REPL on one circle.
pub(crate) struct Repl {
    runtime: Runtime,
    connected: Connected,
    interrupts: Interrupts,
}

impl Repl {
    pub(crate) fn new(runtime: Runtime, connected: Connected) -> Result<Self, CliError> {
        let interrupts = {
            let _in_runtime = runtime.enter();
            Interrupts::claim()?
        };
        Ok(Self { runtime, connected, interrupts })
    }

    /// Reads, plays, prints, until Ctrl-D. Without a terminal: one script, all of standard input.
    pub(crate) fn run(mut self) -> Result<(), CliError> {
        if !std::io::stdin().is_terminal() {
            return self.run_script();
        }
        let config = Config::builder()
            .auto_add_history(false)
            .completion_type(CompletionType::List)
            .max_history_size(history::MAX_INPUTS);
        let config = config.map_err(|error| unusable(&error))?.build();
        let history = self.history();
        let mut editor: Editor<Typing, FileHistory> = Editor::with_config(config).map_err(|error| unusable(&error))?;
        let completer = Completer::new(self.runtime.handle().clone(), self.connected.client.clone());
        editor.set_helper(Some(Typing::new(completer)));
        for key in [KeyEvent::alt('\r'), KeyEvent::ctrl('J')] {
            editor.bind_sequence(key, Cmd::Newline);
        }
        if let Some(file) = history.existing()
            && let Err(error) = editor.load_history(file)
        {
            printing::to_stderr(&format!("{}\n", history::unreadable(file, &error)));
        }
        // All the time, so that there is no moment in which something typed is echoed or changed.
        let _quiet = Quiet::begin();
        to_stdout(&self.greeting())?;
        loop {
            self.tell_notices();
            match editor.readline(&self.prompt()) {
                Ok(input) if input.trim().is_empty() => {}
                Ok(input) => {
                    remember(&mut editor, &history, &input);
                    if self.take(&input)? == Next::Leave {
                        return Ok(());
                    }
                }
                Err(ReadlineError::Interrupted) => printing::to_stderr("Ctrl-D leaves\n"),
                Err(ReadlineError::Eof) => return Ok(()),
                Err(error) => return Err(unusable(&error)),
            }
        }
    }

    fn history(&self) -> HistoryFile {
        let circle = &self.connected;
        let place =
            if circle.is_throwaway { circle.circle.name.clone() } else { circle.client.url().authority().to_string() };
        HistoryFile::of(history::default_directory().as_deref(), &place, circle.key.as_ref().map(KeyName::as_str))
    }

    /// Everything that is piped in is one script.
    fn run_script(mut self) -> Result<(), CliError> {
        let script = script::read(std::io::stdin().lock()).map_err(|error| script::cannot_read("-", &error))?;
        match self.play(&script)? {
            Ended::Value(result) if result.output.is_empty() => Ok(()),
            Ended::Value(result) => Ok(line_to_stdout(&result.output)?),
            Ended::Error(ClientError::Rpc(error)) => Err(CliError::Play { script, error }),
            Ended::Error(error) => Err(CliError::Client { place: self.connected.place, error }),
            Ended::Interrupted | Ended::GivenUp => Err(CliError::Interrupted),
        }
    }

    fn greeting(&self) -> String {
        let paint = Paint::for_stdout();
        let circle = &self.connected.circle;
        let place = if self.connected.is_throwaway {
            "a throw-away circle in this process, for you alone".to_owned()
        } else {
            format!("{} at {}", visible(&circle.name), self.connected.client.url())
        };
        format!(
            "{} {} · {place}\n{}\n",
            paint.strong("circles"),
            env!("CARGO_PKG_VERSION"),
            paint.dim("Rhai · :help shows what else · Ctrl-C cancels a play · Ctrl-D leaves"),
        )
    }

    /// Where, as whom, and whether it was proved.
    fn prompt(&self) -> String {
        let name = visible(&self.connected.circle.name);
        match &self.connected.key {
            _ if !self.connected.client.is_connected() => format!("{name} (disconnected)> "),
            Some(key) => format!("{name} ⚿ {key}> "),
            None => format!("{name}> "),
        }
    }

    /// What the circle told while nothing was asked.
    fn tell_notices(&mut self) {
        while let Some(notice) = self.connected.client.take_notice() {
            if let Notice::EnvironmentLost { reason } = notice {
                printing::to_stderr(&format!(
                    "the circle lost this session's environment ({reason}): variables are gone\n"
                ));
            }
        }
    }

    fn take(&mut self, input: &str) -> Result<Next, CliError> {
        if !self.is_connected_again() {
            return Ok(Next::Prompt);
        }
        if let Some(command) = input.trim().strip_prefix(':') {
            return self.obey(command);
        }
        if let Some(why) = too_large(&self.connected.circle.limits, input) {
            printing::to_stderr(&format!("{why}; it is in the history (Up)\n"));
            return Ok(Next::Prompt);
        }
        match self.play(input)? {
            Ended::Value(result) => {
                let width = printing::stdout_size().map_or(usize::MAX, |(width, _)| width);
                say(&value::lines_of(&result, width))?;
            }
            Ended::Error(error) => self.tell(input, error),
            Ended::Interrupted => {
                printing::to_stderr("cancelled; the session and what it had done are kept\n");
            }
            Ended::GivenUp => {
                printing::to_stderr("no longer waiting for it; it may still be running\n");
            }
        }
        Ok(Next::Prompt)
    }

    fn play(&mut self, script: &str) -> Result<Ended, CliError> {
        let Self { runtime, connected, interrupts, .. } = self;
        runtime.block_on(running::play(&connected.client, script, interrupts))
    }

    fn tell(&self, input: &str, error: ClientError) {
        let paint = Paint::for_stderr();
        let lines: Vec<Line> = report::client(input, &self.connected.place, error, printing::columns());
        printing::to_stderr(&lines.iter().map(|line| paint.line(line) + "\n").collect::<String>());
    }

    /// After a lost connection, a new one, proved with the same key. What was lost is said; nothing is played again.
    fn is_connected_again(&mut self) -> bool {
        if self.connected.client.is_connected() {
            return true;
        }
        let Self { runtime, connected, interrupts, .. } = self;
        let client = &mut connected.client;
        let again = until_interrupt(runtime, interrupts, async {
            client.connect().await?;
            if client.public_key().is_some() {
                client.authenticate().await?;
            }
            Ok(())
        });
        match again {
            None => {
                self.connected.client.disconnect();
                printing::to_stderr("not connected; what you typed is in the history (Up)\n");
                false
            }
            Some(Ok(())) => {
                printing::to_stderr("connected again, with a fresh session: variables are gone\n");
                true
            }
            Some(Err(error)) => {
                self.connected.client.disconnect();
                CliError::Client { place: self.connected.place.clone(), error }.report();
                printing::to_stderr("  what you typed is in the history (Up)\n");
                false
            }
        }
    }

    fn obey(&mut self, command: &str) -> Result<Next, CliError> {
        match Meta::parse(command) {
            Ok(Meta::Help) => say(&meta::help(KEYS))?,
            Ok(Meta::Quit) => return Ok(Next::Leave),
            Ok(command) => self.ask(&command)?,
            Err(hint) => printing::to_stderr(&format!("{hint}\n")),
        }
        Ok(Next::Prompt)
    }

    fn ask(&mut self, command: &Meta) -> Result<(), CliError> {
        let Self { runtime, connected, interrupts, .. } = self;
        match until_interrupt(runtime, interrupts, meta::ask(&connected.client, command)) {
            Some(Ok(said)) => say(&said),
            Some(Err(error)) => {
                self.tell("", error);
                Ok(())
            }
            None => {
                printing::to_stderr("no longer waiting for it\n");
                Ok(())
            }
        }
    }
}

/// Prints lines.
fn say(lines: &[Line]) -> Result<(), CliError> {
    let paint = Paint::for_stdout();
    Ok(to_stdout(&lines.iter().map(|line| paint.line(line) + "\n").collect::<String>())?)
}

fn remember(editor: &mut Editor<Typing, FileHistory>, history: &HistoryFile, input: &str) {
    if !history::is_kept(input) || !editor.add_history_entry(input).unwrap_or(false) {
        return;
    }
    let append = |file: &Path| editor.append_history(file).map_err(|error| error.to_string());
    if let Err(error) = history.append_with(append) {
        printing::to_stderr(&format!("{error}\n"));
    }
}

/// `None` if Ctrl-C came first.
fn until_interrupt<T>(runtime: &Runtime, interrupts: &mut Interrupts, future: impl Future<Output = T>) -> Option<T> {
    runtime.block_on(async {
        interrupts.forget().await;
        tokio::select! {
            done = future => Some(done),
            () = interrupts.next() => None,
        }
    })
}

#[derive(PartialEq, Eq)]
enum Next {
    Prompt,
    Leave,
}

fn unusable(error: &ReadlineError) -> CliError {
    CliError::usage("cannot read from this terminal", error.to_string(), "pipe a script in: circles play -")
}
