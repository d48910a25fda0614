//! The line REPL: rustyline in front of console sessions.
//!
//! The main thread reads lines and renders what each of them does, one after the other (`input_renderer`). Sessions
//! manage their connections on their own; their notes appear above the line that is being typed (`feed`, `notes`).

mod commands;
mod external_programs;
mod feed;
mod input_renderer;
mod key_handlers;
mod keymap;
mod line_helper;
mod line_state;
mod notes;
mod sessions;
mod status_line;

use std::{io::ErrorKind, sync::Arc};

use console::{
    commands::ArgumentKind,
    completer::Completer,
    completion::{self, CompletionItem},
    history::{self, HistoryFile, HistoryStore, SharedHistory},
};
use frontend::{
    connect::Options,
    error::CliError,
    settings::LoadedSettings,
    text::{Style, StyledLine},
};
use keys::keystore::KeyName;
use rustyline::{Editor, error::ReadlineError};
use terminal::{
    modes::{self, Interrupts, QuietTerminal},
    output::{self, Paint, to_stdout},
    runtime,
};
use tokio::runtime::Runtime;

use input_renderer::{AwaitedRequest, InputRenderer, InputResult};
use line_helper::LineHelper;
use line_state::{LineReplacement, LineState};
use notes::Notes;
use sessions::{SCREEN_MARGIN, Sessions};

/// Largest input in bytes that is put back at the prompt; a longer one is in the history.
const MAX_RESTORED_BYTES: usize = 4096;

/// REPL on a terminal.
struct Repl {
    runtime: Runtime,
    editor: Editor<LineHelper, LineReplacement>,
    sessions: Sessions,
    interrupts: Interrupts,
    notes: Notes,
    line: Arc<LineState>,
    quiet: QuietTerminal,
    /// Text of the next prompt.
    initial_text: String,
}

/// Runs the REPL until the user quits. `circle` names the circle; by default it is `$CIRCLES_CIRCLE`, or else a scratch
/// circle. Reports the mistakes in the settings file and starts all the same.
///
/// # Errors
///
/// The terminal cannot be used, the circle cannot be reached, or it does not admit the key.
pub fn run(circle: Option<&str>, options: &Options, loaded: &LoadedSettings) -> Result<(), CliError> {
    let LoadedSettings { settings, errors, .. } = loaded;
    if !settings.has_colours() {
        output::disable_colours();
    }
    errors.iter().for_each(output::report);
    let runtime = runtime::client_runtime()?;
    // For the whole run: otherwise typed characters could be echoed or changed between two prompts.
    let quiet = QuietTerminal::start();
    let history = SharedHistory::new(settings.history_size.value);
    let line = Arc::new(LineState::new(history.clone()));
    let mut editor: Editor<LineHelper, LineReplacement> =
        Editor::with_history(keymap::config(settings.edit_mode.value), LineReplacement(line.clone()))
            .map_err(|error| terminal_error(&error))?;
    // Without a printer (on a terminal that can do nothing) notes appear as they come.
    let notes = Notes::start(editor.create_external_printer().ok());
    line.set_history_file(open_history(history, settings.history_size.value, notes.clone()));
    let init = settings.init.value.clone();
    let sessions = runtime.block_on(Sessions::start(runtime.handle().clone(), notes.clone(), circle, options, init))?;
    Repl::new(runtime, (editor, line), sessions, notes, quiet, options)?.run()
}

impl Repl {
    fn new(
        runtime: Runtime,
        (mut editor, line): (Editor<LineHelper, LineReplacement>, Arc<LineState>),
        sessions: Sessions,
        notes: Notes,
        quiet: QuietTerminal,
        options: &Options,
    ) -> Result<Self, CliError> {
        let interrupts = {
            let _in_runtime = runtime.enter();
            Interrupts::claim()?
        };
        for (event, handler) in key_handlers::handlers(&line) {
            editor.bind_sequence(event, handler);
        }
        notes.capture_logs()?;
        let session = sessions.current().session.clone();
        let config = options.config.clone();
        let directory = sessions.directory();
        let candidates = move |kind: ArgumentKind, prefix: &str| match kind {
            ArgumentKind::Circle => sessions::circle_candidates(config.as_deref()),
            ArgumentKind::Key => sessions::key_candidates(),
            ArgumentKind::File => completion::file_candidates(prefix, &directory),
            _ => Vec::<CompletionItem>::new(),
        };
        let completer = Completer::new(runtime.handle().clone(), session.clone(), candidates);
        editor.set_helper(Some(LineHelper::new(completer, session, line.clone())));
        let initial_text = String::new();
        let mut repl = Self { runtime, editor, sessions, interrupts, notes, line, quiet, initial_text };
        repl.enter_session();
        Ok(repl)
    }

    fn run(mut self) -> Result<(), CliError> {
        to_stdout(&self.greeting())?;
        loop {
            let prompt = line_helper::prompt(&self.sessions.current().session);
            let text = std::mem::take(&mut self.initial_text);
            self.line.begin_line();
            self.line.read_history();
            let read = {
                let _prompting = self.notes.begin_prompt();
                self.editor.readline_with_initial(&prompt, (&text, ""))
            };
            match read {
                Ok(input) if input.trim().is_empty() => self.reconnect(),
                Ok(input) => {
                    self.line.add(&input);
                    if self.run_input(input)? == NextStep::Quit {
                        return Ok(());
                    }
                }
                Err(ReadlineError::Interrupted) => match self.line.take_external_edit() {
                    Some(text) => self.edit(&text),
                    None if self.line.was_line_empty() => output::to_stderr("press Ctrl-D to quit\n"),
                    None => {}
                },
                Err(ReadlineError::Eof) => return Ok(()),
                Err(ReadlineError::Io(error)) if error.kind() == ErrorKind::InvalidData => {
                    self.notes.warn("ignored the input: it is not valid UTF-8");
                }
                Err(error) => return Err(terminal_error(&error)),
            }
        }
    }

    fn greeting(&self) -> String {
        let paint = Paint::for_stdout();
        let current = self.sessions.current();
        let location = if current.is_scratch() {
            "a temporary circle in this process, only for you".to_owned()
        } else {
            format!("{} at {}", line_helper::circle_name(&current.session), current.session.target().url)
        };
        let version = format!(" {} · {location}", env!("CARGO_PKG_VERSION"));
        let lines = [
            StyledLine::of(Style::Strong, "circles").with(Style::Plain, &version),
            StyledLine::of(Style::Dim, "Rhai · :help lists the commands · Ctrl-C cancels a play · Ctrl-D quits"),
        ];
        let width = output::stdout_size().map_or(usize::MAX, |(width, _)| width);
        lines.iter().flat_map(|line| line.wrapped(width)).map(|line| paint.line(&line) + "\n").collect()
    }

    /// Assigns new inputs to the current session's circle and key.
    fn enter_session(&mut self) {
        let current = self.sessions.current();
        self.line.set_origin(current.input_origin());
        let session = current.session.clone();
        if let Some(helper) = self.editor.helper_mut() {
            helper.set_session(session);
        }
    }

    /// Reconnects on an empty line, if the session is disconnected.
    fn reconnect(&mut self) {
        let (index, key) = (self.sessions.index(), self.sessions.current().session.state().key);
        let Self { runtime, sessions, interrupts, .. } = self;
        let connected = runtime.block_on(unless_interrupted(interrupts, sessions.connect(index)));
        match connected {
            Some(Ok(())) => {}
            Some(Err(error)) => output::report(&error),
            // The session reports the cancellation. A session that takes no input has ended.
            None => {
                let _ended = self.sessions.current().session.cancel();
            }
        }
        self.sync_key(key.as_ref());
    }

    /// Submits an input to the current session, renders its events, and returns what to do next.
    fn run_input(&mut self, input: String) -> Result<NextStep, CliError> {
        let key = self.sessions.current().session.state().key;
        let Self { runtime, sessions, interrupts, .. } = self;
        let result = runtime.block_on(submit_and_render(sessions, interrupts, input))?;
        if !result.listing.is_empty() {
            self.page(&result.listing)?;
        }
        if !result.returned_inputs.is_empty() {
            self.restore_inputs(&result.returned_inputs);
        }
        self.sync_key(key.as_ref());
        match result.request {
            Some(request) => self.handle_request(request),
            None => Ok(NextStep::Prompt),
        }
    }

    /// Assigns new inputs to another key, if the session has authenticated with a different one.
    fn sync_key(&mut self, before: Option<&KeyName>) {
        let state = self.sessions.current().session.state();
        if state.key.as_ref() != before
            && let Some(name) = state.authenticated()
        {
            self.sessions.set_key(name.clone());
            self.enter_session();
        }
    }

    /// Restores inputs that were not played: at the next prompt if the session can play them, otherwise in the history.
    fn restore_inputs(&mut self, inputs: &[String]) {
        let is_ready = self.sessions.current().session.state().is_ready();
        for input in inputs {
            if is_ready && input.len() <= MAX_RESTORED_BYTES || !history::is_kept(input) {
                self.initial_text.clone_from(input);
            } else {
                output::to_stderr("  your input is in the history: press Up\n");
            }
        }
    }
}

/// Submits an input to the current session, and renders events until it has finished.
async fn submit_and_render(
    sessions: &mut Sessions,
    interrupts: &mut Interrupts,
    input: String,
) -> Result<InputResult, CliError> {
    interrupts.discard_pending().await;
    let session = sessions.current().session.clone();
    let mut subscription = sessions.current().listen();
    let mut renderer = InputRenderer::new();
    if session.set_size(sessions::value_size()).is_err() || session.submit(input).is_err() {
        return Err(CliError::Interrupted);
    }
    while let Some(request) = renderer.next(&session, &mut subscription, interrupts).await? {
        match request {
            AwaitedRequest::Key(name) => {
                // A full queue means that this is not the session's first input.
                let _full = match sessions.unlock(&name) {
                    Ok(()) => session.key_unlocked(name),
                    Err(error) => {
                        renderer.show_lines(&error.lines(output::stderr_columns())).await?;
                        session.keep_locked(name)
                    }
                };
            }
            AwaitedRequest::Circles(labels) => commands::fan_out(sessions, &session, labels, interrupts).await,
        }
    }
    renderer.finish(interrupts).await
}

/// Runs a future; `None` if Ctrl-C was pressed first.
async fn unless_interrupted<T>(interrupts: &mut Interrupts, future: impl Future<Output = T>) -> Option<T> {
    interrupts.discard_pending().await;
    tokio::select! {
        output = future => Some(output),
        () = interrupts.next() => None,
    }
}

#[derive(PartialEq, Eq)]
enum NextStep {
    Prompt,
    Quit,
}

/// Starts to read the history. A signal that ends the process waits for its inputs.
fn open_history(history: SharedHistory, size: usize, notes: Notes) -> HistoryFile {
    let written = history.clone();
    modes::before_exit_on_signal(move || {
        // After the timeout there is nothing else to try.
        let _is_written = written.flush();
    });
    let store = HistoryStore::new(history::default_directory(), size);
    let file = HistoryFile::open(store, history, move |outcome| {
        if let Err(error) = outcome {
            notes.warn(&error);
        }
    });
    file.read();
    file
}

fn terminal_error(error: &ReadlineError) -> CliError {
    CliError::usage("cannot read from this terminal", error.to_string(), "to run a script, pipe it into circles play -")
}
