//! What has the terminal for a while: an editor, a pager.

use std::{
    io::{self, Write},
    process::{Command, Stdio},
};

use crate::{
    error::{CliError, os_text},
    passphrase, printing,
    programs::{EDITOR, PAGER},
    terminal::Quiet,
};

/// Bytes of a text that comes back from an editor.
const MAX_TEXT: u64 = 8 << 20;

/// Has a text edited; `None` if the editor ended with an error, which means that nothing is to come of it.
pub(crate) fn edit(quiet: &Quiet, text: &str) -> Result<Option<String>, CliError> {
    let failed = |error: &io::Error| CliError::io("cannot write the file to edit", error, "make room in $TMPDIR");
    // For its user's eyes only.
    let file =
        tempfile::Builder::new().prefix("circles-").suffix(".rhai").tempfile().map_err(|error| failed(&error))?;
    let text = if text.is_empty() { String::new() } else { format!("{text}\n") };
    file.as_file().write_all(text.as_bytes()).map_err(|error| failed(&error))?;
    let editor = EDITOR.named().map(|(_, editor)| editor);
    let path = file.path();
    // As git has it: what is set may hold arguments, and a shell takes it apart.
    let script = match &editor {
        Some(editor) => format!("{editor} \"$@\""),
        None => format!(
            "for editor in {}; do command -v $editor >/dev/null && exec $editor \"$@\"; done; exit 127",
            EDITOR.usual.join(" ")
        ),
    };
    let status = attended(quiet, Command::new("sh").arg("-c").arg(script).arg("editor").arg(path))?;
    match status.code() {
        Some(127) => {
            let editor = editor.unwrap_or_else(|| EDITOR.usual.join(", "));
            Err(CliError::usage(
                "there is no editor",
                format!("{editor}: not found"),
                "set $EDITOR to one that is there",
            ))
        }
        Some(0) => {
            // Editors write a new file in its place.
            let text = std::fs::File::open(path).and_then(|file| {
                let mut text = String::new();
                io::Read::read_to_string(&mut io::Read::take(file, MAX_TEXT), &mut text).map(|_| text)
            });
            let text = text.map_err(|error| {
                CliError::usage(
                    "cannot read what was edited",
                    os_text(&error),
                    "write UTF-8, and leave the file where it is",
                )
            })?;
            Ok(Some(text.trim_end().to_owned()))
        }
        _ => Ok(None),
    }
}

/// Shows a text that is longer than the screen in the user's pager; without one, as it is.
pub(crate) fn page(quiet: &Quiet, text: &str) -> Result<(), CliError> {
    let pager = PAGER.named().map_or_else(|| PAGER.usual[0].to_owned(), |(_, pager)| pager);
    let mut command = Command::new("sh");
    // Colours come through; a text that fits on the screen is only shown.
    command.arg("-c").arg(&pager).env("LESS", std::env::var("LESS").unwrap_or_else(|_| "FRX".into()));
    command.stdin(Stdio::piped());
    let shown = {
        let _its = quiet.paused();
        let mut child = spawned(&mut command)?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that is left before the end reads no more.
            let _left = stdin.write_all(text.as_bytes());
        }
        child.wait().map_err(|error| CliError::io("the pager cannot be waited for", &error, ""))?
    };
    if shown.code() == Some(127) {
        printing::to_stdout(text)?;
    }
    Ok(())
}

/// Runs a program that has the terminal until it ends.
fn attended(quiet: &Quiet, command: &mut Command) -> Result<std::process::ExitStatus, CliError> {
    let _its = quiet.paused();
    let waited = spawned(command)?.wait();
    waited.map_err(|error| CliError::io("the editor cannot be waited for", &error, ""))
}

/// Starts a program, without what is secret in the environment.
fn spawned(command: &mut Command) -> Result<std::process::Child, CliError> {
    passphrase::withhold(command)
        .spawn()
        .map_err(|error| CliError::io("cannot start a program", &error, "is there a shell (sh)?"))
}
