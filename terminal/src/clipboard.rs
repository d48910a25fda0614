//! The clipboard, through the terminal.

use std::io::{self, Write};

use base64::{Engine, engine::general_purpose::STANDARD};

/// Copies a text by OSC 52: the terminal puts the text into its clipboard, also over ssh. A terminal without this feature
/// ignores it.
pub fn copy(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    write!(stdout, "\x1b]52;c;{}\x07", STANDARD.encode(text))?;
    stdout.flush()
}
