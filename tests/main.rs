//! End-to-end tests: the real binary, real sockets, private home directories.

mod support;

mod cases;
mod check;
mod client_behaviour;
mod completions;
mod config;
mod doctor;
mod functions;
mod hostile;
mod identity;
mod init;
mod keys;
mod known;
mod launch;
mod limits;
mod logs;
mod man;
mod memory;
mod metrics;
mod play;
mod reconfigure;
mod reload;
mod repl;
mod roles;
mod serve;
mod service;
mod spares;
mod strangers;
mod tls;
mod tui;
mod up;
mod web;
mod wire;
mod words;
mod workers;
