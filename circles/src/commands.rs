//! Commands, one file each.

pub(crate) mod admit;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod down;
pub(crate) mod identity;
pub(crate) mod init;
pub(crate) mod keygen;
pub(crate) mod keys;
pub(crate) mod known;
pub(crate) mod launch;
pub(crate) mod logs;
pub(crate) mod man;
pub(crate) mod play;
pub(crate) mod reload;
pub(crate) mod repl;
pub(crate) mod roles;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod supervise;
pub(crate) mod tui;
pub(crate) mod up;
