//! One user's session on one circle: connect, choose the key, authenticate, connect again, say what was lost, play, cancel,
//! obey `:` commands, play on several circles, keep a notebook.
//!
//! A session is owned by one task ([`task`]). It takes inputs from a [`Session`], reports [`Event`]s in their order, and
//! publishes a snapshot of its [`State`]. It knows no terminal: whoever renders it says how much room there is, and decides
//! where lines go. Every sentence about a session stands here ([`sentences`]), so the line REPL, the terminal interface and
//! `circles play` say the same.
//!
//! Nothing is played unasked: inputs that were typed for an environment, or for a circle, that is gone are given back.

mod connection;
mod event;
mod fan_out;
mod keys;
mod obey;
mod opening;
mod play;
mod playing;
mod remote;
mod sentences;
mod task;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ::keys::keystore::KeyName;
use frontend::{target::Destination, text::Size};
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    task::AbortHandle,
};

pub use event::{Event, Identity, Link, Request, RunningPlay, Shown, ShownKind, State};
pub use fan_out::{FanOut, FanOutEvent, Outcome, Target};
pub use keys::{KeySource, Keyring};
pub use opening::{Opening, Reached, admit, reach};
pub use play::{Play, PlayReporter, PlayUpdate, Script};
pub use playing::GIVE_UP_WINDOW;
pub use remote::{Answer, Remote};
pub use sentences::given_up;

use crate::completion::Completion;

/// Inputs on their way to the task. Its loop takes them at once; they wait in the session.
const INPUTS: usize = 256;

/// Events that wait to be taken, before the session makes the circle wait.
const EVENTS: usize = 64;

/// What a session is told.
#[derive(Debug)]
enum Input {
    Connect { is_kept: bool },
    Retry,
    Disconnect,
    Authenticate,
    UseKey(KeyName),
    Unlocked(KeyName),
    StaysLocked(KeyName),
    Submit(String),
    Cancel,
    Room(Size),
    FanOut(Vec<Target>),
    Part(fan_out::Part),
}

/// A session. Clones are the same session; it ends with the last of them.
#[derive(Clone)]
pub struct Session {
    inputs: mpsc::Sender<Input>,
    state: watch::Receiver<State>,
    remote: Arc<dyn Remote>,
    target: Arc<Destination>,
    _task: Arc<Ended>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("state", &*self.state.borrow()).finish_non_exhaustive()
    }
}

/// Ends the task, and the connection, when it is dropped.
struct Ended {
    task: AbortHandle,
    remote: Arc<dyn Remote>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.task.abort();
        self.remote.disconnect();
    }
}

/// A session's events, in their order.
#[derive(Debug)]
pub struct Events(mpsc::Receiver<Event>);

impl From<mpsc::Receiver<Event>> for Events {
    /// Events that somebody else hands on.
    fn from(events: mpsc::Receiver<Event>) -> Self {
        Self(events)
    }
}

impl Events {
    /// The next event; `None` once the session has ended. Cancel safe.
    ///
    /// While events are not taken, the session's plays wait; inputs are taken all the same.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.recv().await
    }
}

/// More is on its way to a session than it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl Session {
    /// Opens a session, which connects to nothing yet.
    pub fn open(runtime: &Handle, opening: Opening) -> (Self, Events) {
        let (inputs, taken) = mpsc::channel(INPUTS);
        let (report, events) = mpsc::channel(EVENTS);
        let (publish, state) = watch::channel(State { key: opening.key.clone(), ..State::default() });
        let (remote, target) = (opening.remote.clone(), Arc::new(opening.target.clone()));
        let task = runtime.spawn(task::Task::new(opening, report, publish).run(taken)).abort_handle();
        (
            Self { inputs, state, remote: remote.clone(), target, _task: Arc::new(Ended { task, remote }) },
            Events(events),
        )
    }

    /// Which circle it is on, as its user knows it.
    pub fn target(&self) -> &Destination {
        &self.target
    }

    /// Its state now.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Its state, as it changes.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// Connects, on behalf of a user who waits for it. With `is_kept` it goes on trying where the circle cannot be reached.
    pub fn connect(&self, is_kept: bool) -> Result<(), Full> {
        self.send(Input::Connect { is_kept })
    }

    /// Connects at once, if a connection is wanted and there is none: the circle may be there again.
    pub fn retry(&self) -> Result<(), Full> {
        self.send(Input::Retry)
    }

    /// Closes the connection, for good. What runs is cancelled.
    pub fn disconnect(&self) -> Result<(), Full> {
        self.send(Input::Disconnect)
    }

    /// Chooses the key, and authenticates.
    pub fn authenticate(&self) -> Result<(), Full> {
        self.send(Input::Authenticate)
    }

    /// Authenticates with a key in the place of the one that the session is authenticated with, which takes a new
    /// connection: variables are gone.
    pub fn use_key(&self, name: KeyName) -> Result<(), Full> {
        self.send(Input::UseKey(name))
    }

    /// A key that was requested ([`Request::Unlock`]) is with the key source now.
    pub fn unlocked(&self, name: KeyName) -> Result<(), Full> {
        self.send(Input::Unlocked(name))
    }

    /// A key that was requested stays locked.
    pub fn stays_locked(&self, name: KeyName) -> Result<(), Full> {
        self.send(Input::StaysLocked(name))
    }

    /// Plays an input or obeys it, once it can. It ends in [`Event::Done`] or [`Event::GivenBack`].
    pub fn submit(&self, input: String) -> Result<(), Full> {
        self.send(Input::Submit(input))
    }

    /// Cancels what goes on: the play, whatever else is awaited, the connection that is being made. A second time soon after
    /// the first it no longer waits for the play's end. Inputs that wait are given back.
    pub fn cancel(&self) -> Result<(), Full> {
        self.send(Input::Cancel)
    }

    /// Says how much room there is for what is shown from now on.
    pub fn set_room(&self, room: Size) -> Result<(), Full> {
        self.send(Input::Room(room))
    }

    /// Answers [`Request::FanOut`]: plays on those circles.
    pub fn fan_out(&self, targets: Vec<Target>) -> Result<(), Full> {
        self.send(Input::FanOut(targets))
    }

    /// Asks the circle what may stand at a character of a script; nothing without an answer. `offset` characters of the
    /// input stand before the script.
    pub fn complete(
        &self,
        (input, cursor): (String, usize),
        (script, at, offset): (String, usize, usize),
    ) -> impl Future<Output = Option<Completion>> + Send + 'static {
        let answer = self.remote.clone().complete(script, at as u64);
        async move { Some(Completion::of_answer(input, cursor, offset, answer.await.ok()?)) }
    }

    fn send(&self, input: Input) -> Result<(), Full> {
        self.inputs.try_send(input).map_err(|_| Full)
    }
}
