//! The context of a host call: its play and its caller.

use std::{fmt, ops::Deref, sync::Arc, time::Instant};

use keys::PublicKey;
use tokio::sync::OwnedMappedMutexGuard;
use tokio_util::sync::CancellationToken;

use super::{instance::Transaction, output::PlayOutput};
use crate::circle_store::StoreAccess;

/// The play that a call belongs to.
#[derive(Debug, Clone)]
pub struct PlayContext {
    pub(crate) caller: Option<PublicKey>,
    pub(crate) session: u64,
    pub(crate) circle: Arc<str>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) cancelled: CancellationToken,
    pub(crate) output: PlayOutput,
    /// The access of this call to the store; `None` for the modules of the program.
    pub(crate) store: Option<StoreAccess>,
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

    /// Prints a text to the caller of the play, as the script's `print` does. The text and 256 bytes for each print count
    /// towards a limit of `output_kib` for the host functions of a play; beyond it the play ends with −32004 `output`.
    /// When the play has ended, this has no effect.
    pub fn print(&self, text: impl Into<String>) {
        self.output.print(text.into());
    }

    /// Reports the progress of the call to the caller of the play, as the script's `progress` does: the amount of work
    /// done, the total amount, and a text of at most 256 bytes, the rest of which is cut off. The circle sends the newest
    /// report a few times a second. When the call has returned, the script's own reports apply again.
    pub fn progress<'t>(&self, done: i64, total: i64, text: impl Into<Option<&'t str>>) {
        self.output.set_progress(done, total, text.into());
    }

    /// Waits until [`is_cancelled`](Self::is_cancelled) is true. Cancel safe.
    pub async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }
}

/// A host call: its [`PlayContext`], to which it dereferences, and the transaction of its play.
///
/// While a call exists, other calls of the same module in the same play wait, and so does the end of the transaction.
pub struct Call<Tx = ()> {
    pub(super) play: PlayContext,
    pub(super) tx: OwnedMappedMutexGuard<Transaction<Tx>, Tx>,
}

impl<Tx> Call<Tx> {
    /// Returns the transaction of the play ([`Transactional`](super::Transactional)).
    pub fn tx(&mut self) -> &mut Tx {
        &mut self.tx
    }
}

impl<Tx> Deref for Call<Tx> {
    type Target = PlayContext;

    fn deref(&self) -> &PlayContext {
        &self.play
    }
}

impl<Tx> fmt::Debug for Call<Tx> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("play", &self.play).finish_non_exhaustive()
    }
}

/// How a play ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlayEnd {
    /// The play returned a value.
    Succeeded,
    /// The script failed, or a module refused the end of the play.
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
