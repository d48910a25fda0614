//! What programs at a terminal share: output and its colours, passphrases, Ctrl-C, status lines, the user's editor and pager.

pub mod connect;
pub mod editor;
pub mod logging;
pub mod modes;
pub mod passphrase;
pub mod printer;
pub mod printing;
pub mod programs;
pub mod secrets;
pub mod waiting;
