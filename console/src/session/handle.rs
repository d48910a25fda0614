//! The handle of a session: its inputs and its events.

use std::sync::Arc;

use frontend::{circle_target::CircleTarget, text::Size};
use keys::keystore::KeyName;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::AbortHandle,
};

use super::{
    event::{FanOutEvent, SessionEvent, SessionState},
    play::Script,
    remote::Remote,
};
use crate::completion::CompletionList;

/// The inputs of a session.
#[derive(Debug)]
pub(super) enum SessionInput {
    Connect {
        is_kept: bool,
    },
    Retry,
    WaitForStart,
    Target(CircleTarget),
    Disconnect,
    Authenticate,
    UseKey(KeyName),
    Unlocked(KeyName),
    KeepLocked(KeyName),
    Submit(String),
    Cancel,
    Size(Size),
    FanOut(Vec<FanOutTarget>),
    Part(FanOutPart),
    /// Answered once the inputs before it are taken.
    Sync(oneshot::Sender<()>),
}

/// A circle among several.
#[derive(Debug, Clone)]
pub struct FanOutTarget {
    /// The circle as its user calls it.
    pub label: String,
    /// The session that plays there.
    pub session: SessionHandle,
}

/// What one session has to play.
#[derive(Debug)]
pub(super) struct FanOutPart {
    pub(super) script: Script,
    pub(super) index: usize,
    pub(super) report: mpsc::Sender<(usize, FanOutEvent)>,
    pub(super) cancelled: watch::Receiver<bool>,
}

impl FanOutPart {
    pub(super) async fn end(self, event: FanOutEvent) {
        // Nobody listens any more where the plays were given up.
        drop(self.report.send((self.index, event)).await);
    }
}

/// A session. Clones are the same session; it ends with the last of them.
#[derive(Clone)]
pub struct SessionHandle {
    pub(super) inputs: mpsc::Sender<SessionInput>,
    pub(super) state: watch::Receiver<SessionState>,
    pub(super) remote: Arc<dyn Remote>,
    pub(super) target: Arc<CircleTarget>,
    pub(super) _task: Arc<TaskGuard>,
}

impl std::fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("state", &*self.state.borrow()).finish_non_exhaustive()
    }
}

/// Ends the task, and the connection, when it is dropped.
pub(super) struct TaskGuard {
    pub(super) task: AbortHandle,
    pub(super) remote: Arc<dyn Remote>,
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        self.task.abort();
        self.remote.disconnect();
    }
}

/// A session's events, in their order.
#[derive(Debug)]
pub struct Events(pub(super) mpsc::Receiver<SessionEvent>);

impl From<mpsc::Receiver<SessionEvent>> for Events {
    /// Events that somebody else hands on.
    fn from(events: mpsc::Receiver<SessionEvent>) -> Self {
        Self(events)
    }
}

impl Events {
    /// The next event, if there is one already.
    pub fn take(&mut self) -> Option<SessionEvent> {
        self.0.try_recv().ok()
    }

    /// The next event; `None` once the session has ended. Cancel safe.
    ///
    /// While events are not taken, the session's plays wait; inputs are taken all the same.
    pub async fn next(&mut self) -> Option<SessionEvent> {
        self.0.recv().await
    }
}

/// More is on its way to a session than it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull;

impl SessionHandle {
    /// Which circle it is on, as its user knows it.
    pub fn target(&self) -> &CircleTarget {
        &self.target
    }

    /// Its state now.
    pub fn state(&self) -> SessionState {
        self.state.borrow().clone()
    }

    /// Its state, as it changes.
    pub fn watch(&self) -> watch::Receiver<SessionState> {
        self.state.clone()
    }

    /// Connects, on behalf of a user who waits for it. With `is_kept` it goes on trying where the circle cannot be reached.
    pub fn connect(&self, is_kept: bool) -> Result<(), QueueFull> {
        self.send(SessionInput::Connect { is_kept })
    }

    /// Connects at once, if a connection is wanted and there is none: the circle may be there again.
    pub fn retry(&self) -> Result<(), QueueFull> {
        self.send(SessionInput::Retry)
    }

    /// Connects once the circle is there, which is being started. What is submitted until then waits.
    pub fn wait_for_start(&self) -> Result<(), QueueFull> {
        self.send(SessionInput::WaitForStart)
    }

    /// Says where the circle is from now on; the connection ([`Remote`]) is to know that, too.
    pub fn set_target(&self, target: CircleTarget) -> Result<(), QueueFull> {
        self.send(SessionInput::Target(target))
    }

    /// Closes the connection, for good. What runs is cancelled.
    pub fn disconnect(&self) -> Result<(), QueueFull> {
        self.send(SessionInput::Disconnect)
    }

    /// Chooses the key, and authenticates.
    pub fn authenticate(&self) -> Result<(), QueueFull> {
        self.send(SessionInput::Authenticate)
    }

    /// Authenticates with a key in the place of the one that the session is authenticated with, which takes a new
    /// connection: variables are gone.
    pub fn use_key(&self, name: KeyName) -> Result<(), QueueFull> {
        self.send(SessionInput::UseKey(name))
    }

    /// A key that was requested ([`Request::Unlock`](super::Request::Unlock)) is with the key source now.
    pub fn key_unlocked(&self, name: KeyName) -> Result<(), QueueFull> {
        self.send(SessionInput::Unlocked(name))
    }

    /// A key that was requested stays locked.
    pub fn keep_locked(&self, name: KeyName) -> Result<(), QueueFull> {
        self.send(SessionInput::KeepLocked(name))
    }

    /// Plays an input or obeys it, once it can. It ends in [`Event::Done`] or [`Event::GivenBack`].
    pub fn submit(&self, input: String) -> Result<(), QueueFull> {
        self.send(SessionInput::Submit(input))
    }

    /// Cancels what goes on: the play, whatever else is awaited, the connection that is being made. A second time soon after
    /// the first it no longer waits for the play's end. Inputs that wait are given back.
    pub fn cancel(&self) -> Result<(), QueueFull> {
        self.send(SessionInput::Cancel)
    }

    /// Says how much room there is for what is shown from now on.
    pub fn set_size(&self, room: Size) -> Result<(), QueueFull> {
        self.send(SessionInput::Size(room))
    }

    /// Answers [`Request::FanOut`](super::Request::FanOut): plays on those circles.
    pub fn fan_out(&self, targets: Vec<FanOutTarget>) -> Result<(), QueueFull> {
        self.send(SessionInput::FanOut(targets))
    }

    /// Asks the circle what may stand at a character of a script; nothing without an answer. `offset` characters of the
    /// input stand before the script.
    pub fn complete(
        &self,
        (input, cursor): (String, usize),
        (script, at, offset): (String, usize, usize),
    ) -> impl Future<Output = Option<CompletionList>> + Send + 'static {
        let answer = self.remote.clone().complete(script, at as u64);
        async move { Some(CompletionList::from_answer(input, cursor, offset, answer.await.ok()?)) }
    }

    fn send(&self, input: SessionInput) -> Result<(), QueueFull> {
        self.inputs.try_send(input).map_err(|_| QueueFull)
    }
}
