//! The state of a session, and its reports.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use client_ws::{ClientError, Description, Notice};
use frontend::{circle_target::CircleTarget, error::CliError, known_circles::check::IdentityNotes, text::Size};
use keys::{KeyPair, keystore::KeyName};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    event::{CallerIdentity, CallerRights, ConnectionStatus, DisplayLines, SessionEvent, SessionRequest, SessionState},
    functions::CircleFunctions,
    init::UserInit,
    keys::KeySource,
    options::{OtherCirclePolicy, SessionOptions},
    pending::{ConnectFuture, PendingCommand, ReplacingCircle, RetryState, RunningInput, RunningPart},
    remote::{Remote, RemoteFuture},
    replay::Replay,
    timing::Timing,
};
use crate::{directory::WorkingDirectory, notebook::Notebook};

/// The state of a session.
pub(super) struct Core {
    pub(super) target: CircleTarget,
    pub(super) remote: Arc<dyn Remote>,
    pub(super) keys: Arc<dyn KeySource>,
    pub(super) directory: Arc<WorkingDirectory>,
    pub(super) room: Size,
    pub(super) connection: ConnectionState,
    pub(super) reconnection: Reconnection,
    pub(super) login: Login,
    pub(super) functions: CircleFunctions,
    pub(super) work: Workload,
    pub(super) init: UserInit,
    pub(super) notebook: Notebook,
    pub(super) reports: Reports,
}

/// The state of the connection.
#[derive(Default)]
pub(super) struct ConnectionState {
    pub(super) status: ConnectionStatus,
    pub(super) connecting: Option<ConnectFuture>,
    pub(super) notices: Option<RemoteFuture<Notice>>,
    pub(super) circle: Option<Arc<Description>>,
    /// The number of connections so far.
    pub(super) connections: u64,
    /// A lost connection that a play or a command may report by its own error.
    pub(super) unreported: Option<ClientError>,
    /// The notes of the identity check.
    pub(super) identity_notes: IdentityNotes,
}

/// The state of reconnection, and pending messages about the previous connection.
#[derive(Default)]
pub(super) struct Reconnection {
    /// Whether the circle ended the connection while the user unlocks a key.
    pub(super) is_paused: bool,
    /// Whether the session reconnects automatically.
    pub(super) is_kept: bool,
    /// Whether the user waits for the connection attempt.
    pub(super) is_awaited: bool,
    pub(super) retry: Option<RetryState>,
    /// The policy for another circle at the same address.
    pub(super) policy: OtherCirclePolicy,
    /// The other circle at the same address.
    pub(super) replacing: Option<ReplacingCircle>,
    /// The last reported new URL of the circle.
    pub(super) moved_to: Option<String>,
    /// The number of inputs in lost environments that is not reported yet.
    pub(super) lost_inputs: usize,
    /// The message about the newest connection that is not reported yet.
    pub(super) announcement: Option<Announcement>,
}

/// The kind of a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Announcement {
    /// A connection to the same circle.
    Reconnected,
    /// A connection to another circle at the same address.
    OtherCircle,
}

/// The identity of the session, and its authentication.
#[derive(Default)]
pub(super) struct Login {
    /// The key to authenticate with.
    pub(super) key: Option<KeyName>,
    /// The key of a scratch circle.
    pub(super) owner: Option<Arc<KeyPair>>,
    pub(super) identity: CallerIdentity,
    /// The authentication, which ends with a new description of the circle and the caller, if the circle gives one.
    pub(super) authenticating: Option<(CallerIdentity, RemoteFuture<Option<Description>>)>,
    /// The key that the user should unlock.
    pub(super) requested: Option<KeyName>,
    /// The rights that the session has reported to the user; `None` until it is ready.
    pub(super) noted_rights: Option<CallerRights>,
}

/// The queued, running and pending inputs.
#[derive(Default)]
pub(super) struct Workload {
    pub(super) waiting: VecDeque<String>,
    pub(super) running: Option<RunningInput>,
    /// The replay that the running input is a part of.
    pub(super) replay: Option<Replay>,
    /// The runs of the script that `:timeit` times.
    pub(super) timing: Option<Timing>,
    pub(super) part: Option<RunningPart>,
    pub(super) pending: Option<PendingCommand>,
    /// The files that are being written.
    pub(super) saves: JoinSet<Result<String, CliError>>,
    pub(super) last_elapsed: Option<Duration>,
}

/// The reports to the renderer.
pub(super) struct Reports {
    /// The unsent events, in order.
    pub(super) outbox: VecDeque<SessionEvent>,
    pub(super) report: mpsc::Sender<SessionEvent>,
    publish: watch::Sender<SessionState>,
}

impl Core {
    pub(super) fn new(
        options: SessionOptions,
        report: mpsc::Sender<SessionEvent>,
        publish: watch::Sender<SessionState>,
    ) -> Self {
        let SessionOptions { target, remote, keys, key, owner, room, identity_notes, other_circle, directory, init } =
            options;
        Self {
            target,
            remote,
            keys,
            directory,
            room,
            connection: ConnectionState { identity_notes, ..ConnectionState::default() },
            reconnection: Reconnection { policy: other_circle, ..Reconnection::default() },
            login: Login { key, owner, ..Login::default() },
            functions: CircleFunctions::default(),
            work: Workload::default(),
            init: UserInit { file: init, ..UserInit::default() },
            notebook: Notebook::default(),
            reports: Reports { outbox: VecDeque::new(), report, publish },
        }
    }

    /// Queues an event.
    pub(super) fn report(&mut self, event: SessionEvent) {
        self.reports.outbox.push_back(event);
    }

    pub(super) fn show(&mut self, shown: DisplayLines) {
        self.report(SessionEvent::Display(shown));
    }

    /// Shows a note about no input in particular.
    pub(super) fn note(&mut self, text: &str) {
        self.show(DisplayLines::note(text));
    }

    /// Shows a remark about the current input.
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
            running: self.work.running.as_ref().map(RunningInput::state).or_else(|| self.init.snapshot()),
            is_pending: self.work.pending.is_some() || self.work.part.is_some() || self.init.is_reading(),
            waiting: self.work.waiting.len(),
            inputs: self.notebook.inputs(),
            functions: self.notebook.functions(),
            circle_functions: self.functions.list.clone(),
            last_elapsed: self.work.last_elapsed,
        }
    }

    pub(super) fn publish(&mut self) {
        let state = self.state();
        self.reports.publish.send_replace(state);
    }
}
