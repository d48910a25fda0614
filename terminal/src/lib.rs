//! Code shared by terminal programs: output and colours, passphrases, Ctrl-C, status lines, the clipboard, the
//! user's editor, pager and shell.

pub mod clipboard;
pub mod editor;
pub mod logging;
pub mod modes;
pub mod output;
pub mod pager;
pub mod passphrase;
pub mod printer;
pub mod programs;
pub mod runtime;
pub mod secrets;
pub mod shell;
pub mod status_line;
