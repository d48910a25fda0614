//! Edits a text in the user's editor.

use std::{
    io::{self, Write},
    path::Path,
    process::{Command, ExitStatus},
};

use crate::{passphrase, programs::EDITOR};
use frontend::error::{CliError, os_error_text};

/// The maximum size of the edited text, in bytes.
const MAX_TEXT: u64 = 8 << 20;

/// Opens a text in the user's editor, and returns the edited text; `None` if the editor ended with an error, which
/// discards the edit. `run` runs a program that uses the terminal. Blocks until the editor ends.
pub fn edit(text: &str, run: impl FnOnce(&mut Command) -> io::Result<ExitStatus>) -> Result<Option<String>, CliError> {
    let failed = |error: &io::Error| CliError::io("cannot write the file to edit", error, "free some space in $TMPDIR");
    // Temporary files are private to the user.
    let file =
        tempfile::Builder::new().prefix("circles-").suffix(".rhai").tempfile().map_err(|error| failed(&error))?;
    let text = if text.is_empty() { String::new() } else { format!("{text}\n") };
    file.as_file().write_all(text.as_bytes()).map_err(|error| failed(&error))?;
    if !open(file.path(), run)? {
        return Ok(None);
    }
    // Opened by path, because editors may replace the file.
    let text = std::fs::File::open(file.path()).and_then(|file| {
        let mut text = String::new();
        io::Read::read_to_string(&mut io::Read::take(file, MAX_TEXT), &mut text).map(|_| text)
    });
    let text = text.map_err(|error| {
        CliError::usage("cannot read the edited text", os_error_text(&error), "save it as UTF-8, under the same name")
    })?;
    Ok(Some(text.trim_end().to_owned()))
}

/// Opens a file in the user's editor; false if the editor ended with an error. `run` runs a program that uses the
/// terminal. Blocks until the editor ends.
pub fn open(file: &Path, run: impl FnOnce(&mut Command) -> io::Result<ExitStatus>) -> Result<bool, CliError> {
    let editor = EDITOR.from_env().map(|(_, editor)| editor);
    // As in git: the variable may hold arguments, so a shell parses it.
    let script = match &editor {
        // The shell must outlive a Ctrl-C that is meant for the editor.
        Some(editor) => format!("trap : INT; {}{editor} \"$@\"", existence_check(editor)),
        None => format!(
            "for editor in {}; do command -v $editor >/dev/null && exec $editor \"$@\"; done; exit 127",
            EDITOR.defaults.join(" ")
        ),
    };
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg("editor").arg(file);
    let status = run(passphrase::remove_variables(&mut command)).map_err(|error| start_error(&error))?;
    match status.code() {
        Some(127) => {
            let editor = editor.unwrap_or_else(|| EDITOR.defaults.join(", "));
            Err(CliError::usage(
                "there is no editor",
                format!("{editor}: not found"),
                "set $EDITOR to an installed editor",
            ))
        }
        status => Ok(status == Some(0)),
    }
}

/// Returns a shell command that ends the script if the editor's program does not exist: the shell itself would print a
/// message of its own. Programs whose name needs the shell to be understood are not checked.
fn existence_check(editor: &str) -> String {
    let program = editor.split_whitespace().next().unwrap_or_default();
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "_./~+-".contains(character);
    if program.is_empty() || !program.chars().all(is_plain) {
        return String::new();
    }
    format!("command -v {program} >/dev/null || exit 127; ")
}

/// Returns the error for a program that could not be started.
pub fn start_error(error: &io::Error) -> CliError {
    CliError::io("cannot start a program", error, "is there a shell (sh)?")
}

#[cfg(test)]
mod tests {
    use super::existence_check;

    #[test]
    fn plain_program_of_the_editor_is_checked() {
        assert_eq!(existence_check("nano -w"), "command -v nano >/dev/null || exit 127; ");
        assert_eq!(existence_check("~/bin/ed"), "command -v ~/bin/ed >/dev/null || exit 127; ");
        for editor in ["", "LANG=C nano", "\"my editor\" -w", "$(rm x)", "nano;x"] {
            assert_eq!(existence_check(editor), "", "{editor}");
        }
    }
}
