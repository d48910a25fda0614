//! The context of a host call: its play and its caller.

use std::{ops::Deref, sync::Arc, time::Instant};

use keys::PublicKey;
use tokio_util::sync::CancellationToken;

use super::Error;

/// The play that a call belongs to.
#[derive(Debug, Clone)]
pub struct PlayContext {
    pub(crate) caller: Option<PublicKey>,
    pub(crate) session: u64,
    pub(crate) circle: Arc<str>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) cancelled: CancellationToken,
}

impl PlayContext {
    /// Returns the key with which the session was authenticated when the circle admitted the play; `None` for an
    /// anonymous caller.
    pub fn caller(&self) -> Option<&PublicKey> {
        self.caller.as_ref()
    }

    /// Returns the number of the session, as in the log. It is unique while the circle runs.
    pub fn session(&self) -> u64 {
        self.session
    }

    /// Returns the name of the circle.
    pub fn circle(&self) -> &str {
        &self.circle
    }

    /// Returns when the time limit of the play ends; `None` if that is too far in the future to represent.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether the play no longer waits for this call: it is cancelled, past its deadline, or its client is gone.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.is_cancelled()
    }

    /// Waits until [`is_cancelled`](Self::is_cancelled) is true. Cancel safe.
    pub async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }
}

/// A host call: its [`PlayContext`], to which it dereferences, and the state that its module keeps for the play.
#[derive(Debug)]
pub struct Call<S = ()> {
    pub(crate) play: PlayContext,
    pub(crate) state: Arc<S>,
}

impl<S> Call<S> {
    /// Returns the state that the module keeps for this play ([`Module::for_each_play`](super::Module::for_each_play)).
    pub fn state(&self) -> &S {
        &self.state
    }
}

impl<S> Deref for Call<S> {
    type Target = PlayContext;

    fn deref(&self) -> &PlayContext {
        &self.play
    }
}

/// How a play ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlayEnd {
    /// The play returned a value.
    Succeeded,
    /// The script failed, or the end hook of another module failed the play.
    Failed,
    /// The client cancelled the play.
    Cancelled,
    /// A limit ended the play: of time, of memory, or of the caller's quota.
    Limited,
    /// The worker was lost.
    Lost,
    /// The connection ended.
    Disconnected,
    /// The circle shut down.
    ShutDown,
}

impl PlayEnd {
    /// Whether the play succeeded, so that its effects should be kept.
    pub fn is_success(self) -> bool {
        self == Self::Succeeded
    }
}

/// The error of a module's end hook, which fails a play that has succeeded until then.
#[derive(Debug)]
pub(crate) struct EndHookError {
    /// The name of the module.
    pub(crate) module: String,
    pub(crate) error: Error,
}
