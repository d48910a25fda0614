//! The state of a session, and how it reports.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use client_ws::{ClientError, Description, Notice};
use frontend::{circle_target::CircleTarget, error::CliError, known_circles::check::IdentityNotes, text::Size};
use keys::{KeyPair, keystore::KeyName};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    event::{CallerIdentity, ConnectionStatus, DisplayLines, SessionEvent, SessionRequest, SessionState},
    keys::KeySource,
    options::{OtherCirclePolicy, SessionOptions},
    pending::{ConnectFuture, PendingCommand, ReplacingCircle, RetryState, RunningInput, RunningPart},
    remote::{Remote, RemoteFuture},
};
use crate::notebook::Notebook;

/// The state of a session.
pub(super) struct Core {
    pub(super) target: CircleTarget,
    pub(super) remote: Arc<dyn Remote>,
    pub(super) keys: Arc<dyn KeySource>,
    pub(super) room: Size,
    pub(super) connection: ConnectionState,
    pub(super) reconnection: Reconnection,
    pub(super) login: Login,
    pub(super) work: Workload,
    pub(super) notebook: Notebook,
    pub(super) reports: Reports,
}

/// The connection as it is.
#[derive(Default)]
pub(super) struct ConnectionState {
    pub(super) status: ConnectionStatus,
    pub(super) connecting: Option<ConnectFuture>,
    pub(super) notices: Option<RemoteFuture<Notice>>,
    pub(super) circle: Option<Arc<Description>>,
    /// Connections that were made.
    pub(super) connections: u64,
    /// A loss that a play or a command may report by its own error.
    pub(super) unreported: Option<ClientError>,
    /// What it has to say about the circle's identity.
    pub(super) identity_notes: IdentityNotes,
}

/// What is to become of the connection, and what is still to be said of the one before.
#[derive(Default)]
pub(super) struct Reconnection {
    /// Whether the circle ended the connection while a key was unlocked.
    pub(super) is_paused: bool,
    /// Whether the connection is to be made again when it is lost.
    pub(super) is_kept: bool,
    /// Whether a user waits for the connection that is being made.
    pub(super) is_awaited: bool,
    pub(super) retry: Option<RetryState>,
    /// What is done where another circle answers in the place of this one.
    pub(super) policy: OtherCirclePolicy,
    /// Another circle that was found there.
    pub(super) replacing: Option<ReplacingCircle>,
    /// Where the circle is, as it was said last.
    pub(super) moved_to: Option<String>,
    /// Inputs that had made what went with a connection, until that is said.
    pub(super) lost_inputs: usize,
    /// What the newest connection is, until that is said.
    pub(super) announcement: Option<Announcement>,
}

/// What a connection is to its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Announcement {
    /// One more to the same circle.
    Reconnected,
    /// One to another circle in its place.
    OtherCircle,
}

/// The key of the session: the one it is authenticated with, and the one to authenticate with.
#[derive(Default)]
pub(super) struct Login {
    /// The key to authenticate with.
    pub(super) key: Option<KeyName>,
    /// The key of a scratch circle.
    pub(super) owner: Option<Arc<KeyPair>>,
    pub(super) identity: CallerIdentity,
    pub(super) authenticating: Option<(CallerIdentity, RemoteFuture<()>)>,
    /// The key that was requested from the user.
    pub(super) requested: Option<KeyName>,
}

/// What waits, what runs, what is awaited.
#[derive(Default)]
pub(super) struct Workload {
    pub(super) waiting: VecDeque<String>,
    pub(super) running: Option<RunningInput>,
    pub(super) part: Option<RunningPart>,
    pub(super) pending: Option<PendingCommand>,
    /// Files that are written.
    pub(super) saves: JoinSet<Result<String, CliError>>,
    pub(super) last_elapsed: Option<Duration>,
}

/// What is on its way to whoever renders the session.
pub(super) struct Reports {
    /// Events in their order.
    pub(super) outbox: VecDeque<SessionEvent>,
    pub(super) report: mpsc::Sender<SessionEvent>,
    publish: watch::Sender<SessionState>,
}

impl Core {
    pub(super) fn new(
        opening: SessionOptions,
        report: mpsc::Sender<SessionEvent>,
        publish: watch::Sender<SessionState>,
    ) -> Self {
        let SessionOptions { target, remote, keys, key, owner, room, identity_notes, other_circle } = opening;
        Self {
            target,
            remote,
            keys,
            room,
            connection: ConnectionState { identity_notes, ..ConnectionState::default() },
            reconnection: Reconnection { policy: other_circle, ..Reconnection::default() },
            login: Login { key, owner, ..Login::default() },
            work: Workload::default(),
            notebook: Notebook::default(),
            reports: Reports { outbox: VecDeque::new(), report, publish },
        }
    }

    /// Reports an event, behind those before it.
    pub(super) fn report(&mut self, event: SessionEvent) {
        self.reports.outbox.push_back(event);
    }

    pub(super) fn show(&mut self, shown: DisplayLines) {
        self.report(SessionEvent::Display(shown));
    }

    /// Says something that belongs to no input.
    pub(super) fn note(&mut self, text: &str) {
        self.show(DisplayLines::note(text));
    }

    /// Says something about the input that is carried out.
    pub(super) fn remark(&mut self, text: &str) {
        self.show(DisplayLines::remark(text));
    }

    pub(super) fn request(&mut self, request: SessionRequest) {
        self.report(SessionEvent::Request(request));
    }

    pub(super) fn state(&self) -> SessionState {
        SessionState {
            connection: self.connection.status,
            circle: self.connection.circle.clone(),
            identity: self.login.identity.clone(),
            key: self.login.key.clone(),
            is_reconnect_enabled: self.reconnection.is_kept,
            is_replaced: self.reconnection.replacing.is_some(),
            is_key_requested: self.login.requested.is_some(),
            running: self.work.running.as_ref().map(RunningInput::state),
            is_pending: self.work.pending.is_some() || self.work.part.is_some(),
            waiting: self.work.waiting.len(),
            inputs: self.notebook.inputs(),
            last_elapsed: self.work.last_elapsed,
        }
    }

    pub(super) fn publish(&mut self) {
        let state = self.state();
        self.reports.publish.send_replace(state);
    }
}
