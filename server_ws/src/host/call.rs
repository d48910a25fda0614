//! What a host function knows of who calls it.

use std::{ops::Deref, sync::Arc, time::Instant};

use keys::PublicKey;
use tokio_util::sync::CancellationToken;

use super::error::Error;

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
    /// The key that the session had proved when the play was admitted; `None` of an anonymous one.
    pub fn caller(&self) -> Option<&PublicKey> {
        self.caller.as_ref()
    }

    /// Tells the sessions of a circle apart while it runs; the log has the same number.
    pub fn session(&self) -> u64 {
        self.session
    }

    /// The circle's name.
    pub fn circle(&self) -> &str {
        &self.circle
    }

    /// When the play's time is over; `None` if that is further off than there are dates.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether the play ends without waiting for this call any more: cancelled, past its deadline, its client gone.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.is_cancelled()
    }

    /// Waits until [`is_cancelled`](Self::is_cancelled). Cancel safe.
    pub async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }
}

/// One call of a host function: its [`Play`], to which it dereferences, and what its module keeps for that.
#[derive(Debug)]
pub struct Call<S = ()> {
    pub(crate) play: PlayContext,
    pub(crate) state: Arc<S>,
}

impl<S> Call<S> {
    /// What the module keeps for this play ([`Module::for_each_play`](super::Module::for_each_play)).
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
    /// It has a value.
    Succeeded,
    /// It has an error of its own, also where another module made it one at its end.
    Failed,
    /// Its client cancelled it.
    Cancelled,
    /// A limit ended it: of time, of memory, of what a caller may have.
    Limited,
    /// Its worker ended.
    Lost,
    /// Its connection ended.
    Disconnected,
    /// The circle ended.
    ShutDown,
}

impl PlayEnd {
    /// Whether its effects are to last.
    pub fn is_success(self) -> bool {
        self == Self::Succeeded
    }
}

/// The error of a module's end hook: it fails a play that has succeeded until then.
#[derive(Debug)]
pub(crate) struct EndHookError {
    /// The name of the module.
    pub(crate) module: String,
    pub(crate) error: Error,
}
