//! Requests that sessions pass on to the REPL: help, other circles and keys, the editor, the history, the pager.

use std::io::IsTerminal;

use console::{
    commands, history,
    session::{FanOutTarget, SessionHandle, SessionRequest, ShellCommand},
};
use frontend::{error::CliError, text::StyledLine, visible::visible};
use terminal::{
    clipboard,
    modes::{self, Interrupts},
    output::{self, Paint},
    pager,
};

use super::{
    NextStep, Repl, SCREEN_MARGIN, Sessions, external_programs, input_renderer::paint_lines, keymap, unless_interrupted,
};

impl Repl {
    pub(super) fn handle_request(&mut self, request: SessionRequest) -> Result<NextStep, CliError> {
        match request {
            SessionRequest::Quit => return Ok(NextStep::Quit),
            SessionRequest::Help(topic) => {
                let width = output::stdout_size().map_or(usize::MAX, |(width, _)| width);
                let lines = commands::help(&topic, keymap::KEYS);
                self.page(&lines.iter().flat_map(|line| line.wrapped(width)).collect::<Vec<_>>())?;
            }
            SessionRequest::Use(named) => {
                let Self { runtime, sessions, interrupts, .. } = self;
                let opened = runtime.block_on(unless_interrupted(interrupts, sessions.session_on(&named)));
                self.switch_to(opened.unwrap_or(Err(CliError::Interrupted)));
            }
            SessionRequest::UseKey(name) => {
                let Self { runtime, sessions, interrupts, .. } = self;
                let opened = runtime.block_on(unless_interrupted(interrupts, sessions.session_with_key(name)));
                self.switch_to(opened.unwrap_or(Err(CliError::Interrupted)));
            }
            SessionRequest::Edit(text) => self.edit(&text),
            SessionRequest::Copy { text, message } => copy(&text, &message),
            SessionRequest::Shell(command) => self.run_shell(&command),
            SessionRequest::History(part) => self.page(&self.history_lines(&part))?,
            // Handled while the input runs.
            SessionRequest::Unlock(_) | SessionRequest::NoKey(_) | SessionRequest::FanOut(_) => {}
        }
        Ok(NextStep::Prompt)
    }

    /// Switches to a session, unless it could not be opened.
    fn switch_to(&mut self, opened: Result<usize, CliError>) {
        match opened {
            Ok(index) => {
                self.sessions.switch_to(index);
                self.enter_session();
            }
            Err(error) => output::report(&error),
        }
    }

    /// Opens a text in the editor; the result stands at the next prompt.
    pub(super) fn edit(&mut self, text: &str) {
        let _terminal = self.notes.hold();
        match external_programs::edit(&self.quiet, text) {
            // A prompt cannot hold control characters, so those of a file are made visible.
            Ok(Some(text)) => self.initial_text = visible(&text).into_owned(),
            // The editor failed: keep the text, so that nothing is lost.
            Ok(None) => text.clone_into(&mut self.initial_text),
            Err(error) => {
                text.clone_into(&mut self.initial_text);
                output::report(&error);
            }
        }
    }

    /// Hands the terminal to a command in the user's shell.
    fn run_shell(&mut self, command: &ShellCommand) {
        let _terminal = self.notes.hold();
        match external_programs::run_shell(&self.quiet, command) {
            Ok(None) => {}
            Ok(Some(ended)) => output::to_stderr(&format!("{}\n", Paint::for_stderr().dim(&ended))),
            Err(error) => output::report(&error),
        }
    }

    /// Returns the inputs of this circle that contain a text, newest last.
    fn history_lines(&self, part: &str) -> Vec<StyledLine> {
        history::lines(&self.line.inputs_here(), part)
    }

    /// Shows lines, in the pager if they do not fit on the screen.
    pub(super) fn page(&self, lines: &[StyledLine]) -> Result<(), CliError> {
        let text = paint_lines(lines);
        let is_long = output::stdout_size().is_some_and(|(columns, rows)| {
            lines.iter().map(|line| line.width().div_ceil(columns.max(1)).max(1)).sum::<usize>() + SCREEN_MARGIN > rows
        });
        if !is_long {
            return Ok(output::to_stdout(&text)?);
        }
        let (_notes, _terminal) = (self.notes.hold(), self.quiet.pause());
        pager::page(&text)
    }
}

/// Copies a text to the clipboard of the terminal.
fn copy(text: &str, message: &str) {
    if modes::is_dumb() || !std::io::stdout().is_terminal() {
        return output::report(&CliError::usage(
            "cannot copy the value",
            "this terminal has no clipboard",
            "write it to a file: :json FILE",
        ));
    }
    match clipboard::copy(text) {
        Ok(()) => output::to_stderr(&format!("{}\n", Paint::for_stderr().dim(message))),
        Err(error) => output::report(&CliError::io("cannot copy the value", &error, "write it to a file: :json FILE")),
    }
}

/// Opens a session on each circle of a fan-out, and passes them to the session that requested it. A circle that cannot
/// be reached does not keep the others from playing.
pub(super) async fn fan_out(
    sessions: &mut Sessions,
    origin_session: &SessionHandle,
    labels: Vec<String>,
    interrupts: &mut Interrupts,
) {
    let mut targets: Vec<(usize, FanOutTarget)> = Vec::new();
    for label in labels {
        let input_counts: Vec<usize> = sessions.input_counts();
        let index = match unless_interrupted(interrupts, sessions.session_on(&label)).await {
            Some(Ok(index)) => index,
            Some(Err(error)) => {
                output::report(&error);
                continue;
            }
            None => {
                output::report(&CliError::Interrupted);
                targets.clear();
                break;
            }
        };
        let session = sessions.nth(index).session.clone();
        let state = session.state();
        if input_counts.get(index).is_some_and(|input_counts| state.inputs < *input_counts) {
            output::to_stderr(&format!(
                "{label}: skipped, because its variables are gone; repeat :each to play there anyway\n"
            ));
        } else if state.is_ready() && !targets.iter().any(|(other, _)| *other == index) {
            // The session itself reports why it is not ready.
            targets.push((index, FanOutTarget { label, session }));
        }
    }
    // A session that takes no input has ended.
    let _full = origin_session.fan_out(targets.into_iter().map(|(_, target)| target).collect());
}
