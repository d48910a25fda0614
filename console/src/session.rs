//! One user's session on one circle: connect, choose the key, authenticate, connect again, say what was lost, play, cancel,
//! obey `:` commands, play on several circles, keep a notebook.
//!
//! A session is owned by one task (`task.rs`). It takes inputs from a [`SessionHandle`], reports [`SessionEvent`]s in their order, and
//! publishes a snapshot of its [`SessionState`]. It knows no terminal: whoever renders it says how much room there is, and decides
//! where lines go. Every sentence about a session stands here (`sentences.rs`), so the line REPL, the terminal interface and
//! `circles play` say the same.
//!
//! Nothing is played unasked: inputs that were typed for an environment, or for a circle, that is gone are given back.

mod awaited;
mod connection;
mod core;
mod event;
mod fan_out;
mod handle;
mod keys;
mod login;
mod obey;
mod opening;
mod parts;
mod play;
mod playing;
mod remote;
mod sentences;
mod task;
#[cfg(test)]
mod tests;

pub use event::{
    CallerIdentity, ConnectionStatus, DisplayKind, DisplayLines, FanOutEvent, FanOutOutcome, FanOutRefusal,
    PlaySnapshot, SessionEvent, SessionRequest, SessionState,
};
pub use fan_out::FanOut;
pub use handle::{Events, FanOutTarget, QueueFull, SessionHandle};
pub use keys::{KeySource, Keyring};
pub use opening::{OtherCirclePolicy, Readiness, SessionOptions, connect_until_ready, continue_with_key, no_key_error};
pub use play::{PlayReporter, PlayUpdate, Script, SessionPlay};
pub use playing::GIVE_UP_WINDOW;
pub use remote::{Remote, RemoteFuture};
