//! The state of a session, and how it reports.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use client_ws::{ClientError, Description, Notice};
use frontend::{destination::Destination, error::CliError, text::Size};
use keys::{KeyPair, keystore::KeyName};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    awaited::{Connecting, Other, Pending, Retry, Running, RunningPart},
    event::{Event, Identity, Link, Request, Shown, State},
    keys::KeySource,
    opening::Opening,
    remote::{Answer, Remote},
};
use crate::notebook::Notebook;

/// The state of a session.
pub(super) struct Core {
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
    pub(super) outbox: VecDeque<Event>,
    pub(super) report: mpsc::Sender<Event>,
    publish: watch::Sender<State>,
}

impl Core {
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
            is_key_requested: self.requested.is_some(),
            running: self.running.as_ref().map(Running::state),
            is_pending: self.pending.is_some() || self.part.is_some(),
            waiting: self.waiting.len(),
            inputs: self.notebook.inputs(),
            last_elapsed: self.last_elapsed,
        }
    }

    pub(super) fn publish(&mut self) {
        let state = self.state();
        self.publish.send_replace(state);
    }
}
