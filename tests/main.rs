//! End to end: the real binary, real sockets, private home directories.

mod support;

mod check;
mod doctor;
mod hostile;
mod keys;
mod launch;
mod limits;
mod logs;
mod memory;
mod metrics;
mod play;
mod reconfigure;
mod reload;
mod repl;
mod serve;
mod service;
mod tui;
mod up;
mod wire;
mod workers;
