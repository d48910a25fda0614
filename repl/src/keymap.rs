//! Key bindings of the line REPL besides rustyline's own.

use frontend::edit_mode::EditMode;
use rustyline::{ColorMode, CompletionType, Config};

/// Time after Esc in which another byte belongs to the same key, in milliseconds. Terminals send the bytes of one key
/// together, so a short time is enough even over a network.
const VI_ESCAPE_TIMEOUT: u16 = 100;

/// The same time with Emacs keys. There Esc is also a prefix that people type, and it closes the search of the history.
const EMACS_ESCAPE_TIMEOUT: u16 = 500;

/// Keys in `:help`.
pub(super) const KEYS: &[(&str, &str)] = &[
    ("Enter", "run a complete input, continue an incomplete one; two blank lines run it as it is"),
    ("Ctrl-J", "insert a new line (also Alt-Enter, except with vi keys)"),
    ("Tab", "complete variables, functions and map members; after a command, circles, keys and files"),
    ("Ctrl-C", "cancel the play and keep your variables; twice: stop waiting; at the prompt: clear the line"),
    ("Right, Ctrl-F", "accept the grey hint from the history"),
    (
        "Up, Down",
        "browse earlier inputs that begin with the typed text; within an input, move between its lines (also Ctrl-P, Ctrl-N)",
    ),
    (
        "Ctrl-R",
        "search the inputs of all circles and keys; again: of this circle; a line that begins with a space is not saved",
    ),
    ("Ctrl-X Ctrl-E", "continue in $EDITOR"),
    ("Ctrl-D", "quit, on an empty line"),
];

/// Returns rustyline's configuration.
pub(super) fn config(mode: EditMode) -> Config {
    let (mode, escape_timeout) = match mode {
        EditMode::Vi => (rustyline::EditMode::Vi, VI_ESCAPE_TIMEOUT),
        EditMode::Emacs => (rustyline::EditMode::Emacs, EMACS_ESCAPE_TIMEOUT),
    };
    Config::builder()
        .auto_add_history(false)
        .completion_type(CompletionType::List)
        // No question before a list: it is cut to fit on the screen.
        .completion_prompt_limit(usize::MAX)
        .edit_mode(mode)
        .keyseq_timeout(Some(escape_timeout))
        // The helper decides about colours; it also draws the mark of the prompt without them.
        .color_mode(ColorMode::Forced)
        .build()
}
