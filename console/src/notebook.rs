//! The notebook of a session: its inputs, for saving as a script, and the output and result of the last play.

mod play_timing;
mod recorded;
mod save;
mod values;

use std::{collections::VecDeque, path::Path, sync::Arc, time::Duration};

use client_ws::{ClientError, PlayResult, RpcError};
use rhai::Engine;

use crate::{highlight, history};
use frontend::text::{self, Style, StyledLine};
use frontend::visible::visible;
use play_timing::PlayTiming;
pub(crate) use recorded::NotebookInput;
use recorded::RecordedInputs;
use values::ValueHistory;

/// The maximum size of a play's kept prints, in bytes.
const MAX_PRINTS: usize = 4 << 20;

/// The maximum number of kept lines of an error.
const MAX_ERROR: usize = 1000;

/// The inputs and the last play of a session.
#[derive(Debug, Default)]
pub struct Notebook {
    /// The inputs in the current environment.
    current: RecordedInputs,
    /// The inputs in lost environments that were not played again, oldest first.
    lost: RecordedInputs,
    /// The number of current inputs before the lost ones: those that a stopped replay has played.
    before_lost: usize,
    /// Whether the user gave up the lost inputs with `:reset`.
    is_reset: bool,
    /// Whether the user has seen the lost inputs.
    is_listed: bool,
    last: LastPlay,
    /// The last script, successful or not.
    last_script: String,
    /// The last value other than `()`.
    value: Option<Arc<PlayResult>>,
    /// The last values other than `()`.
    values: ValueHistory,
}

/// The output and the result of the last play.
#[derive(Debug, Default)]
pub struct LastPlay {
    /// The prints, each followed by a newline.
    prints: String,
    is_cut: bool,
    /// The error message, if the play failed.
    error: Vec<StyledLine>,
    /// The timing, if the play succeeded.
    timing: Option<PlayTiming>,
    /// Whether the notebook's last value is the value of this play.
    has_value: bool,
    /// Whether this is the call of a function.
    is_call: bool,
}

/// The inputs of a session as one script.
#[derive(Debug, PartialEq, Eq)]
pub struct SavedScript {
    /// The script, beginning with a comment that names the circle.
    pub script: String,
    /// How many inputs are in the script.
    pub inputs: usize,
    /// Remarks for the user.
    pub notes: Vec<String>,
}

/// Whether an error means that the environment is lost.
pub fn costs_environment(error: &ClientError) -> bool {
    matches!(error, ClientError::Rpc(RpcError::EnvironmentLost { .. }))
}

impl Notebook {
    /// Records the start of a play.
    pub fn begin_play(&mut self, script: &str) {
        script.clone_into(&mut self.last_script);
        self.last = LastPlay::default();
        self.values.begin_input();
    }

    /// Records the start of a call of a function, which is no input of the environment.
    pub(crate) fn begin_call(&mut self) {
        self.last = LastPlay { is_call: true, ..LastPlay::default() };
    }

    /// Records the value of a call. It is the last value, but of no input.
    pub(crate) fn record_call(&mut self, result: Arc<PlayResult>) {
        self.last.has_value = result.r#type != "()";
        if self.last.has_value {
            self.value = Some(result);
        }
    }

    /// Records the error of a call.
    pub(crate) fn record_call_failure(&mut self, lines: &[StyledLine]) {
        self.last.error = lines.iter().take(MAX_ERROR).cloned().collect();
    }

    /// Forgets the output of the last play.
    pub(crate) fn clear_last(&mut self) {
        self.last = LastPlay::default();
    }

    /// Adds a print of the running play.
    pub fn add_print(&mut self, text: &str) {
        let last = &mut self.last;
        last.prints.push_str(text);
        last.prints.push('\n');
        if last.prints.len() > MAX_PRINTS {
            last.is_cut = true;
            // Half of it, so that not every print moves all of the text.
            let end = last.prints.ceil_char_boundary(last.prints.len() - MAX_PRINTS / 2);
            let line = last.prints[end..].find('\n').map_or(end, |at| end + at + 1);
            // A single long line keeps its end.
            let end = if line == last.prints.len() { end } else { line };
            last.prints.drain(..end);
        }
    }

    /// Records a successful play.
    pub fn record_success(&mut self, script: &str, result: Arc<PlayResult>, round_trip: Duration) {
        let has_value = result.r#type != "()";
        self.current.push(NotebookInput { script: script.to_owned(), has_value });
        self.last.timing = Some(PlayTiming {
            elapsed: Duration::from_micros(result.elapsed_us),
            operations: result.operations,
            round_trip,
        });
        self.last.has_value = has_value;
        if has_value {
            self.values.push(result.clone());
            self.value = Some(result);
        }
    }

    /// Records another run of the script that began last.
    pub fn repeat_play(&mut self) {
        self.values.begin_input();
    }

    /// Records that the circle did not start the last play.
    pub fn forget_play(&mut self) {
        self.values.forget_input();
    }

    /// Records a new connection, on which inputs are counted anew.
    pub fn begin_connection(&mut self) {
        self.values.begin_connection();
    }

    /// Records that a script was timed. Its runs are no input that could be saved.
    pub fn record_timing(&mut self) {
        self.current.timed += 1;
    }

    /// Records a failed play with its error message. `is_lost` says whether the environment was lost.
    pub fn record_failure(&mut self, lines: &[StyledLine], is_lost: bool) {
        self.current.failed += 1;
        if is_lost {
            self.mark_lost();
        }
        self.last.error = lines.iter().take(MAX_ERROR).cloned().collect();
    }

    /// Records that the environment is lost. Its inputs can still be played again, and until the next successful play
    /// they can be saved.
    pub fn mark_lost(&mut self) {
        let mut current = std::mem::take(&mut self.current);
        let before = std::mem::take(&mut self.before_lost);
        if current.is_empty() {
            self.lost.failed += current.failed;
            self.lost.timed += current.timed;
            return;
        }
        if std::mem::take(&mut self.is_reset) {
            self.lost = RecordedInputs::default();
        }
        current.insert(before, std::mem::take(&mut self.lost));
        self.lost = current;
        self.is_listed = false;
    }

    /// Records that the user has reset the environment.
    pub fn reset(&mut self) {
        let current = std::mem::take(&mut self.current);
        if !current.is_empty() {
            self.lost = current;
            (self.is_reset, self.is_listed) = (true, false);
        }
        self.before_lost = 0;
        self.value = None;
    }

    /// The names of the functions that inputs in the current environment define, sorted.
    pub fn functions(&self) -> Arc<[String]> {
        self.current.functions()
    }

    /// The number of inputs in the current environment.
    pub fn inputs(&self) -> usize {
        self.current.len()
    }

    /// Lists the inputs of the lost session for the user; `None` if there are none.
    pub fn list_lost(&mut self) -> Option<Vec<StyledLine>> {
        if self.lost.is_empty() {
            return None;
        }
        self.is_listed = true;
        Some(self.lost.lines())
    }

    /// Takes the inputs of the lost session to play them again; `None` if there are none, or if they were not listed.
    pub(crate) fn take_lost(&mut self) -> Option<VecDeque<NotebookInput>> {
        if self.lost.is_empty() || !self.is_listed {
            return None;
        }
        (self.is_reset, self.is_listed) = (false, false);
        Some(std::mem::take(&mut self.lost).into_inputs())
    }

    /// Returns the inputs that a replay has left.
    pub(crate) fn return_lost(&mut self, rest: VecDeque<NotebookInput>) {
        if self.lost.is_empty() {
            self.before_lost = self.current.len();
        }
        for input in rest {
            self.lost.push(input);
        }
        self.is_listed = false;
    }

    /// The last script, successful or not; empty before the first play.
    pub fn last_script(&self) -> &str {
        &self.last_script
    }

    /// The last value other than `()`.
    pub fn value(&self) -> Option<&PlayResult> {
        self.value.as_deref()
    }

    /// Returns the value of an input, if it is one of the last values.
    pub fn value_of(&self, number: usize) -> Option<&Arc<PlayResult>> {
        self.values.get(number)
    }

    /// Lists the last values with the numbers of their inputs.
    pub fn value_lines(&self) -> Vec<StyledLine> {
        self.values.lines()
    }

    /// Returns the source of a function of the inputs, as lines.
    pub fn source(&self, name: &str) -> Vec<StyledLine> {
        let sources = save::sources(self.current.inputs(), name);
        if sources.is_empty() {
            let text =
                format!("no input of this session defines {}; :doc NAME describes other functions", visible(name));
            return vec![StyledLine::of(Style::Dim, &text)];
        }
        let lexer = Engine::new_raw();
        sources.iter().flat_map(|source| highlight::lines(&lexer, source)).collect()
    }

    /// Returns the successful inputs as a script.
    pub fn save(&self, circle: &str) -> SavedScript {
        let is_lost = self.current.is_empty();
        let recorded = if is_lost { &self.lost } else { &self.current };
        let mut saved = save::build_script(recorded.inputs(), circle);
        if is_lost && saved.inputs > 0 {
            saved.notes.push(if self.is_reset { "from before the :reset" } else { "from the lost session" }.to_owned());
        }
        if recorded.failed > 0 {
            saved.notes.push(format!("left out {} that failed", recorded.failed));
        }
        if recorded.timed > 0 {
            saved.notes.push(format!("left out {} that :timeit ran", recorded.timed));
        }
        if recorded.dropped > 0 {
            saved.notes.push(format!("left out the last {}: the notebook is full", recorded.dropped));
        }
        if !is_lost && !self.lost.is_empty() && !self.is_reset {
            saved.notes.push(format!("left out {} of the lost session; :replay lists them", self.lost.len()));
        }
        saved
    }

    /// Returns the output and the value of the last play. `format` formats the value.
    pub fn last(&self, format: impl FnOnce(&PlayResult, bool) -> Vec<StyledLine>) -> Vec<StyledLine> {
        let mut lines = Vec::new();
        if self.last.is_cut {
            let why = format!("… more than {} MiB: the beginning was not kept", MAX_PRINTS >> 20);
            lines.push(StyledLine::of(Style::Dim, &why));
        }
        if let Some(prints) = self.last.prints.strip_suffix('\n') {
            lines.extend(text::lines(Style::Plain, prints));
        }
        if let Some(value) = self.value().filter(|_| self.last.has_value) {
            lines.extend(format(value, !self.last.is_call));
        }
        lines.extend(self.last.error.iter().cloned());
        if lines.is_empty() {
            let what = if self.last.is_call { "call" } else { "play" };
            lines.push(StyledLine::of(Style::Dim, &format!("the last {what} printed nothing, and its value was ()")));
        }
        lines
    }

    /// Returns the timing of the last play.
    pub fn timing_line(&self) -> StyledLine {
        match self.last.timing {
            Some(timing) => timing.line(),
            None => StyledLine::of(Style::Dim, "no successful play yet"),
        }
    }
}

impl SavedScript {
    /// Returns the message after saving the script to a file.
    pub fn summary(&self, file: &Path) -> String {
        let plural = if self.inputs == 1 { "" } else { "s" };
        let mut text = format!("saved {} input{plural} to {}", self.inputs, visible(&file.display().to_string()));
        let secret = history::holds_secret(&self.script).then_some("it may contain a secret key");
        let notes: Vec<_> = secret.into_iter().chain(self.notes.iter().map(String::as_str)).map(visible).collect();
        if !notes.is_empty() {
            text.push_str(&format!(" ({})", notes.join("; ")));
        }
        text
    }
}

#[cfg(test)]
mod tests;
