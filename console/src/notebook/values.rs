//! The last values of a session, by the number of the input.

use std::{collections::VecDeque, sync::Arc};

use client_ws::PlayResult;
use frontend::text::{Style, StyledLine};
use rhai::Engine;

use crate::{highlight, value::quote};

/// The maximum number of values.
const MAX_VALUES: usize = 32;

/// The maximum size of all values as text and as JSON, in bytes. The newest value is kept whatever its size.
const MAX_BYTES: usize = 8 << 20;

/// The maximum length of a listed value, in bytes.
const MAX_LISTED: usize = 400;

/// The last values of a session. Each has the number of its input on its connection, by which errors name the input, too.
#[derive(Debug, Default)]
pub(super) struct ValueHistory {
    /// The number of the newest input.
    newest: usize,
    /// The number of connections so far.
    connection: usize,
    /// The values, oldest first.
    values: VecDeque<KeptValue>,
    bytes: usize,
}

#[derive(Debug)]
struct KeptValue {
    number: usize,
    connection: usize,
    result: Arc<PlayResult>,
}

impl ValueHistory {
    /// Counts an input.
    pub(super) fn begin_input(&mut self) {
        self.newest += 1;
    }

    /// Takes back the newest number, because the circle did not start the input.
    pub(super) fn forget_input(&mut self) {
        self.newest = self.newest.saturating_sub(1);
    }

    /// Begins to count anew, on a new connection.
    pub(super) fn begin_connection(&mut self) {
        self.newest = 0;
        self.connection += 1;
    }

    /// Keeps the value of the newest input.
    pub(super) fn push(&mut self, result: Arc<PlayResult>) {
        self.bytes += size(&result);
        self.values.push_back(KeptValue { number: self.newest, connection: self.connection, result });
        while self.values.len() > MAX_VALUES || self.values.len() > 1 && self.bytes > MAX_BYTES {
            let Some(oldest) = self.values.pop_front() else { return };
            self.bytes -= size(&oldest.result);
        }
    }

    /// Returns the value of an input, on the newest connection that has one of this number.
    pub(super) fn get(&self, number: usize) -> Option<&Arc<PlayResult>> {
        self.values.iter().rev().find(|value| value.number == number).map(|value| &value.result)
    }

    /// Lists the values, one a line.
    pub(super) fn lines(&self) -> Vec<StyledLine> {
        let lexer = Engine::new_raw();
        let line = |KeptValue { number, result: value, .. }: &KeptValue| {
            let begin = &value.output[..value.output.floor_char_boundary(MAX_LISTED)];
            let mut line = StyledLine::of(Style::Dim, &format!("{number:5}  "));
            for piece in highlight::lines(&lexer, &quote::of_type(&value.r#type, begin)) {
                line = line.with_line(&piece).with(Style::Plain, " ");
            }
            if begin.len() < value.output.len() { line.with(Style::Dim, "…") } else { line }
        };
        let mut lines = Vec::new();
        let mut connection = None;
        for value in &self.values {
            if connection.replace(value.connection).is_some_and(|before| before != value.connection) {
                lines.push(StyledLine::of(Style::Dim, "       on a new connection:"));
            }
            lines.push(line(value));
        }
        lines
    }
}

fn size(result: &PlayResult) -> usize {
    result.output.len() + result.value.as_json().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::tests::result;

    fn push(values: &mut ValueHistory, output: &str) {
        values.begin_input();
        values.push(result("string", output, "\"\"").into());
    }

    #[test]
    fn values_have_the_numbers_of_their_inputs() {
        let mut values = ValueHistory::default();
        push(&mut values, "one");
        // Without a value.
        values.begin_input();
        push(&mut values, &format!("three\n{}", "x".repeat(1000)));
        let shown: Vec<_> = values.lines().iter().map(ToString::to_string).collect();
        assert_eq!(shown[0], "    1  \"one\" ");
        assert!(shown[1].starts_with("    3  \"three\\nxxx") && shown[1].ends_with("x\" …"), "{}", shown[1]);
        let output = |number| values.get(number).map(|value| value.output.len());
        assert_eq!([output(0), output(1), output(2), output(3)], [None, Some(3), None, Some(1006)]);
    }

    #[test]
    fn values_are_numbered_on_their_connection() {
        let mut values = ValueHistory::default();
        push(&mut values, "one");
        push(&mut values, "two");
        values.begin_connection();
        // An input that the circle did not start has no number.
        values.begin_input();
        values.forget_input();
        push(&mut values, "new");
        let shown: Vec<_> = values.lines().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["    1  \"one\" ", "    2  \"two\" ", "       on a new connection:", "    1  \"new\" "]);
        let output = |number| values.get(number).map(|value| value.output.as_str());
        assert_eq!([output(1), output(2)], [Some("new"), Some("two")]);
    }

    #[test]
    fn values_are_bounded_in_number_and_size() {
        let mut values = ValueHistory::default();
        for _ in 0..40 {
            push(&mut values, "x");
        }
        assert_eq!((values.values.len(), values.values[0].number), (MAX_VALUES, 9));
        push(&mut values, &"x".repeat(MAX_BYTES + 1));
        assert_eq!((values.values.len(), values.get(41).map(|value| value.output.len())), (1, Some(MAX_BYTES + 1)));
        push(&mut values, "x");
        assert_eq!((values.values.len(), values.bytes), (1, 3));
    }
}
