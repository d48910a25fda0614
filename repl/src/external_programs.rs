//! The user's editor, which takes over the terminal for a while.

use frontend::error::CliError;
use terminal::{editor, modes::QuietTerminal};

/// Opens a text in the editor; `None` if the editor ended with an error, so that its text must not be used.
pub(crate) fn edit(quiet: &QuietTerminal, text: &str) -> Result<Option<String>, CliError> {
    editor::edit(text, |command| {
        let _terminal = quiet.pause();
        command.status()
    })
}
