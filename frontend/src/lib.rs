//! Code shared by all front ends of circles, independent of a terminal: finding a circle ([`target`], [`config`]),
//! connecting to it ([`connect`], [`scratch`], [`supervisor`]), verifying its identity ([`known_circles`]), and errors
//! ([`error`]) as styled text ([`text`], [`report`]).

pub mod circle_target;
pub mod config;
pub mod connect;
pub mod edit_mode;
pub mod error;
pub mod files;
pub mod functions;
pub mod init;
pub mod key_bindings;
pub mod key_transfer;
pub mod known_circles;
pub mod log_line;
pub mod log_watch;
pub mod members;
pub mod new_circle;
pub mod quantity;
pub mod report;
pub mod scratch;
pub mod script;
pub mod settings;
pub mod signals;
pub mod suggest;
pub mod supervisor;
pub mod target;
pub mod text;
pub mod visible;
pub mod worker_pool;
