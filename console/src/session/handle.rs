//! The handle of a session, which sends it inputs, and its events.

use std::sync::Arc;

use frontend::{
    circle_target::CircleTarget,
    text::{Size, StyledLine},
};
use keys::keystore::KeyName;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::AbortHandle,
};

use super::{
    event::{FanOutEvent, SessionEvent, SessionState},
    play::Script,
    remote::Remote,
    watch::WatchEvents,
};
use crate::{
    commands::ReplCommand,
    completion::{CircleCompletion, CompletionList, CompletionScope, KnownNames},
    watch::WatchSubject,
};

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
    RefreshFunctions,
    /// A request for an answer once the task has taken the inputs before it.
    Sync(oneshot::Sender<()>),
}

/// A circle of a fan-out.
#[derive(Debug, Clone)]
pub struct FanOutTarget {
    /// The circle, as the user named it.
    pub label: String,
    /// The session on the circle.
    pub session: SessionHandle,
}

/// One session's part of a fan-out.
#[derive(Debug)]
pub(super) struct FanOutPart {
    pub(super) script: Script,
    pub(super) index: usize,
    pub(super) report: mpsc::Sender<(usize, FanOutEvent)>,
    pub(super) cancelled: watch::Receiver<bool>,
    /// Whether a console shows the error of the play, so that the error names commands of the console.
    pub(super) is_for_console: bool,
}

impl FanOutPart {
    pub(super) async fn end(self, event: FanOutEvent) {
        // Fails if the fan-out was dropped.
        drop(self.report.send((self.index, event)).await);
    }
}

/// A handle of a session. The session ends when its last handle is dropped.
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
        f.debug_struct("SessionHandle").field("state", &*self.state.borrow()).finish_non_exhaustive()
    }
}

/// Ends the task and the connection when it is dropped.
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

/// The events of a session, in order.
#[derive(Debug)]
pub struct Events(pub(super) mpsc::Receiver<SessionEvent>);

impl From<mpsc::Receiver<SessionEvent>> for Events {
    /// Wraps a channel of events that come through an intermediary.
    fn from(events: mpsc::Receiver<SessionEvent>) -> Self {
        Self(events)
    }
}

impl Events {
    /// Takes the next event if there is one.
    pub fn take(&mut self) -> Option<SessionEvent> {
        self.0.try_recv().ok()
    }

    /// Waits for the next event; `None` once the session has ended. Cancel safe.
    ///
    /// Plays wait until their events are taken. The session accepts inputs all the same.
    pub async fn next(&mut self) -> Option<SessionEvent> {
        self.0.recv().await
    }
}

/// The session's queue of inputs is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull;

impl SessionHandle {
    /// The circle of the session, as the user named it.
    pub fn target(&self) -> &CircleTarget {
        &self.target
    }

    /// Returns the current state.
    pub fn state(&self) -> SessionState {
        self.state.borrow().clone()
    }

    /// Returns a receiver of state changes.
    pub fn watch(&self) -> watch::Receiver<SessionState> {
        self.state.clone()
    }

    /// Connects at the request of the user. With `is_kept`, the session retries automatically if the circle cannot be
    /// reached.
    pub fn connect(&self, is_kept: bool) -> Result<(), QueueFull> {
        self.send(SessionInput::Connect { is_kept })
    }

    /// Reconnects without waiting for the next automatic attempt, because the circle may be up again.
    pub fn retry(&self) -> Result<(), QueueFull> {
        self.send(SessionInput::Retry)
    }

    /// Connects as soon as the circle, which is starting, is up. Inputs wait until then.
    pub fn wait_for_start(&self) -> Result<(), QueueFull> {
        self.send(SessionInput::WaitForStart)
    }

    /// Changes the address of the circle in messages. The caller changes the [`Remote`], too.
    pub fn set_target(&self, target: CircleTarget) -> Result<(), QueueFull> {
        self.send(SessionInput::Target(target))
    }

    /// Closes the connection without reconnecting, and cancels the running play.
    pub fn disconnect(&self) -> Result<(), QueueFull> {
        self.send(SessionInput::Disconnect)
    }

    /// Chooses the key and authenticates.
    pub fn authenticate(&self) -> Result<(), QueueFull> {
        self.send(SessionInput::Authenticate)
    }

    /// Switches to another key. An authenticated session needs a new connection for this, and loses its variables.
    pub fn use_key(&self, name: KeyName) -> Result<(), QueueFull> {
        self.send(SessionInput::UseKey(name))
    }

    /// Reports that the key source has a requested key ([`SessionRequest::Unlock`](super::SessionRequest::Unlock)) now.
    pub fn key_unlocked(&self, name: KeyName) -> Result<(), QueueFull> {
        self.send(SessionInput::Unlocked(name))
    }

    /// Reports that a requested key stays locked.
    pub fn keep_locked(&self, name: KeyName) -> Result<(), QueueFull> {
        self.send(SessionInput::KeepLocked(name))
    }

    /// Plays an input or carries out a command, as soon as possible. It ends in [`SessionEvent::InputFinished`] or
    /// [`SessionEvent::InputsReturned`].
    pub fn submit(&self, input: String) -> Result<(), QueueFull> {
        self.send(SessionInput::Submit(input))
    }

    /// Cancels the running play, the pending command or the connection attempt, and returns the queued inputs. A second
    /// call soon after the first gives up waiting for the end of the play.
    pub fn cancel(&self) -> Result<(), QueueFull> {
        self.send(SessionInput::Cancel)
    }

    /// Sets the display size.
    pub fn set_size(&self, room: Size) -> Result<(), QueueFull> {
        self.send(SessionInput::Size(room))
    }

    /// Answers [`SessionRequest::FanOut`](super::SessionRequest::FanOut), and plays on the given circles.
    pub fn fan_out(&self, targets: Vec<FanOutTarget>) -> Result<(), QueueFull> {
        self.send(SessionInput::FanOut(targets))
    }

    /// Asks the circle to complete an input at its cursor; `None` without an answer, unless the session knows candidates.
    pub fn complete(
        &self,
        input: (String, usize),
        request: CircleCompletion,
    ) -> impl Future<Output = Option<CompletionList>> + Send + 'static {
        let state = self.state.borrow();
        let known = known_names(&state);
        let may_play = state.may_play();
        drop(state);
        // A caller who may not play may have been given the right.
        if request.needs_circle_functions() || !may_play {
            self.refresh_functions();
        }
        let is_question = may_play && request.scope != CompletionScope::Call;
        let answer = is_question.then(|| self.remote.clone().complete(request.script.clone(), request.cursor as u64));
        async move {
            let answer = match answer {
                Some(answer) => answer.await.ok(),
                None => None,
            };
            request.candidates(input, answer, &known)
        }
    }

    /// Returns the candidates that the session knows without the circle.
    pub(crate) fn complete_locally(
        &self,
        input: (String, usize),
        request: &CircleCompletion,
    ) -> Option<CompletionList> {
        request.candidates(input, None, &known_names(&self.state.borrow()))
    }

    /// Fetches the functions of the circle again if they have changed, in the background.
    pub fn refresh_functions(&self) {
        // A session that is flooded with inputs has its list from before.
        let _full = self.send(SessionInput::RefreshFunctions);
    }

    /// Asks the circle for the documentation of a function, as `:doc` shows it; `None` without an answer, and for callers
    /// who may not play.
    pub fn document(&self, name: String) -> impl Future<Output = Option<Vec<StyledLine>>> + Send + 'static {
        let answer = self.state.borrow().may_play().then(|| self.remote.clone().query(ReplCommand::Doc(name)));
        async move {
            match answer {
                Some(answer) => answer.await.ok(),
                None => None,
            }
        }
    }

    /// Follows keys of the circle's store, or a topic, on the present connection and as its caller. The events end with
    /// the connection. Dropping them ends the subscription.
    pub fn follow(&self, subject: WatchSubject) -> WatchEvents {
        self.remote.clone().watch(subject)
    }

    fn send(&self, input: SessionInput) -> Result<(), QueueFull> {
        self.inputs.try_send(input).map_err(|_| QueueFull)
    }
}

/// The names that the session knows without the circle.
fn known_names(state: &SessionState) -> KnownNames {
    KnownNames { own: state.functions.clone(), circle: state.circle_functions.clone().unwrap_or_default() }
}
