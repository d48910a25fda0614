//! Confirmation of actions that cannot be undone, asked on the terminal. The default is no.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
};

use frontend::error::CliError;
use terminal::output;

/// Longest answer, in bytes.
const MAX_ANSWER: u64 = 1024;

/// Exit code if the user declines: that of an interruption.
const DECLINED_EXIT_CODE: u8 = 130;

/// Asks the question on the terminal, even if stdin and stdout are redirected, unless `is_confirmed`. After any answer but
/// yes it prints `nothing was done` and fails. `what` is the error message if there is no terminal.
pub(crate) fn confirm(is_confirmed: bool, question: &str, what: &str) -> Result<(), CliError> {
    if is_confirmed {
        return Ok(());
    }
    // Has Ctrl-C end the process with the exit code of an interruption.
    let _restoring = terminal::runtime::client_runtime()?;
    let no_terminal = |_| CliError::usage(what, "there is no terminal to ask on", "confirm with --yes");
    let mut terminal = File::options().read(true).write(true).open("/dev/tty").map_err(no_terminal)?;
    terminal.write_all(format!("{question} [y/N] ").as_bytes()).map_err(no_terminal)?;
    let mut answer = String::new();
    let length = BufReader::new(&terminal).take(MAX_ANSWER).read_line(&mut answer).unwrap_or_default();
    if length == 0 {
        // After Ctrl-D the cursor is still on the line of the question.
        let _untidy = terminal.write_all(b"\n");
    }
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => {
            output::to_stderr("nothing was done\n");
            Err(CliError::AlreadyReported { exit_code: DECLINED_EXIT_CODE })
        }
    }
}
