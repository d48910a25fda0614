//! A user's session on a circle: it connects and reconnects, authenticates, plays and cancels, carries out REPL
//! commands, plays on several circles, and keeps a notebook.
//!
//! One task owns the session (`task.rs`). The task takes inputs from a [`SessionHandle`], reports [`SessionEvent`]s in
//! order, and publishes a snapshot of its [`SessionState`]. It is independent of a terminal: the renderer sets the
//! display size, and decides where lines go. All messages of a session are in `messages.rs`, so that the line REPL, the
//! terminal interface and `circles play` use the same words.
//!
//! The session never plays an input unasked: if the environment or the circle of an input is gone, the session returns
//! the input.

mod call;
mod cancellation;
mod connection;
mod core;
mod event;
mod fan_out;
mod fan_out_part;
mod functions;
mod handle;
mod init;
mod inputs;
mod keys;
mod login;
mod messages;
mod options;
mod pending;
mod play;
mod queue;
mod remote;
mod replay;
mod retry;
mod run_command;
mod task;
#[cfg(test)]
mod tests;
mod timing;
mod value_commands;
mod watch;

pub use call::FunctionCall;
pub use cancellation::GIVE_UP_WINDOW;
pub use event::{
    CallerIdentity, CallerRights, ConnectionStatus, DisplayKind, DisplayLines, FanOutEvent, FanOutOutcome,
    FanOutRefusal, PlaySnapshot, SessionEvent, SessionRequest, SessionState, ShellCommand,
};
pub use fan_out::FanOut;
pub use handle::{Events, FanOutTarget, QueueFull, SessionHandle};

pub use keys::{KeySource, Keyring};
pub use options::{OtherCirclePolicy, Readiness, SessionOptions, connect_until_ready, continue_with_key, no_key_error};
pub use play::{PlayReporter, PlayUpdate, RunningRequest, Script};
pub use remote::{Remote, RemoteFuture};
pub use watch::{WatchEvents, WatchUpdate, channel_watch, failed_watch, next_watch_event};
