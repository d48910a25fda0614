//! Programs that take over the terminal for a while: an editor, a pager.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use frontend::error::CliError;
use terminal::{editor, modes::QuietTerminal, output, passphrase, programs::PAGER};

/// Opens a text in the editor; `None` if the editor ended with an error, so that its text must not be used.
pub(crate) fn edit(quiet: &QuietTerminal, text: &str) -> Result<Option<String>, CliError> {
    editor::edit(text, |command| {
        let _terminal = quiet.pause();
        command.status()
    })
}

/// Shows a text in the user's pager; prints it if there is no pager.
pub(crate) fn page(quiet: &QuietTerminal, text: &str) -> Result<(), CliError> {
    let pager = PAGER.from_env().map_or_else(|| PAGER.defaults[0].to_owned(), |(_, pager)| pager);
    let mut command = Command::new("sh");
    // `FRX`: keep colours, and do not wait if the text fits on the screen.
    command.arg("-c").arg(&pager).env("LESS", std::env::var("LESS").unwrap_or_else(|_| "FRX".into()));
    command.stdin(Stdio::piped());
    let shown = {
        let _terminal = quiet.pause();
        let mut child = spawn(&mut command)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A pager that the user quits early does not read the rest.
            let _left = stdin.write_all(text.as_bytes());
        }
        child.wait().map_err(|error| CliError::io("cannot wait for the pager", &error, ""))?
    };
    if shown.code() == Some(127) {
        output::to_stdout(text)?;
    }
    Ok(())
}

/// Starts a program without the environment variables that hold a passphrase.
fn spawn(command: &mut Command) -> Result<std::process::Child, CliError> {
    passphrase::remove_variables(command).spawn().map_err(|error| editor::start_error(&error))
}
