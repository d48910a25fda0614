//! Long texts in the user's pager.

use std::{
    io::Write,
    process::{Child, Command, Stdio},
};

use frontend::error::CliError;

use crate::{editor, modes, output, passphrase, programs::PAGER};

/// Shows a text in the user's pager. Prints it if there is no pager, or if the terminal cannot show one.
pub fn page(text: &str) -> Result<(), CliError> {
    let pager = match PAGER.from_env() {
        Some((_, pager)) => pager,
        None if modes::is_dumb() => return Ok(output::to_stdout(text)?),
        None => PAGER.defaults[0].to_owned(),
    };
    let mut command = Command::new("sh");
    // `FRX`: keep colours, and do not wait if the text fits on the screen.
    command.arg("-c").arg(&pager).env("LESS", std::env::var("LESS").unwrap_or_else(|_| "FRX".into()));
    command.stdin(Stdio::piped());
    let mut child = spawn(&mut command)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A pager that the user quits early does not read the rest.
        let _left = stdin.write_all(text.as_bytes());
    }
    let shown = child.wait().map_err(|error| CliError::io("cannot wait for the pager", &error, ""))?;
    if shown.code() == Some(127) {
        output::to_stdout(text)?;
    }
    Ok(())
}

/// Starts a program without the environment variables that hold a passphrase.
fn spawn(command: &mut Command) -> Result<Child, CliError> {
    passphrase::remove_variables(command).spawn().map_err(|error| editor::start_error(&error))
}
