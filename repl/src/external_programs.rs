//! The user's editor and shell, which take over the terminal for a while.

use console::session::ShellCommand;
use frontend::error::CliError;
use terminal::{editor, modes::QuietTerminal, shell};

/// Opens a text in the editor; `None` if the editor ended with an error, so that its text must not be used.
pub(crate) fn edit(quiet: &QuietTerminal, text: &str) -> Result<Option<String>, CliError> {
    editor::edit(text, |command| {
        let _terminal = quiet.pause();
        command.status()
    })
}

/// Runs a command in the user's shell; returns how it ended, if not well.
pub(crate) fn run_shell(quiet: &QuietTerminal, command: &ShellCommand) -> Result<Option<String>, CliError> {
    shell::run(command, |command| {
        let _terminal = quiet.pause();
        command.status()
    })
}
