//! The search in the history: Ctrl-R.

use std::{collections::HashSet, sync::Arc};

use frontend::{
    quantity,
    text::{Style, StyledLine},
};

use super::{HistoryEntry, InputHistory, unix_time};

/// The maximum number of matches.
const MAX_MATCHES: usize = 200;

/// The maximum length of the part of an input that is searched, in bytes.
const MAX_SEARCHED: usize = 4096;

/// The maximum width of a circle and a key, in columns.
const MAX_LABEL: usize = 20;

/// The width from which a row shows the circle and the key.
const MIN_LABELLED_WIDTH: usize = 60;

/// A search that is open. The line that is being typed is its text.
#[derive(Debug, Default)]
pub struct HistorySearch {
    /// The line before the search.
    original: String,
    /// The text that the selection belongs to.
    query: String,
    selected: usize,
    /// The input that was selected when the matches were last needed.
    selected_input: Option<Arc<str>>,
    /// Whether only inputs of this circle are shown.
    is_local: bool,
    /// The places of the matches in the history, counted from the newest input.
    found: Vec<usize>,
    /// What they were found in: the revision of the history and, for inputs of this circle, the circle. `None` if they
    /// are outdated.
    searched: Option<(u64, Option<String>)>,
}

/// A row of the list of matches.
#[derive(Debug)]
pub struct SearchRow {
    /// The text, as wide as the list at most.
    pub line: StyledLine,
    /// Whether Enter takes this input.
    pub is_selected: bool,
    /// The place among the matches.
    pub place: usize,
}

impl HistorySearch {
    /// Opens a search. A line that is being typed is its first text.
    pub fn new(line: &str) -> Self {
        Self { original: line.to_owned(), query: line.to_owned(), ..Self::default() }
    }

    /// The line before the search.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// Switches between all circles and this circle.
    pub fn toggle_scope(&mut self) {
        self.is_local = !self.is_local;
        (self.selected, self.searched) = (0, None);
    }

    /// Moves the selection to an older input, or to a newer one.
    pub fn select(&mut self, is_older: bool) {
        self.selected_input = None;
        self.selected = if is_older { self.selected + 1 } else { self.selected.saturating_sub(1) };
    }

    /// Selects a match by its place. Returns false if it was selected already.
    pub fn select_place(&mut self, place: usize) -> bool {
        self.selected_input = None;
        std::mem::replace(&mut self.selected, place) != place
    }

    /// Returns the selected input.
    pub fn selected(&mut self, history: &InputHistory, circle: &str, query: &str) -> Option<Arc<str>> {
        self.update(history, circle, query);
        let place = self.found.get(self.selected)?;
        history.nth_newest(*place).map(|entry| entry.input.clone())
    }

    /// Returns the list for a text, and a line about it: at most `height` rows of at most `width` columns, newest
    /// first.
    pub fn rows(
        &mut self,
        history: &InputHistory,
        circle: &str,
        query: &str,
        (width, height): (usize, usize),
    ) -> (Vec<SearchRow>, StyledLine) {
        self.update(history, circle, query);
        let matches: Vec<&HistoryEntry> = self.found.iter().filter_map(|place| history.nth_newest(*place)).collect();
        let first = (self.selected + 1).saturating_sub(height);
        let now = unix_time();
        let label_width = matches.iter().map(|entry| label(entry).width()).max().unwrap_or(0);
        let label_width = if width < MIN_LABELLED_WIDTH { 0 } else { label_width };
        let rows = matches.iter().enumerate().skip(first).take(height);
        let rows = rows.map(|(index, entry)| {
            let is_selected = index == self.selected;
            let mut line = StyledLine::of(Style::Plain, if is_selected { "▸ " } else { "  " });
            line.push(Style::Dim, &format!("{:>4}  ", quantity::age(now.saturating_sub(entry.time))));
            if label_width > 0 {
                let label = label(entry);
                let padding = label_width - label.width();
                line = line.with_line(&label).with(Style::Dim, &" ".repeat(padding + 2));
            }
            line.push(Style::Plain, &searched(entry).replace('\n', " ⏎ "));
            SearchRow { line: line.truncated(width), is_selected, place: index }
        });
        let rows = rows.collect();
        let count = match matches.len() {
            0 => "nothing".to_owned(),
            MAX_MATCHES => format!("{MAX_MATCHES}+"),
            count => count.to_string(),
        };
        let (scope, other) =
            if self.is_local { ("on this circle", "all circles") } else { ("on all circles", "this circle") };
        let status = format!("  {count} {scope} · Ctrl-R {other} · ↑↓ · Enter take · Esc close");
        (rows, StyledLine::of(Style::Dim, &status).truncated(width))
    }

    /// Finds the different inputs that match, unless they are known: newest first, and those that contain each word of
    /// the text come before those that contain its letters in order.
    fn update(&mut self, history: &InputHistory, circle: &str, query: &str) {
        if self.query != query {
            query.clone_into(&mut self.query);
            (self.selected, self.searched) = (0, None);
        }
        let is_current = |(revision, local): &(u64, Option<String>)| {
            *revision == history.revision() && local.as_deref().is_none_or(|local| local == circle)
        };
        if !self.searched.as_ref().is_some_and(is_current) {
            self.found = find(history, self.is_local.then_some(circle), query);
            self.searched = Some((history.revision(), self.is_local.then(|| circle.to_owned())));
            // Inputs of other consoles may have come before it.
            let same =
                |place: &usize| history.nth_newest(*place).map(|entry| &entry.input) == self.selected_input.as_ref();
            if self.selected > 0
                && let Some(selected) = self.found.iter().position(same)
            {
                self.selected = selected;
            }
        }
        self.selected = self.selected.min(self.found.len().saturating_sub(1));
        let place = self.found.get(self.selected);
        self.selected_input = place.and_then(|place| history.nth_newest(*place)).map(|entry| entry.input.clone());
    }
}

/// Returns the places of the inputs that match, of one circle or of all.
fn find(history: &InputHistory, circle: Option<&str>, query: &str) -> Vec<usize> {
    // Upper case in the text makes its case matter.
    let ignores_case = !query.contains(char::is_uppercase);
    let words: Vec<&str> = query.split_whitespace().collect();
    let (mut near, mut far) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    for (place, entry) in history.newest_first().enumerate() {
        if near.len() == MAX_MATCHES {
            break;
        }
        if circle.is_some_and(|circle| !entry.origin.is_same_circle(circle)) {
            continue;
        }
        let begin = searched(entry);
        let lowered;
        let text = if ignores_case {
            lowered = begin.to_lowercase();
            &lowered
        } else {
            begin
        };
        let list = if words.iter().all(|word| text.contains(word)) {
            &mut near
        } else if far.len() < MAX_MATCHES && words.iter().all(|word| has_letters_in_order(text, word)) {
            &mut far
        } else {
            continue;
        };
        if seen.insert(&*entry.input) {
            list.push(place);
        }
    }
    near.append(&mut far);
    near.truncate(MAX_MATCHES);
    near
}

fn label(entry: &HistoryEntry) -> StyledLine {
    StyledLine::of(Style::Dim, &entry.origin.label()).truncated(MAX_LABEL)
}

/// Whether a text has the letters of a word in their order.
fn has_letters_in_order(text: &str, word: &str) -> bool {
    let mut letters = text.chars();
    word.chars().all(|letter| letters.any(|other| other == letter))
}

/// Returns the part of an input that a search sees.
fn searched(entry: &HistoryEntry) -> &str {
    &entry.input[..entry.input.floor_char_boundary(MAX_SEARCHED)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{
        HistoryUpdate,
        inputs::tests::{entry, history},
    };

    fn found(search: &mut HistorySearch, history: &InputHistory, query: &str) -> Vec<String> {
        let (rows, _) = search.rows(history, "a", query, (40, 10));
        rows.iter().map(|row| row.line.to_string()[8..].to_owned()).map(|text| text.trim().to_owned()).collect()
    }

    #[test]
    fn search_finds_words_and_then_scattered_letters() {
        let history = history(&[("a", "let total = price(2)"), ("b", "fn price(x) { x }"), ("a", "print(ice)")]);
        let mut search = HistorySearch::new("");
        assert_eq!(found(&mut search, &history, "price"), ["fn price(x) { x }", "let total = price(2)", "print(ice)"]);
        assert_eq!(found(&mut search, &history, "TOTAL"), [""; 0]);
        assert_eq!(found(&mut search, &history, "2 total"), ["let total = price(2)"]);
        assert_eq!(found(&mut search, &history, "ltp2"), ["let total = price(2)"]);
        search.toggle_scope();
        assert_eq!(found(&mut search, &history, "price"), ["let total = price(2)", "print(ice)"]);
    }

    #[test]
    fn selection_moves_and_returns_to_the_newest_for_another_text() {
        let history = history(&[("a", "one"), ("a", "two"), ("a", "three")]);
        let mut search = HistorySearch::new("");
        assert_eq!(search.selected(&history, "a", "").as_deref(), Some("three"));
        search.select(true);
        assert_eq!(search.selected(&history, "a", "").as_deref(), Some("two"));
        for _ in 0..9 {
            search.select(true);
        }
        assert_eq!(search.selected(&history, "a", "").as_deref(), Some("one"));
        assert_eq!(search.selected(&history, "a", "t").as_deref(), Some("three"));
        assert_eq!(search.selected(&history, "a", "none"), None);
    }

    #[test]
    fn matches_are_kept_until_text_scope_or_history_change() {
        let mut history = history(&[("a", "one"), ("b", "two")]);
        let mut search = HistorySearch::new("");
        assert_eq!(found(&mut search, &history, ""), ["two", "one"]);
        // What is shown is what was found before.
        search.found.pop();
        assert_eq!(found(&mut search, &history, ""), ["two"]);
        history.push(entry(9, "a", "three"));
        assert_eq!(found(&mut search, &history, ""), ["three", "two", "one"]);
        search.found.clear();
        assert_eq!(found(&mut search, &history, "t"), ["three", "two"]);
        search.toggle_scope();
        assert_eq!(found(&mut search, &history, "t"), ["three"]);
        let (rows, _) = search.rows(&history, "b", "t", (40, 10));
        assert!(rows[0].line.to_string().ends_with("two"), "{rows:?}");
    }

    #[test]
    fn selection_stays_on_its_input_when_inputs_of_other_consoles_arrive() {
        let mut history = history(&[("a", "one"), ("a", "two"), ("a", "three")]);
        let mut search = HistorySearch::new("");
        search.select(true);
        assert_eq!(search.selected(&history, "a", "").as_deref(), Some("two"));
        history.update(HistoryUpdate { entries: vec![entry(9, "b", "four")], is_whole: false });
        assert_eq!(found(&mut search, &history, ""), ["four", "three", "two", "one"]);
        assert_eq!(search.selected(&history, "a", "").as_deref(), Some("two"));
        search.select(true);
        assert_eq!(search.selected(&history, "a", "").as_deref(), Some("one"));
    }

    #[test]
    fn rows_fit_and_show_circle_and_key() {
        let mut history = history(&[("127.0.0.1:9001", "first")]);
        let mut other = entry(unix_time() - 7200, "x", "one\ntwo \u{1b}[2J");
        (other.origin.name, other.origin.key) = ("team".into(), Some("alice".into()));
        history.push(other);
        let mut search = HistorySearch::new("");
        let (rows, status) = search.rows(&history, "x", "", (80, 10));
        assert_eq!(rows[0].line.to_string(), "▸   2h  team ⚿ alice    one ⏎ two ␛[2J");
        assert!(rows[0].is_selected && !rows[1].is_selected);
        assert!(status.to_string().starts_with("  2 on all circles · Ctrl-R this circle"), "{status}");
        let (rows, status) = search.rows(&history, "x", "", (12, 1));
        assert!(rows.len() == 1 && rows[0].line.width() <= 12 && status.width() <= 12);
        assert!(search.rows(&history, "x", "", (0, 0)).0.is_empty());
    }
}
