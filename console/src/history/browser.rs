//! Up and Down through the history.

use std::sync::Arc;

use super::InputHistory;

/// The place in the history that Up and Down have reached. Up offers the inputs that begin with what stands before the
/// cursor.
#[derive(Debug, Default)]
pub struct HistoryBrowser {
    matches: Vec<Arc<str>>,
    /// The number of steps back from the typed text.
    steps: usize,
    /// The text that was typed before the first step, and its part before the cursor.
    typed: String,
    prefix: String,
    /// The input that is shown.
    shown: Arc<str>,
}

impl HistoryBrowser {
    /// Returns the next older input, or `None` if there is none. `text` is what is shown now, and `prefix` its part
    /// before the cursor. A changed text starts again from the newest input.
    pub fn older(&mut self, history: &InputHistory, circle: &str, text: &str, prefix: &str) -> Option<String> {
        if self.steps == 0 || *self.shown != *text {
            let mut matches = history.with_prefix(circle, prefix);
            matches.retain(|input| **input != *text);
            *self = Self { matches, typed: text.to_owned(), prefix: prefix.to_owned(), ..Self::default() };
        } else if self.steps == self.matches.len() {
            self.refresh(history, circle);
        }
        self.shown = self.matches.get(self.steps)?.clone();
        self.steps += 1;
        Some(self.shown.to_string())
    }

    /// Reads the matches again at the oldest one: the stored history may have arrived since the first step.
    fn refresh(&mut self, history: &InputHistory, circle: &str) {
        let mut matches = history.with_prefix(circle, &self.prefix);
        matches.retain(|input| **input != *self.typed);
        if let Some(at) = matches.iter().position(|input| *input == self.shown) {
            (self.matches, self.steps) = (matches, at + 1);
        }
    }

    /// Returns the next newer input, or finally the typed text; `None` if the history is not shown.
    pub fn newer(&mut self, text: &str) -> Option<String> {
        if self.steps == 0 || *self.shown != *text {
            return None;
        }
        self.steps -= 1;
        match self.steps.checked_sub(1).and_then(|index| self.matches.get(index)) {
            Some(input) => {
                self.shown = input.clone();
                Some(self.shown.to_string())
            }
            None => Some(std::mem::take(self).typed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::inputs::tests::history;

    #[test]
    fn up_completes_by_the_prefix_and_down_returns_to_the_typed_text() {
        let history = history(&[("a", "fac(1)"), ("a", "other"), ("b", "fac(2)"), ("a", "fac(3)")]);
        let mut browser = HistoryBrowser::default();
        let mut shown = "fac".to_owned();
        for expected in ["fac(3)", "fac(1)", "fac(2)"] {
            shown = browser.older(&history, "a", &shown, &shown).expect("an older input");
            assert_eq!(shown, expected);
        }
        assert_eq!(browser.older(&history, "a", &shown, &shown), None);
        for expected in ["fac(1)", "fac(3)", "fac"] {
            shown = browser.newer(&shown).expect("a newer input");
            assert_eq!(shown, expected);
        }
        assert_eq!(browser.newer(&shown), None);
    }

    #[test]
    fn history_that_arrives_during_the_browsing_is_browsed() {
        let mut browser = HistoryBrowser::default();
        let before = history(&[("a", "two")]);
        assert_eq!(browser.older(&before, "a", "", "").as_deref(), Some("two"));
        assert_eq!(browser.older(&before, "a", "two", "two"), None);
        let stored = history(&[("a", "one"), ("a", "two")]);
        assert_eq!(browser.older(&stored, "a", "two", "two").as_deref(), Some("one"));
        assert_eq!(browser.older(&stored, "a", "one", "one"), None);
        assert_eq!(browser.newer("one").as_deref(), Some("two"));
    }

    #[test]
    fn changed_input_starts_again() {
        let history = history(&[("a", "one"), ("a", "two")]);
        let mut browser = HistoryBrowser::default();
        assert_eq!(browser.older(&history, "a", "", "").as_deref(), Some("two"));
        assert_eq!(browser.newer("two + 1"), None);
        assert_eq!(browser.older(&history, "a", "o", "o").as_deref(), Some("one"));
        assert_eq!(browser.newer("one").as_deref(), Some("o"));
        // The cursor at the begin asks for all inputs.
        assert_eq!(browser.older(&history, "a", "x", "").as_deref(), Some("two"));
    }
}
