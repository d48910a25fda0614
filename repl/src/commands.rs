//! What sessions leave to the REPL: help, other circles and keys, the editor, the history, the pager.

use console::{
    commands, history,
    session::{FanOutTarget, SessionHandle, SessionRequest},
};
use frontend::{error::CliError, text::StyledLine, visible::visible};
use rustyline::history::{History, SearchDirection};
use terminal::{modes::Interrupts, output};

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
            SessionRequest::History(part) => self.page(&self.history_lines(&part))?,
            // Answered while the input is awaited.
            SessionRequest::Unlock(_) | SessionRequest::NoKey(_) | SessionRequest::FanOut(_) => {}
        }
        Ok(NextStep::Prompt)
    }

    /// Goes to a session, unless it could not be opened.
    fn switch_to(&mut self, opened: Result<usize, CliError>) {
        match opened {
            Ok(index) => {
                self.sessions.switch_to(index);
                self.load_history();
            }
            Err(error) => output::report(&error),
        }
    }

    /// Has a text edited, to stand at the next prompt.
    pub(super) fn edit(&mut self, text: &str) {
        let _terminal = self.notes.hold();
        match external_programs::edit(&self.quiet, text) {
            // What is typed cannot hold control characters, and neither can what comes from a file.
            Ok(Some(text)) => self.initial_text = visible(&text).into_owned(),
            // As it was, so that nothing is lost.
            Ok(None) => text.clone_into(&mut self.initial_text),
            Err(error) => {
                text.clone_into(&mut self.initial_text);
                output::report(&error);
            }
        }
    }

    /// The inputs that have a text in them, newest last.
    fn history_lines(&self, part: &str) -> Vec<StyledLine> {
        let history = self.editor.history();
        let inputs = (0..history.len()).rev().filter_map(|index| {
            let entry = history.get(index, SearchDirection::Reverse).ok()??;
            Some((index + 1, entry.entry))
        });
        history::lines(inputs, part)
    }

    /// Shows lines, in the pager if they are more than the screen has.
    pub(super) fn page(&self, lines: &[StyledLine]) -> Result<(), CliError> {
        let text = paint_lines(lines);
        let is_long = output::stdout_size().is_some_and(|(columns, rows)| {
            lines.iter().map(|line| line.width().div_ceil(columns.max(1)).max(1)).sum::<usize>() + SCREEN_MARGIN > rows
        });
        if !is_long {
            return Ok(output::to_stdout(&text)?);
        }
        let _terminal = self.notes.hold();
        external_programs::page(&self.quiet, &text)
    }
}

/// Opens a session on each of the circles that a script is to be played on, and hands them to the session that asks. A
/// circle that cannot be had keeps none of the others from playing.
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
            output::to_stderr(&format!("{label}: not played, since its variables are gone; :each again does it\n"));
        } else if state.is_ready() && !targets.iter().any(|(other, _)| *other == index) {
            // Why a session is not ready is reported.
            targets.push((index, FanOutTarget { label, session }));
        }
    }
    // A session that takes no input has ended.
    let _full = origin_session.fan_out(targets.into_iter().map(|(_, target)| target).collect());
}
