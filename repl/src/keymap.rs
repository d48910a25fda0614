//! The keys that the line REPL has beside rustyline's own.

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

/// What `:help` says of keys.
pub(super) const KEYS: &[(&str, &str)] = &[
    ("Enter", "runs a complete input and continues an incomplete one; two blank lines run it as it is"),
    ("Alt-Enter", "a new line, whatever stands before it (also Ctrl-J)"),
    ("Tab", "completes: variables, functions, members of maps; circles, keys and files behind commands"),
    ("Ctrl-C", "cancels the play and keeps the session, twice gives up waiting; at the prompt it clears the line"),
    ("Right, Ctrl-F", "takes the grey hint from the history"),
    ("Up, Down", "inputs typed before, whole; within an input its lines"),
    ("Ctrl-R", "searches the history; a line that begins with a space is not kept"),
    ("Ctrl-X Ctrl-E", "goes on in $EDITOR"),
    ("Ctrl-D", "leaves, on an empty line"),
];

/// The keys that edit a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditMode {
    /// Emacs' keys.
    Emacs,
    /// Vi's keys.
    Vi,
}

/// How the line is edited and kept.
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
        // No question first: the list fits on the screen.
        .completion_prompt_limit(usize::MAX)
        .edit_mode(mode)
        // Whether there are colours is decided where they are made; the prompt's mark is there without them, too.
        .color_mode(ColorMode::Forced)
        .max_history_size(history::MAX_INPUTS)?;
    Ok(config.build())
}

/// What the user has set for everything that reads lines (readline(3), "INITIALIZATION FILE").
fn inputrc() -> Option<String> {
    let named = std::env::var_os("INPUTRC").map(PathBuf::from);
    let file = named.or_else(|| Some(BaseDirs::new()?.home_dir().join(".inputrc")))?;
    std::fs::read_to_string(file).ok()
}

/// Whether the last `set editing-mode` says so.
fn is_vi_mode(inputrc: &str) -> bool {
    let mut modes = inputrc.lines().rev().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("set") && words.next() == Some("editing-mode")).then(|| words.next())?
    });
    modes.next() == Some("vi")
}

pub(super) fn bind(editor: &mut Editor<LineHelper, FileHistory>, pressed: &Arc<KeyState>) {
    for key in [KeyEvent::alt('\r'), KeyEvent::ctrl('J')] {
        editor.bind_sequence(key, Cmd::Newline);
    }
    editor.bind_sequence(KeyEvent::ctrl('C'), EventHandler::Conditional(Box::new(ClearHandler(pressed.clone()))));
    editor.bind_sequence(KeyEvent::ctrl('F'), EventHandler::Conditional(Box::new(AcceptHintHandler)));
    let keys = vec![KeyEvent::ctrl('X'), KeyEvent::ctrl('E')];
    editor.bind_sequence(Event::KeySeq(keys), EventHandler::Conditional(Box::new(EditHandler(pressed.clone()))));
}

/// What a key press leaves for when the line has ended.
#[derive(Debug, Default)]
pub(super) struct KeyState {
    /// The line that Ctrl-X Ctrl-E takes to an editor.
    edit: Mutex<Option<String>>,
    is_empty: AtomicBool,
}

impl KeyState {
    /// The line that is to be edited.
    pub(super) fn take_edit(&self) -> Option<String> {
        self.edit.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether Ctrl-C found nothing to clear.
    pub(super) fn was_line_empty(&self) -> bool {
        self.is_empty.load(Ordering::SeqCst)
    }
}

/// Ctrl-C, as ever; whether there was something to clear is kept.
struct ClearHandler(Arc<KeyState>);

impl ConditionalEventHandler for ClearHandler {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        self.0.is_empty.store(context.line().is_empty(), Ordering::SeqCst);
        Some(Cmd::Interrupt)
    }
}

/// Ctrl-X Ctrl-E: the line ends as Ctrl-C ends it, and is kept to be edited.
struct EditHandler(Arc<KeyState>);

impl ConditionalEventHandler for EditHandler {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        *self.0.edit.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.line().to_owned());
        Some(Cmd::Interrupt)
    }
}

/// Ctrl-F at the end of a line takes the hint, as Right does by itself.
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
