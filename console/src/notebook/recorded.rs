//! The successful inputs of an environment, within bounds.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use frontend::text::{Style, StyledLine};
use rhai::Engine;

use super::save;
use crate::{highlight, truncate::group_digits};

/// The maximum number of inputs.
const MAX_INPUTS: usize = 10_000;

/// The maximum size of all inputs, in bytes.
const MAX_BYTES: usize = 8 << 20;

/// The maximum number of listed lines.
const MAX_LINES: usize = 1_000;

/// An input that was played successfully.
#[derive(Debug)]
pub(crate) struct NotebookInput {
    /// The script.
    pub(crate) script: String,
    /// Whether the play bound `ans` to its value.
    pub(super) has_value: bool,
}

/// The inputs of an environment.
#[derive(Debug, Default)]
pub(super) struct RecordedInputs {
    inputs: Vec<NotebookInput>,
    bytes: usize,
    /// The names of the functions that the inputs define, sorted.
    functions: Arc<[String]>,
    /// The number of inputs beyond the maximum.
    pub(super) dropped: usize,
    /// The number of failed plays, which may have changed something before they failed.
    pub(super) failed: usize,
    /// The number of scripts that `:timeit` ran.
    pub(super) timed: usize,
}

impl RecordedInputs {
    pub(super) fn push(&mut self, input: NotebookInput) {
        if self.inputs.len() < MAX_INPUTS && self.bytes + input.script.len() <= MAX_BYTES {
            self.bytes += input.script.len();
            self.add_functions(&input.script);
            self.inputs.push(input);
        } else {
            self.dropped += 1;
        }
    }

    fn add_functions(&mut self, script: &str) {
        let mut names: BTreeSet<String> = save::function_names(script).collect();
        names.retain(|name| self.functions.binary_search(name).is_err());
        if !names.is_empty() {
            names.extend(self.functions.iter().cloned());
            self.functions = names.into_iter().collect();
        }
    }

    /// Inserts all inputs of `other` after the first `before` inputs.
    pub(super) fn insert(&mut self, before: usize, other: Self) {
        let after = self.inputs.split_off(before.min(self.inputs.len()));
        self.bytes -= after.iter().map(|input| input.script.len()).sum::<usize>();
        self.failed += other.failed;
        self.timed += other.timed;
        self.dropped += other.dropped;
        for input in other.inputs.into_iter().chain(after) {
            self.push(input);
        }
    }

    pub(super) fn functions(&self) -> Arc<[String]> {
        self.functions.clone()
    }

    pub(super) fn inputs(&self) -> &[NotebookInput] {
        &self.inputs
    }

    pub(super) fn into_inputs(self) -> VecDeque<NotebookInput> {
        self.inputs.into()
    }

    pub(super) fn len(&self) -> usize {
        self.inputs.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// Lists the inputs with their numbers.
    pub(super) fn lines(&self) -> Vec<StyledLine> {
        let lexer = Engine::new_raw();
        let mut lines = Vec::new();
        for (index, input) in self.inputs.iter().enumerate() {
            if lines.len() >= MAX_LINES {
                let more = group_digits(self.inputs.len() - index);
                lines.push(StyledLine::of(Style::Dim, &format!("… and {more} more inputs")));
                break;
            }
            for (row, text) in highlight::lines(&lexer, &input.script).iter().enumerate().take(MAX_LINES) {
                let number = if row == 0 { format!("{:5}  ", index + 1) } else { " ".repeat(7) };
                lines.push(StyledLine::of(Style::Dim, &number).with_line(text));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(inputs: &[&str]) -> RecordedInputs {
        let mut recorded = RecordedInputs::default();
        for input in inputs {
            recorded.push(NotebookInput { script: (*input).to_owned(), has_value: false });
        }
        recorded
    }

    #[test]
    fn inputs_are_bounded_where_they_are_joined() {
        let large = "x".repeat(MAX_BYTES / 2);
        let mut inputs = recorded(&[&large, "a"]);
        inputs.insert(1, recorded(&["b", &large, "c"]));
        let shown: Vec<_> = inputs.inputs().iter().map(|input| input.script.len()).collect();
        assert_eq!((shown, inputs.dropped), (vec![large.len(), 1, 1, 1], 1));
        assert_eq!(inputs.bytes, large.len() + 3);
    }

    #[test]
    fn functions_of_all_inputs_are_named_once() {
        let mut inputs = recorded(&["fn b() {}", "let fnord = 1", "fn a(x) { x }\nfn b(y) { y }"]);
        assert_eq!(*inputs.functions(), ["a", "b"].map(str::to_owned));
        inputs.insert(1, recorded(&["private fn c() {}"]));
        assert_eq!(*inputs.functions(), ["a", "b", "c"].map(str::to_owned));
        assert!(recorded(&[]).functions().is_empty());
    }

    #[test]
    fn listing_is_numbered_and_bounded() {
        let shown = |inputs: &RecordedInputs| inputs.lines().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            shown(&recorded(&["fn f() {\n  1\n}", "f()"])),
            ["    1  fn f() {", "         1", "       }", "    2  f()"]
        );
        let many = shown(&recorded(&vec!["a"; 2_500]));
        assert_eq!((many.len(), many[MAX_LINES].as_str()), (MAX_LINES + 1, "… and 1,500 more inputs"));
    }
}
