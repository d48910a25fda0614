//! A text, edited in the user's own program.

use std::{
    io::{self, Write},
    process::{Command, ExitStatus},
};

use crate::{passphrase, programs::EDITOR};
use frontend::error::{CliError, os_error_text};

/// Bytes of a text that comes back from an editor.
const MAX_TEXT: u64 = 8 << 20;

/// Has a text edited; `None` if the editor ended with an error, which means that nothing is to come of it. `run` runs a
/// program that has the terminal until it ends. Blocks for as long.
pub fn edit(text: &str, run: impl FnOnce(&mut Command) -> io::Result<ExitStatus>) -> Result<Option<String>, CliError> {
    let failed = |error: &io::Error| CliError::io("cannot write the file to edit", error, "make room in $TMPDIR");
    // For its user's eyes only.
    let file =
        tempfile::Builder::new().prefix("circles-").suffix(".rhai").tempfile().map_err(|error| failed(&error))?;
    let text = if text.is_empty() { String::new() } else { format!("{text}\n") };
    file.as_file().write_all(text.as_bytes()).map_err(|error| failed(&error))?;
    let editor = EDITOR.from_env().map(|(_, editor)| editor);
    let path = file.path();
    // As git has it: what is set may hold arguments, and a shell takes it apart.
    let script = match &editor {
        // The shell outlives a Ctrl-C that is for the editor.
        Some(editor) => format!("trap : INT; {editor} \"$@\""),
        None => format!(
            "for editor in {}; do command -v $editor >/dev/null && exec $editor \"$@\"; done; exit 127",
            EDITOR.defaults.join(" ")
        ),
    };
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg("editor").arg(path);
    let status = run(passphrase::remove_variables(&mut command)).map_err(|error| start_error(&error))?;
    match status.code() {
        Some(127) => {
            let editor = editor.unwrap_or_else(|| EDITOR.defaults.join(", "));
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
                    os_error_text(&error),
                    "write UTF-8, and leave the file where it is",
                )
            })?;
            Ok(Some(text.trim_end().to_owned()))
        }
        _ => Ok(None),
    }
}

/// Why a program has not run.
pub fn start_error(error: &io::Error) -> CliError {
    CliError::io("cannot start a program", error, "is there a shell (sh)?")
}
