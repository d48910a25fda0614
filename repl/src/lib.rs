//! The line REPL. This thread reads lines and waits for what comes of them, one after the other; connections are looked after
//! by tasks ([`link`]), and whatever is said meanwhile is said above the line ([`notes`]).

mod commands;
mod each;
mod helper;
mod keymap;
mod link;
mod notes;
mod outside;
mod running;
mod sessions;

use std::{
    io::{ErrorKind, IsTerminal},
    path::Path,
    sync::Arc,
};

use client_ws::PlayResult;
use rustyline::{Editor, error::ReadlineError, history::FileHistory};
use tokio::runtime::Runtime;

use frontend::{connect::{Connected, Keyring, Options}, error::CliError, script, text::{Line, Size}};
use console::{commands::Takes, completion::{self, Candidate, Completer}, history, notebook::Notebook, too_large, truncate, value};
use terminal::{connect, modes::{Interrupts, Quiet}, printing::{self, Paint, line_to_stdout, to_stdout}, waiting};
use helper::Typing;
pub use keymap::EditMode;
use keymap::Pressed;
use notes::Notes;
use running::Ended;
use sessions::Sessions;

/// Rows of the screen that a value leaves free.
const MARGIN: usize = 4;

/// A REPL on a terminal.
struct Repl {
    runtime: Runtime,
    editor: Editor<Typing, FileHistory>,
    sessions: Sessions,
    interrupts: Interrupts,
    notes: Notes,
    pressed: Arc<Pressed>,
    quiet: Quiet,
    /// What stands at the next prompt.
    text: String,
}

/// Reads, plays, prints, until Ctrl-D. Without a terminal: one script, all of standard input.
///
/// # Errors
///
/// The circle cannot be reached or does not admit the key; without a terminal also what the script ended with.
pub fn run(asked: Option<&str>, options: &Options, mode: Option<EditMode>) -> Result<(), CliError> {
    let runtime = connect::client_runtime()?;
    let mut keyring = Keyring::default();
    // All the time, so that there is no moment in which something typed is echoed or changed.
    let quiet = std::io::stdin().is_terminal().then(Quiet::begin);
    let connected = connect::connect(&runtime, asked, options, &mut keyring)?;
    if let Some(quiet) = quiet {
        Repl::new(runtime, connected, keyring, quiet, options, mode)?.run()
    } else {
        run_script(&runtime, &connected)
    }
}

/// Everything that is piped in is one script.
fn run_script(runtime: &Runtime, connected: &Connected) -> Result<(), CliError> {
    let script = script::read(std::io::stdin().lock()).map_err(|error| script::cannot_read("-", &error))?;
    let (mut interrupts, mut notebook) = (interrupts(runtime)?, Notebook::default());
    let played = running::play(&connected.client, &script, &mut interrupts, &mut notebook);
    match runtime.block_on(played)? {
        Ended::Value(result, _) if result.output.is_empty() => Ok(()),
        Ended::Value(result, _) => Ok(line_to_stdout(&result.output)?),
        Ended::Error(error) => Err(CliError::answer(&script, &connected.place, error)),
        Ended::Interrupted | Ended::GivenUp => Err(CliError::Interrupted),
    }
}

fn interrupts(runtime: &Runtime) -> Result<Interrupts, CliError> {
    let _in_it = runtime.enter();
    Interrupts::claim()
}

impl Repl {
    fn new(
        runtime: Runtime,
        connected: Connected,
        keyring: Keyring,
        quiet: Quiet,
        options: &Options,
        mode: Option<EditMode>,
    ) -> Result<Self, CliError> {
        let interrupts = interrupts(&runtime)?;
        let config = keymap::config(mode).map_err(|error| unusable(&error))?;
        let mut editor: Editor<Typing, FileHistory> = Editor::with_config(config).map_err(|error| unusable(&error))?;
        let pressed = Arc::new(Pressed::default());
        keymap::bind(&mut editor, &pressed);
        // Without it (a terminal that can do nothing) notes come when they come.
        let notes = Notes::start(editor.create_external_printer().ok());
        notes.take_logs()?;
        let sessions = Sessions::new(runtime.handle().clone(), connected, notes.clone(), keyring, options);
        let line = sessions.current().link.line().clone();
        let config = options.config.clone();
        let known = move |takes: Takes, begun: &str| match takes {
            Takes::Circle => sessions::circles(config.as_deref()),
            Takes::Key => sessions::keys(),
            Takes::File => completion::files(begun),
            _ => Vec::<Candidate>::new(),
        };
        let completer = Completer::new(runtime.handle().clone(), line.client.clone(), known);
        editor.set_helper(Some(Typing::new(completer, line)));
        let mut repl = Self { runtime, editor, sessions, interrupts, notes, pressed, quiet, text: String::new() };
        repl.recall();
        Ok(repl)
    }

    fn run(mut self) -> Result<(), CliError> {
        to_stdout(&self.greeting())?;
        loop {
            self.sessions.current_mut().look();
            let prompt = helper::prompt(&self.sessions.current().link);
            let text = std::mem::take(&mut self.text);
            let read = {
                let _prompting = self.notes.prompting();
                self.editor.readline_with_initial(&prompt, (&text, ""))
            };
            match read {
                Ok(input) if input.trim().is_empty() => drop(self.is_connected(&input)),
                Ok(input) => {
                    self.remember(&input);
                    if self.take(&input)? == Next::Leave {
                        return Ok(());
                    }
                }
                Err(ReadlineError::Interrupted) => match self.pressed.take_edit() {
                    Some(text) => self.edit(&text),
                    None if self.pressed.found_nothing() => printing::to_stderr("Ctrl-D leaves\n"),
                    None => {}
                },
                Err(ReadlineError::Eof) => return Ok(()),
                Err(ReadlineError::Io(error)) if error.kind() == ErrorKind::InvalidData => {
                    self.notes.complain("what was typed is not UTF-8, and is not taken");
                }
                Err(error) => return Err(unusable(&error)),
            }
        }
    }

    fn greeting(&self) -> String {
        let paint = Paint::for_stdout();
        let link = &self.sessions.current().link;
        let place = if link.is_throwaway {
            "a throw-away circle in this process, for you alone".to_owned()
        } else {
            format!("{} at {}", helper::name(link), link.client.url())
        };
        format!(
            "{} {} · {place}\n{}\n",
            paint.strong("circles"),
            env!("CARGO_PKG_VERSION"),
            paint.dim("Rhai · :help shows what else · Ctrl-C cancels a play · Ctrl-D leaves"),
        )
    }

    /// Takes up the history of the current session's circle and key.
    fn recall(&mut self) {
        let session = self.sessions.current();
        // What is in memory only.
        let _emptied = self.editor.clear_history();
        if let Some(file) = session.history().existing()
            && let Err(error) = self.editor.load_history(file)
        {
            self.notes.complain(&history::unreadable(file, &error));
        }
        let line = session.link.line().clone();
        if let Some(helper) = self.editor.helper_mut() {
            helper.turn_to(line);
        }
    }

    fn remember(&mut self, input: &str) {
        if !history::is_kept(input) || !self.editor.add_history_entry(input).unwrap_or(false) {
            return;
        }
        let editor = &mut self.editor;
        let append = |file: &Path| editor.append_history(file).map_err(|error| error.to_string());
        if let Err(error) = self.sessions.current().history().append_with(append) {
            printing::to_stderr(&format!("{error}\n"));
        }
    }

    fn take(&mut self, input: &str) -> Result<Next, CliError> {
        if let Some(command) = input.trim().strip_prefix(':') {
            return self.obey(input, command);
        }
        if let Some(result) = self.play(input, input)? {
            show(&result)?;
        }
        Ok(Next::Prompt)
    }

    /// Plays a script that an input asks for, and tells whatever keeps it from having a value.
    fn play(&mut self, input: &str, script: &str) -> Result<Option<Arc<PlayResult>>, CliError> {
        if !self.is_connected(input) {
            return Ok(None);
        }
        if let Some(why) = too_large(&self.sessions.current().link.circle().limits, script) {
            printing::to_stderr(&format!("{why}\n"));
            self.put_back(input);
            return Ok(None);
        }
        let Self { runtime, sessions, interrupts, .. } = self;
        let session = sessions.current_mut();
        let line = session.link.line().clone();
        let _asking = line.asking();
        match runtime.block_on(running::play(&line.client, script, interrupts, &mut session.notebook))? {
            Ended::Value(result, round_trip) => {
                session.went_well(script, result.clone(), round_trip);
                return Ok(Some(result));
            }
            Ended::Error(error) => {
                tell(&session.answered_wrong(script, error, printing::columns()));
                return Ok(None);
            }
            Ended::Interrupted => printing::to_stderr("cancelled; the session and what it had done are kept\n"),
            Ended::GivenUp => {
                printing::to_stderr(
                    "no longer waiting for it; it may still be running, and what comes next waits for it\n",
                );
            }
        }
        self.sessions.current_mut().went_wrong(&[], false);
        Ok(None)
    }

    /// Whether there is a connection for an input. Where one is made for it now and variables are gone with the one before,
    /// the input is put back instead: whoever typed it did so for a session that is no more.
    fn is_connected(&mut self, input: &str) -> bool {
        if self.sessions.current().link.is_on() {
            return true;
        }
        let line = self.sessions.current().link.line().clone();
        let held = self.sessions.current().notebook.inputs();
        match self.until_interrupt("connecting", line.restore()) {
            None => {
                printing::to_stderr("not connected\n");
                self.put_back(input);
            }
            Some(Ok(())) => {
                self.sessions.current_mut().look();
                if held == 0 || self.sessions.current().notebook.inputs() == held {
                    return true;
                }
                input.clone_into(&mut self.text);
            }
            Some(Err(error)) => {
                printing::report(&CliError::Client { place: line.place.clone(), error });
                self.put_back(input);
            }
        }
        false
    }

    /// What was not played is not lost: it is in the history, or else at the next prompt.
    fn put_back(&mut self, input: &str) {
        if !history::is_kept(input) {
            input.clone_into(&mut self.text);
        } else if !input.trim().is_empty() {
            printing::to_stderr("  what you typed is in the history (Up)\n");
        }
    }

    /// `None` if Ctrl-C came first.
    fn until_interrupt<T>(&mut self, what: &str, future: impl Future<Output = T>) -> Option<T> {
        let Self { runtime, interrupts, .. } = self;
        runtime.block_on(unless_interrupted(interrupts, waiting::shown(what, future)))
    }
}

/// `None` if Ctrl-C came first.
async fn unless_interrupted<T>(interrupts: &mut Interrupts, future: impl Future<Output = T>) -> Option<T> {
    interrupts.forget().await;
    tokio::select! {
        done = future => Some(done),
        () = interrupts.next() => None,
    }
}

/// Shows a value, folded to the screen.
fn show(result: &PlayResult) -> Result<(), CliError> {
    let (width, rows) = printing::stdout_size().unwrap_or((usize::MAX, usize::MAX));
    let size = Size { width, height: rows.saturating_sub(MARGIN) };
    say(&truncate::folded(value::lines_of(result, width), size))
}

/// Says what went wrong.
fn tell(lines: &[Line]) {
    let paint = Paint::for_stderr();
    printing::to_stderr(&lines.iter().map(|line| paint.line(line) + "\n").collect::<String>());
}

/// Prints lines.
fn say(lines: &[Line]) -> Result<(), CliError> {
    Ok(to_stdout(&painted(lines))?)
}

fn painted(lines: &[Line]) -> String {
    let paint = Paint::for_stdout();
    lines.iter().map(|line| paint.line(line) + "\n").collect()
}

#[derive(PartialEq, Eq)]
enum Next {
    Prompt,
    Leave,
}

fn unusable(error: &ReadlineError) -> CliError {
    CliError::usage("cannot read from this terminal", error.to_string(), "pipe a script in: circles play -")
}
