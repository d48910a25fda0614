//! What was played in a session: its inputs, to be written as a script, and what the last play came to.

mod save;

use std::{path::Path, sync::Arc, time::Duration};

use client_ws::{ClientError, PlayResult, RpcError};

use crate::history;
use frontend::text::{self, Style, StyledLine};
use frontend::visible::visible;

/// Inputs that are kept.
const MAX_INPUTS: usize = 10_000;

/// Bytes of inputs that are kept.
const MAX_BYTES: usize = 8 << 20;

/// Lines of an error that are kept.
const MAX_ERROR: usize = 1000;

/// Bytes of a play's prints that are kept.
const MAX_PRINTS: usize = 4 << 20;

/// One session's plays.
#[derive(Debug, Default)]
pub struct Notebook {
    inputs: Vec<NotebookInput>,
    bytes: usize,
    /// Inputs that found no room.
    dropped: usize,
    /// Plays that did not go well, and may have done something before.
    failed: usize,
    /// Those of the environment before this one, until something is played in this one.
    is_from_lost_session: bool,
    last: LastPlay,
    /// The last script, however it ended.
    last_script: String,
    /// The last value other than `()`.
    value: Option<Arc<PlayResult>>,
}

/// An input that was played, and went well.
#[derive(Debug)]
struct NotebookInput {
    script: String,
    /// Whether `ans` was bound to its value.
    has_value: bool,
}

/// What the last play printed and answered.
#[derive(Debug, Default)]
pub struct LastPlay {
    /// A line each.
    prints: String,
    is_cut: bool,
    /// What was said of it, if it went wrong.
    error: Vec<StyledLine>,
    /// Its answer, unless it went wrong.
    took: Option<PlayTiming>,
    /// Whether its value is the last one that there is.
    has_value: bool,
}

/// What a play took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlayTiming {
    /// In the circle.
    pub elapsed: Duration,
    /// Operations that the script took, as the circle counts them.
    pub operations: u64,
    /// Until its answer was here.
    pub round_trip: Duration,
}

/// Inputs as one script.
#[derive(Debug, PartialEq, Eq)]
pub struct SavedScript {
    /// The script, with a comment at its beginning that says where it is from.
    pub script: String,
    /// How many inputs are in the script.
    pub inputs: usize,
    /// What its reader is to know.
    pub notes: Vec<String>,
}

/// Whether a play that ended so has cost the environment.
pub fn costs_environment(error: &ClientError) -> bool {
    matches!(error, ClientError::Rpc(RpcError::EnvironmentLost { .. }))
}

impl Notebook {
    /// A play begins.
    pub fn begin_play(&mut self, script: &str) {
        script.clone_into(&mut self.last_script);
        self.last = LastPlay::default();
    }

    /// It has printed something.
    pub fn add_print(&mut self, text: &str) {
        let last = &mut self.last;
        if last.prints.len() + text.len() < MAX_PRINTS {
            last.prints.push_str(text);
            last.prints.push('\n');
        } else {
            last.is_cut = true;
        }
    }

    /// It has ended, and went well.
    pub fn record_success(&mut self, script: &str, result: Arc<PlayResult>, round_trip: Duration) {
        let has_value = result.r#type != "()";
        if std::mem::take(&mut self.is_from_lost_session) {
            self.clear();
        }
        if self.inputs.len() < MAX_INPUTS && self.bytes + script.len() <= MAX_BYTES {
            self.bytes += script.len();
            self.inputs.push(NotebookInput { script: script.to_owned(), has_value });
        } else {
            self.dropped += 1;
        }
        self.last.took = Some(PlayTiming {
            elapsed: Duration::from_micros(result.elapsed_us),
            operations: result.operations,
            round_trip,
        });
        self.last.has_value = has_value;
        if has_value {
            self.value = Some(result);
        }
    }

    /// It has ended, and went wrong; what was said of it, and whether it cost the environment.
    pub fn record_failure(&mut self, lines: &[StyledLine], is_lost: bool) {
        self.failed += 1;
        if is_lost {
            self.mark_lost();
        }
        self.last.error = lines.iter().take(MAX_ERROR).cloned().collect();
    }

    /// The environment is a fresh one. What was played in the old one can still be written.
    pub fn mark_lost(&mut self) {
        self.is_from_lost_session = true;
    }

    /// A fresh environment was asked for.
    pub fn reset(&mut self) {
        self.clear();
        self.value = None;
        self.is_from_lost_session = false;
    }

    fn clear(&mut self) {
        self.inputs.clear();
        (self.bytes, self.dropped, self.failed) = (0, 0, 0);
    }

    /// How many inputs have made what the environment holds.
    pub fn inputs(&self) -> usize {
        if self.is_from_lost_session { 0 } else { self.inputs.len() }
    }

    /// The last script that was played, however it ended; empty before.
    pub fn last_script(&self) -> &str {
        &self.last_script
    }

    /// The last value other than `()`.
    pub fn value(&self) -> Option<&PlayResult> {
        self.value.as_deref()
    }

    /// What went well, as a script that runs again.
    pub fn save(&self, place: &str) -> SavedScript {
        let mut saved = save::build_script(&self.inputs, place);
        if self.is_from_lost_session && saved.inputs > 0 {
            saved.notes.push("they are of the session that was lost".to_owned());
        }
        if self.failed > 0 {
            let plural = if self.failed == 1 { "play" } else { "plays" };
            saved
                .notes
                .push(format!("{} {plural} that went wrong left out, with what came before the error", self.failed));
        }
        if self.dropped > 0 {
            saved.notes.push(format!("{} later ones found no room and are not in it", self.dropped));
        }
        saved
    }

    /// Everything that the last play printed, and its value as `shown` shows it.
    pub fn last(&self, format: impl FnOnce(&PlayResult) -> Vec<StyledLine>) -> Vec<StyledLine> {
        let mut lines = match self.last.prints.strip_suffix('\n') {
            Some(prints) => text::lines(Style::Plain, prints),
            None => Vec::new(),
        };
        if self.last.is_cut {
            lines.push(StyledLine::of(
                Style::Dim,
                &format!("… more than {} MiB: the rest is not kept", MAX_PRINTS >> 20),
            ));
        }
        if let Some(value) = self.value().filter(|_| self.last.has_value) {
            lines.extend(format(value));
        }
        lines.extend(self.last.error.iter().cloned());
        if lines.is_empty() {
            lines.push(StyledLine::of(Style::Dim, "the last play printed nothing, and its value is ()"));
        }
        lines
    }

    /// What the last play took.
    pub fn timing_line(&self) -> StyledLine {
        match self.last.took {
            Some(took) => took.line(),
            None => StyledLine::of(Style::Dim, "there is no play yet that went well"),
        }
    }
}

impl SavedScript {
    /// What is said once it is in a file.
    pub fn summary(&self, file: &Path) -> String {
        let plural = if self.inputs == 1 { "" } else { "s" };
        let mut lines = format!("{} input{plural} in {}", self.inputs, visible(&file.display().to_string()));
        if history::holds_secret(&self.script) {
            lines.push_str("; it holds what could be a secret key");
        }
        for note in &self.notes {
            lines.push_str(&format!("; {}", visible(note)));
        }
        lines
    }
}

impl PlayTiming {
    /// The three figures in one line.
    pub fn line(self) -> StyledLine {
        let text = format!(
            "{} in the circle, {} operations, {} until the answer was here",
            rounded(self.elapsed),
            self.operations,
            rounded(self.round_trip),
        );
        StyledLine::of(Style::Dim, &text)
    }
}

/// Three digits and a unit.
fn rounded(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        0.0..1e3 => format!("{micros:.0} µs"),
        1e3..1e4 => format!("{:.2} ms", micros / 1e3),
        1e4..1e6 => format!("{:.0} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(of: &str, value: &str) -> Arc<PlayResult> {
        let raw = serde_json::value::RawValue::from_string(value.to_owned()).expect("JSON");
        PlayResult { output: value.into(), r#type: of.into(), value: raw, elapsed_us: 1500, operations: 7 }.into()
    }

    #[test]
    fn lost_inputs_can_be_saved_until_the_next_play() {
        let mut notebook = Notebook::default();
        notebook.record_success("let x = 1", result("()", "null"), Duration::ZERO);
        notebook.mark_lost();
        assert_eq!(notebook.inputs(), 0);
        let saved = notebook.save("here");
        assert!(saved.script.contains("let x = 1;") && saved.notes.len() == 1, "{saved:?}");
        notebook.record_success("2", result("i64", "2"), Duration::ZERO);
        let saved = notebook.save("here");
        assert!(!saved.script.contains("let x") && saved.script.contains("2;") && saved.notes.is_empty(), "{saved:?}");
    }

    #[test]
    fn last_play_is_kept_with_bounded_prints() {
        let mut notebook = Notebook::default();
        notebook.begin_play("1");
        notebook.add_print("one");
        notebook.record_success("1", result("i64", "1"), Duration::from_millis(12));
        let format = |notebook: &Notebook| {
            let lines = notebook.last(|value| vec![StyledLine::of(Style::Plain, &value.output)]);
            lines.iter().map(StyledLine::to_string).collect::<Vec<_>>()
        };
        assert_eq!(format(&notebook), ["one", "1"]);
        assert_eq!(
            notebook.timing_line().to_string(),
            "1.50 ms in the circle, 7 operations, 12 ms until the answer was here"
        );
        notebook.begin_play("1");
        for _ in 0..5 {
            notebook.add_print(&"x".repeat(1 << 20));
        }
        let format = format(&notebook);
        assert_eq!((format.len(), format[3].as_str()), (4, "… more than 4 MiB: the rest is not kept"));
        // `:plot` still has the value of the play before.
        assert_eq!(notebook.value().map(|value| value.output.as_str()), Some("1"));
    }
}
