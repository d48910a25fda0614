//! One user's session on one circle: connect, choose the key, authenticate, connect again, say what was lost, play, cancel,
//! obey `:` commands, play on several circles, keep a notebook.
//!
//! A session is owned by one task (`task.rs`). It takes inputs from a [`Session`], reports [`Event`]s in their order, and
//! publishes a snapshot of its [`State`]. It knows no terminal: whoever renders it says how much room there is, and decides
//! where lines go. Every sentence about a session stands here (`sentences.rs`), so the line REPL, the terminal interface and
//! `circles play` say the same.
//!
//! Nothing is played unasked: inputs that were typed for an environment, or for a circle, that is gone are given back.

mod connection;
mod core;
mod event;
mod fan_out;
mod fan_out_part;
mod handle;
mod inputs;
mod keys;
mod login;
mod messages;
mod options;
mod pending;
mod play;
mod remote;
mod run_command;
mod task;
#[cfg(test)]
mod tests;

pub use event::{
    CallerIdentity, ConnectionStatus, DisplayKind, DisplayLines, FanOutEvent, FanOutOutcome, FanOutRefusal,
    PlaySnapshot, SessionEvent, SessionRequest, SessionState,
};
pub use fan_out::FanOut;
pub use handle::{Events, FanOutTarget, QueueFull, SessionHandle};
pub use inputs::GIVE_UP_WINDOW;
pub use keys::{KeySource, Keyring};
pub use options::{OtherCirclePolicy, Readiness, SessionOptions, connect_until_ready, continue_with_key, no_key_error};
pub use play::{PlayReporter, PlayUpdate, Script, SessionPlay};
pub use remote::{Remote, RemoteFuture};
