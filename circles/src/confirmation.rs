//! Whether something is meant that cannot be undone: asked on the terminal, the default being no.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
};

use frontend::error::CliError;
use terminal::output;

/// Bytes of an answer.
const MAX_ANSWER: u64 = 1024;

/// The exit code of what was asked for and then not wanted: that of an interruption.
const DECLINED_EXIT_CODE: u8 = 130;

/// Asks, unless it was said before, whatever stdin and stdout are. After any answer but yes nothing is to be done, and
/// that is said; `what` says what is not done where there is nobody to ask.
pub(crate) fn confirm(is_confirmed: bool, question: &str, what: &str) -> Result<(), CliError> {
    if is_confirmed {
        return Ok(());
    }
    // Ctrl-C is then an end with the code of one.
    let _restoring = terminal::runtime::client_runtime()?;
    let no_terminal = |_| CliError::usage(what, "there is no terminal to ask on", "say that it is meant: --yes");
    let mut terminal = File::options().read(true).write(true).open("/dev/tty").map_err(no_terminal)?;
    terminal.write_all(format!("{question} [y/N] ").as_bytes()).map_err(no_terminal)?;
    let mut answer = String::new();
    let length = BufReader::new(&terminal).take(MAX_ANSWER).read_line(&mut answer).unwrap_or_default();
    if length == 0 {
        // Ctrl-D leaves the cursor behind the question.
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
