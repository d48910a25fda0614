//! The task that owns a session: its state, and the loop that takes inputs, answers, notices and time.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use client_ws::{ClientError, Description, Notice};
use frontend::{error::CliError, target::Destination, text::Size};
use keys::{KeyPair, keystore::KeyName};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    Event, Identity, Input, KeySource, Link, Opening, Remote, Request, Shown, State,
    connection::{Connected, Connecting, Other, Retry},
    fan_out::{PartUpdate, RunningPart},
    obey::{Done, Pending},
    playing::{Running, Update},
    remote::Answer,
};
use crate::notebook::Notebook;

/// The state of a session.
pub(super) struct Task {
    pub(super) target: Destination,
    pub(super) remote: Arc<dyn Remote>,
    pub(super) keys: Arc<dyn KeySource>,
    pub(super) owner: Option<Arc<KeyPair>>,
    pub(super) room: Size,

    /// Whether the connection is to be made again when it is lost.
    pub(super) is_kept: bool,
    /// Whether a user waits for the connection that is being made.
    pub(super) is_awaited: bool,
    pub(super) link: Link,
    pub(super) connecting: Option<Connecting>,
    pub(super) retry: Option<Retry>,
    /// Connections that were made.
    pub(super) connections: u64,
    pub(super) circle: Option<Arc<Description>>,
    /// Another circle that was found in the place of this one.
    pub(super) other: Option<Other>,
    /// A loss that a play or a command may report by its own error.
    pub(super) unreported: Option<ClientError>,
    /// Inputs that had made what went with a connection, until that is said.
    pub(super) lost: usize,
    /// Whether the newest connection is still to be announced.
    pub(super) is_unannounced: bool,

    pub(super) key: Option<KeyName>,
    pub(super) identity: Identity,
    pub(super) authenticating: Option<(Identity, Answer<()>)>,
    /// The key that was requested from the user.
    pub(super) requested: Option<KeyName>,

    pub(super) notices: Option<Answer<Notice>>,
    pub(super) notebook: Notebook,
    pub(super) waiting: VecDeque<String>,
    pub(super) running: Option<Running>,
    pub(super) part: Option<RunningPart>,
    pub(super) pending: Option<Pending>,
    /// Files that are written.
    pub(super) saves: JoinSet<Result<String, CliError>>,
    pub(super) last_elapsed: Option<Duration>,

    /// Events on their way to whoever renders the session.
    outbox: VecDeque<Event>,
    report: mpsc::Sender<Event>,
    publish: watch::Sender<State>,
}

/// What the loop woke up for.
enum Woken {
    Input(Input),
    Ended,
    Reported,
    Connected(Connected),
    Authenticated(Result<(), ClientError>),
    Notice(Result<Notice, ClientError>),
    Retry,
    Running(Update),
    Part(PartUpdate),
    Pending(Done),
    Saved(Result<String, CliError>),
}

impl Task {
    pub(super) fn new(opening: Opening, report: mpsc::Sender<Event>, publish: watch::Sender<State>) -> Self {
        let Opening { target, remote, keys, key, owner, room } = opening;
        Self {
            target,
            remote,
            keys,
            owner,
            room,
            is_kept: false,
            is_awaited: false,
            link: Link::Off,
            connecting: None,
            retry: None,
            connections: 0,
            circle: None,
            other: None,
            unreported: None,
            lost: 0,
            is_unannounced: false,
            key,
            identity: Identity::Anonymous,
            authenticating: None,
            requested: None,
            notices: None,
            notebook: Notebook::default(),
            waiting: VecDeque::new(),
            running: None,
            part: None,
            pending: None,
            saves: JoinSet::new(),
            last_elapsed: None,
            outbox: VecDeque::new(),
            report,
            publish,
        }
    }

    pub(super) async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        loop {
            match self.wake(&mut inputs).await {
                Woken::Input(input) => self.input(input),
                Woken::Ended => return,
                Woken::Reported => continue,
                Woken::Connected(connected) => self.connected(connected),
                Woken::Authenticated(result) => self.authenticated(result),
                Woken::Notice(notice) => self.noticed(notice),
                Woken::Retry => self.connect(),
                // Prints change nothing that anybody watches.
                Woken::Running(update) if update.is_output() => {
                    self.updated(update);
                    continue;
                }
                Woken::Running(update) => self.updated(update),
                Woken::Part(update) => self.part_updated(update),
                Woken::Pending(done) => self.resolved(done),
                Woken::Saved(saved) => self.saved(saved),
            }
            self.publish();
        }
    }

    /// Waits for what comes next. Nothing is lost where it is dropped: each of what it waits for is cancel safe.
    async fn wake(&mut self, inputs: &mut mpsc::Receiver<Input>) -> Woken {
        // What plays print waits until what they printed before is taken; everything else goes on.
        let has_room = self.outbox.is_empty();
        let authenticated = async {
            match &mut self.authenticating {
                Some((_, answer)) => answer.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            input = inputs.recv() => input.map_or(Woken::Ended, Woken::Input),
            room = self.report.reserve(), if !has_room => {
                let Ok(room) = room else { return Woken::Ended };
                if let Some(event) = self.outbox.pop_front() {
                    room.send(event);
                }
                Woken::Reported
            }
            connected = next(&mut self.connecting) => {
                self.connecting = None;
                Woken::Connected(connected)
            }
            result = authenticated => Woken::Authenticated(result),
            notice = next(&mut self.notices) => {
                self.notices = None;
                Woken::Notice(notice)
            }
            () = until(self.retry.as_ref().and_then(|retry| retry.at)) => {
                Woken::Retry
            }
            update = Running::next(&mut self.running), if has_room => Woken::Running(update),
            update = RunningPart::next(&mut self.part) => Woken::Part(update),
            done = Pending::next(&mut self.pending) => Woken::Pending(done),
            // A panic has been reported by its hook.
            Some(Ok(saved)) = self.saves.join_next() => Woken::Saved(saved),
        }
    }

    fn input(&mut self, input: Input) {
        match input {
            Input::Connect { is_kept } => self.connect_asked(is_kept),
            Input::Retry if self.is_kept && self.link == Link::Off => self.connect(),
            Input::Retry => {}
            Input::Disconnect => self.disconnect(),
            Input::Authenticate => self.choose_key(),
            Input::UseKey(name) => self.use_key(name),
            Input::Unlocked(name) => self.key_unlocked(name),
            Input::StaysLocked(name) => self.key_stays_locked(&name),
            Input::Submit(input) => self.submit(input),
            Input::Cancel => self.cancel(),
            Input::Room(room) => self.room = room,
            Input::FanOut(targets) => self.fan_out(targets),
            Input::Part(part) => self.take_part(part),
        }
    }

    /// Reports an event, behind those before it.
    pub(super) fn report(&mut self, event: Event) {
        self.outbox.push_back(event);
    }

    pub(super) fn show(&mut self, shown: Shown) {
        self.report(Event::Shown(shown));
    }

    /// Says something that belongs to no input.
    pub(super) fn note(&mut self, text: &str) {
        self.show(Shown::note(text));
    }

    /// Says something about the input that is carried out.
    pub(super) fn remark(&mut self, text: &str) {
        self.show(Shown::remark(text));
    }

    pub(super) fn request(&mut self, request: Request) {
        self.report(Event::Request(request));
    }

    pub(super) fn state(&self) -> State {
        State {
            link: self.link,
            circle: self.circle.clone(),
            identity: self.identity.clone(),
            key: self.key.clone(),
            is_kept: self.is_kept,
            running: self.running.as_ref().map(Running::state),
            is_pending: self.pending.is_some() || self.part.is_some(),
            waiting: self.waiting.len(),
            inputs: self.notebook.inputs(),
            last_elapsed: self.last_elapsed,
        }
    }

    fn publish(&mut self) {
        let state = self.state();
        self.publish.send_replace(state);
    }
}

/// Waits for a future that may not be there. The caller takes it away once it is done.
async fn next<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
