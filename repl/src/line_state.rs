//! State of the line that is being typed, which key handlers and rustyline's helper share.

use std::{
    borrow::Cow,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Instant,
};

use console::{
    history::{
        HistoryBrowser, HistoryEntry, HistoryFile, HistorySearch, InputOrigin, SearchRow, SharedHistory, is_kept,
    },
    indent::{Indenter, PasteDetector},
    validate::Validator,
};
use frontend::text::StyledLine;
use rustyline::{
    Cmd, Result,
    history::{History, SearchDirection, SearchResult},
};

/// The number of entries that rustyline believes its history has. It asks for the entry before the last one when a key
/// handler replaces the line.
const HISTORY_LENGTH: usize = 1;

/// Rhai's parser and lexer, for key handlers. They are bound to the thread that reads the keys, as rustyline's helper is.
struct Syntax {
    validator: Validator,
    indenter: Indenter,
}

thread_local! {
    static SYNTAX: Syntax = Syntax { validator: Validator::new(), indenter: Indenter::default() };
}

/// State of the line.
#[derive(Debug)]
pub(crate) struct LineState {
    history: SharedHistory,
    /// The history's file, once it is open.
    history_file: OnceLock<HistoryFile>,
    edit: Mutex<LineEdit>,
}

#[derive(Debug, Default)]
struct LineEdit {
    origin: InputOrigin,
    browser: HistoryBrowser,
    search: Option<HistorySearch>,
    /// Text that replaces the line.
    replacement: Option<String>,
    /// The line to open in the editor after Ctrl-X Ctrl-E.
    external_edit: Option<String>,
    /// Whether the line was empty at the last Ctrl-C.
    was_empty: bool,
    paste_detector: PasteDetector,
    /// Whether the last key was Enter, which indented a new line.
    is_indented: bool,
}

/// Returns whether more lines could complete an input.
pub(crate) fn is_incomplete(input: &str) -> bool {
    SYNTAX.with(|syntax| syntax.validator.is_incomplete(input))
}

impl LineState {
    pub(crate) fn new(history: SharedHistory) -> Self {
        Self { history, history_file: OnceLock::new(), edit: Mutex::default() }
    }

    fn edit(&self) -> MutexGuard<'_, LineEdit> {
        self.edit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a new line.
    pub(crate) fn begin_line(&self) {
        let mut edit = self.edit();
        *edit = LineEdit { origin: std::mem::take(&mut edit.origin), ..LineEdit::default() };
    }

    /// Sets the circle and the key that inputs are for.
    pub(crate) fn set_origin(&self, origin: InputOrigin) {
        self.edit().origin = origin;
    }

    /// Sets the file that the history is kept in.
    pub(crate) fn set_history_file(&self, file: HistoryFile) {
        // There is only one.
        let _is_set = self.history_file.set(file);
    }

    /// Reads what other consoles have added to the history, without waiting for it.
    pub(crate) fn read_history(&self) {
        if let Some(file) = self.history_file.get() {
            file.read();
        }
    }

    /// Adds an input to the history and its file.
    pub(crate) fn add(&self, input: &str) {
        let entry = HistoryEntry::now(self.edit().origin.clone(), input);
        if is_kept(input)
            && self.history.lock().push(entry.clone())
            && let Some(file) = self.history_file.get()
        {
            file.append(entry);
        }
    }

    /// Returns the inputs of this circle, oldest first.
    pub(crate) fn inputs_here(&self) -> Vec<Arc<str>> {
        self.read_history();
        self.history.wait_until_read();
        let circle = self.edit().origin.circle.clone();
        self.history.lock().inputs_of(&circle)
    }

    /// Returns how the newest input goes on that begins with a line.
    pub(crate) fn hint(&self, line: &str) -> Option<String> {
        let edit = self.edit();
        self.history.lock().hint(&edit.origin.circle, line)
    }

    /// Returns the command that replaces the line. rustyline has none that leaves its undo list and its kill ring
    /// alone, but it replaces the line by an entry of its history.
    pub(crate) fn replace(&self, text: String) -> Cmd {
        self.edit().replacement = Some(text);
        Cmd::PreviousHistory
    }

    /// Returns the command that shows an older input.
    pub(crate) fn older(&self, line: &str, position: usize) -> Cmd {
        self.history.wait_until_read();
        let older = {
            let mut edit = self.edit();
            let LineEdit { browser, origin, .. } = &mut *edit;
            browser.older(&self.history.lock(), &origin.circle, line, &line[..position])
        };
        older.map_or(Cmd::Noop, |text| self.replace(text))
    }

    /// Returns the command that shows a newer input, or the typed text again.
    pub(crate) fn newer(&self, line: &str) -> Cmd {
        let newer = self.edit().browser.newer(line);
        newer.map_or(Cmd::Noop, |text| self.replace(text))
    }

    pub(crate) fn is_searching(&self) -> bool {
        self.edit().search.is_some()
    }

    /// Opens the search, or switches an open one between all circles and this circle.
    pub(crate) fn search(&self, line: &str) {
        // Another console may have played something since the prompt.
        self.read_history();
        self.history.wait_until_read();
        let mut edit = self.edit();
        match &mut edit.search {
            Some(search) => search.toggle_scope(),
            None => edit.search = Some(HistorySearch::new(line)),
        }
    }

    /// Moves the selection of the search.
    pub(crate) fn select(&self, is_older: bool) {
        if let Some(search) = &mut self.edit().search {
            search.select(is_older);
        }
    }

    /// Closes the search, and returns the command that shows the selected input. With no match, the search stays open.
    pub(crate) fn accept_search(&self, line: &str) -> Cmd {
        let selected = {
            let mut edit = self.edit();
            let LineEdit { search, origin, .. } = &mut *edit;
            let selected =
                search.as_mut().and_then(|search| search.selected(&self.history.lock(), &origin.circle, line));
            search.take_if(|_| selected.is_some());
            selected
        };
        selected.map_or(Cmd::Noop, |input| self.replace(input.to_string()))
    }

    /// Closes the search, and returns the command that shows the line before it.
    pub(crate) fn cancel_search(&self) -> Cmd {
        let search = self.edit().search.take();
        search.map_or(Cmd::Noop, |search| self.replace(search.original().to_owned()))
    }

    /// Returns the list of an open search, and the line about it.
    pub(crate) fn search_rows(&self, line: &str, size: (usize, usize)) -> Option<(Vec<SearchRow>, StyledLine)> {
        let mut edit = self.edit();
        let LineEdit { search, origin, .. } = &mut *edit;
        Some(search.as_mut()?.rows(&self.history.lock(), &origin.circle, line, size))
    }

    /// Takes in a key. Returns whether it belongs to pasted text that arrives key by key.
    pub(crate) fn is_pasted(&self, is_text: bool) -> bool {
        self.edit().paste_detector.is_pasted(is_text, Instant::now())
    }

    /// Returns the command that continues an incomplete input on a new, indented line; `None` for a complete input.
    pub(crate) fn continue_line(&self, line: &str, position: usize) -> Option<Cmd> {
        let before = &line[..position];
        let indent =
            SYNTAX.with(|syntax| syntax.validator.is_incomplete(line).then(|| syntax.indenter.next_line(before)))?;
        self.edit().is_indented = !indent.is_empty();
        // A blank line keeps no indentation.
        let trimmed = before.trim_end_matches(' ');
        if trimmed.len() < before.len() && trimmed.ends_with('\n') && position == line.len() {
            return Some(self.replace(format!("{trimmed}\n{indent}")));
        }
        Some(Cmd::Insert(1, format!("\n{indent}")))
    }

    /// Returns the command that types a closing bracket with the indentation of its line; `None` if it is right. A paste
    /// is changed only where its new line was indented.
    pub(crate) fn close_bracket(&self, line: &str, closing: char, is_pasted: bool) -> Option<Cmd> {
        let is_indented = std::mem::take(&mut self.edit().is_indented);
        if is_pasted && !is_indented {
            return None;
        }
        let indent = SYNTAX.with(|syntax| syntax.indenter.dedented(line, closing))?;
        let above = line.trim_end_matches(' ');
        Some(self.replace(format!("{above}{indent}{closing}")))
    }

    /// Notes a key after which a closing bracket is part of a paste, if it comes as fast.
    pub(crate) fn end_indentation(&self) {
        self.edit().is_indented = false;
    }

    pub(crate) fn set_external_edit(&self, line: &str) {
        self.edit().external_edit = Some(line.to_owned());
    }

    /// Takes the line to edit.
    pub(crate) fn take_external_edit(&self) -> Option<String> {
        self.edit().external_edit.take()
    }

    pub(crate) fn set_empty(&self, is_empty: bool) {
        self.edit().was_empty = is_empty;
    }

    /// Returns whether the line was empty at the last Ctrl-C.
    pub(crate) fn was_line_empty(&self) -> bool {
        self.edit().was_empty
    }
}

/// rustyline's view of the history: only the text that replaces the line. The key handlers search the history
/// themselves, because rustyline knows neither prefixes nor circles.
pub(crate) struct LineReplacement(pub(crate) Arc<LineState>);

impl History for LineReplacement {
    fn get(&self, _: usize, _: SearchDirection) -> Result<Option<SearchResult<'_>>> {
        let text = self.0.edit().replacement.take();
        Ok(text.map(|text| SearchResult { entry: Cow::Owned(text), idx: HISTORY_LENGTH, pos: 0 }))
    }

    fn add(&mut self, _: &str) -> Result<bool> {
        Ok(false)
    }

    fn add_owned(&mut self, _: String) -> Result<bool> {
        Ok(false)
    }

    fn len(&self) -> usize {
        HISTORY_LENGTH
    }

    fn is_empty(&self) -> bool {
        false
    }

    fn set_max_len(&mut self, _: usize) -> Result<()> {
        Ok(())
    }

    fn ignore_dups(&mut self, _: bool) -> Result<()> {
        Ok(())
    }

    fn ignore_space(&mut self, _: bool) {}

    fn save(&mut self, _: &Path) -> Result<()> {
        Ok(())
    }

    fn append(&mut self, _: &Path) -> Result<()> {
        Ok(())
    }

    fn load(&mut self, _: &Path) -> Result<()> {
        Ok(())
    }

    fn clear(&mut self) -> Result<()> {
        Ok(())
    }

    fn search(&self, _: &str, _: usize, _: SearchDirection) -> Result<Option<SearchResult<'_>>> {
        Ok(None)
    }

    fn starts_with(&self, _: &str, _: usize, _: SearchDirection) -> Result<Option<SearchResult<'_>>> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use console::history::HistoryStore;

    use super::*;

    fn state(inputs: &[&str]) -> Arc<LineState> {
        let state = Arc::new(LineState::new(SharedHistory::default()));
        state.set_origin(InputOrigin { circle: "here".into(), ..InputOrigin::default() });
        for input in inputs {
            state.add(input);
        }
        state
    }

    /// The line that a command makes.
    fn replaced(state: &Arc<LineState>, command: &Cmd) -> Option<String> {
        assert!(matches!(command, Cmd::PreviousHistory | Cmd::Noop), "{command:?}");
        let history = LineReplacement(state.clone());
        history.get(0, SearchDirection::Reverse).expect("it never fails").map(|result| {
            assert_eq!(result.idx, history.len(), "rustyline's own index never moves");
            result.entry.into_owned()
        })
    }

    #[test]
    fn commands_replace_the_line_once() {
        let state = state(&["fac(1)", "other", " hidden"]);
        let command = state.older("fac", 3);
        assert_eq!(replaced(&state, &command).as_deref(), Some("fac(1)"));
        assert_eq!(replaced(&state, &Cmd::Noop), None);
        let command = state.newer("fac(1)");
        assert_eq!(replaced(&state, &command).as_deref(), Some("fac"));
        assert_eq!((state.older("x", 1), state.newer("x")), (Cmd::Noop, Cmd::Noop));
    }

    /// Two prompts with one file.
    #[test]
    fn search_finds_the_inputs_of_another_console_and_up_shows_own_ones_first() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = || {
            let history = SharedHistory::default();
            let state = Arc::new(LineState::new(history.clone()));
            let store = HistoryStore::new(Some(directory.path().to_owned()), 100);
            state.set_history_file(HistoryFile::open(store, history, |outcome| outcome.expect("no error")));
            state.set_origin(InputOrigin { circle: "here".into(), ..InputOrigin::default() });
            state.read_history();
            state.history.wait_until_read();
            state
        };
        let (one, other) = (open(), open());
        one.add("mine");
        assert!(one.history.flush());
        other.add("theirs");
        assert!(other.history.flush());
        one.search("");
        let command = one.accept_search("");
        assert_eq!(replaced(&one, &command).as_deref(), Some("theirs"));
        for expected in [Some("mine"), Some("theirs"), None] {
            let line = if expected == Some("theirs") { "mine" } else { "" };
            let shown = if expected.is_none() { "theirs" } else { line };
            let command = one.older(shown, 0);
            assert_eq!(replaced(&one, &command).as_deref(), expected);
        }
        assert_eq!(one.inputs_here().len(), 2, "its own input once");
    }

    #[test]
    fn search_takes_the_selected_input_or_restores_the_line() {
        let state = state(&["one", "two"]);
        state.search("");
        state.select(true);
        let command = state.accept_search("");
        assert_eq!(replaced(&state, &command).as_deref(), Some("one"));
        assert!(!state.is_searching());
        state.search("typed");
        assert_eq!(state.accept_search("no such input"), Cmd::Noop);
        assert!(state.is_searching());
        let command = state.cancel_search();
        assert_eq!(replaced(&state, &command).as_deref(), Some("typed"));
        assert!(!state.is_searching());
    }
}
