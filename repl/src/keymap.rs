//! Key bindings of the line REPL besides rustyline's own.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use directories::BaseDirs;
use rustyline::{
    Cmd, ColorMode, CompletionType, ConditionalEventHandler, Config, Editor, Event, EventContext, EventHandler,
    KeyEvent, RepeatCount, Result, history::FileHistory,
};

use super::line_helper::LineHelper;
use console::history;

/// Time after Esc in which another byte belongs to the same key, in milliseconds. Terminals send the bytes of one key
/// together, so a short time is enough even over a network.
const VI_ESCAPE_TIMEOUT: u16 = 100;

/// Keys in `:help`.
pub(super) const KEYS: &[(&str, &str)] = &[
    ("Enter", "run a complete input, continue an incomplete one; two blank lines run it as it is"),
    ("Ctrl-J", "insert a new line (also Alt-Enter, except with vi keys)"),
    ("Tab", "complete variables, functions and map members; after a command, circles, keys and files"),
    ("Ctrl-C", "cancel the play and keep your variables; twice: stop waiting; at the prompt: clear the line"),
    ("Right, Ctrl-F", "accept the grey hint from the history"),
    ("Up, Down", "browse earlier inputs; within an input, move between its lines"),
    ("Ctrl-R", "search the history; a line that begins with a space is not saved"),
    ("Ctrl-X Ctrl-E", "continue in $EDITOR"),
    ("Ctrl-D", "quit, on an empty line"),
];

/// Key bindings that edit a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditMode {
    /// Emacs key bindings.
    Emacs,
    /// Vi key bindings.
    Vi,
}

/// Returns rustyline's configuration.
pub(super) fn config(mode: Option<EditMode>) -> Result<Config> {
    let mode = match mode {
        Some(EditMode::Vi) => rustyline::EditMode::Vi,
        Some(EditMode::Emacs) => rustyline::EditMode::Emacs,
        None if inputrc().is_some_and(|text| is_vi_mode(&text)) => rustyline::EditMode::Vi,
        None => rustyline::EditMode::Emacs,
    };
    let config = Config::builder()
        .auto_add_history(false)
        .completion_type(CompletionType::List)
        // No question before a list: it is cut to fit on the screen.
        .completion_prompt_limit(usize::MAX)
        .edit_mode(mode)
        // The helper decides about colours; it also draws the mark of the prompt without them.
        .color_mode(ColorMode::Forced)
        .max_history_size(history::MAX_INPUTS)?;
    let config = match mode {
        rustyline::EditMode::Vi => config.keyseq_timeout(Some(VI_ESCAPE_TIMEOUT)),
        _ => config,
    };
    Ok(config.build())
}

/// Reads the user's readline settings (readline(3), "INITIALIZATION FILE").
fn inputrc() -> Option<String> {
    let named = std::env::var_os("INPUTRC").map(PathBuf::from);
    let file = named.or_else(|| Some(BaseDirs::new()?.home_dir().join(".inputrc")))?;
    std::fs::read_to_string(file).ok()
}

/// Returns whether the last `set editing-mode` selects vi.
fn is_vi_mode(inputrc: &str) -> bool {
    let mut modes = inputrc.lines().rev().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("set") && words.next() == Some("editing-mode")).then(|| words.next())?
    });
    modes.next() == Some("vi")
}

pub(super) fn bind(editor: &mut Editor<LineHelper, FileHistory>, pressed: &Arc<KeyState>) {
    editor.bind_sequence(KeyEvent::ctrl('J'), Cmd::Newline);
    editor.bind_sequence(KeyEvent::alt('\r'), EventHandler::Conditional(Box::new(AltEnterHandler)));
    editor.bind_sequence(KeyEvent::ctrl('C'), EventHandler::Conditional(Box::new(ClearHandler(pressed.clone()))));
    editor.bind_sequence(KeyEvent::ctrl('F'), EventHandler::Conditional(Box::new(AcceptHintHandler)));
    let keys = vec![KeyEvent::ctrl('X'), KeyEvent::ctrl('E')];
    editor.bind_sequence(Event::KeySeq(keys), EventHandler::Conditional(Box::new(EditHandler(pressed.clone()))));
}

/// State that a key press leaves for the time after the line.
#[derive(Debug, Default)]
pub(super) struct KeyState {
    /// The line to open in the editor after Ctrl-X Ctrl-E.
    edit: Mutex<Option<String>>,
    is_empty: AtomicBool,
}

impl KeyState {
    /// Takes the line to edit.
    pub(super) fn take_edit(&self) -> Option<String> {
        self.edit.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Returns whether the line was empty at the last Ctrl-C.
    pub(super) fn was_line_empty(&self) -> bool {
        self.is_empty.load(Ordering::SeqCst)
    }
}

/// Ctrl-C: interrupts as usual, and records whether the line was empty.
struct ClearHandler(Arc<KeyState>);

impl ConditionalEventHandler for ClearHandler {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        self.0.is_empty.store(context.line().is_empty(), Ordering::SeqCst);
        Some(Cmd::Interrupt)
    }
}

/// Alt-Enter: inserts a line. Terminals send the same bytes for Esc and then Enter, which vi users type to play an
/// input: with vi keys it is Enter.
struct AltEnterHandler;

impl ConditionalEventHandler for AltEnterHandler {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        Some(match context.mode() {
            rustyline::EditMode::Vi => Cmd::AcceptOrInsertLine { accept_in_the_middle: true },
            _ => Cmd::Newline,
        })
    }
}

/// Ctrl-X Ctrl-E: interrupts the line, and keeps it for the editor.
struct EditHandler(Arc<KeyState>);

impl ConditionalEventHandler for EditHandler {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        *self.0.edit.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.line().to_owned());
        Some(Cmd::Interrupt)
    }
}

/// Ctrl-F at the end of a line accepts the hint, as Right does by default.
struct AcceptHintHandler;

impl ConditionalEventHandler for AcceptHintHandler {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        (context.has_hint() && context.pos() == context.line().len()).then_some(Cmd::CompleteHint)
    }
}

#[cfg(test)]
mod tests {
    use super::is_vi_mode;

    #[test]
    fn edit_mode_comes_from_inputrc() {
        let cases = [
            ("", false),
            ("set editing-mode vi\n", true),
            ("  set   editing-mode vi # mine", true),
            ("set editing-mode vi\nset editing-mode emacs", false),
            ("#set editing-mode vi", false),
            ("set editing-mode", false),
        ];
        for (text, expected) in cases {
            assert_eq!(is_vi_mode(text), expected, "{text}");
        }
    }
}
