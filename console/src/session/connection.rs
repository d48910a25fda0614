//! The session's connection: connecting, losing the connection, reconnecting.

use std::sync::Arc;

use client_ws::{ClientError, Description, Notice};
use frontend::{
    error::CliError,
    known_circles::check::IdentityNote,
    target::{self, CircleTarget, TargetKind},
};
use protocol::methods::Access;

use super::{
    core::{Announcement, Core},
    event::{CallerIdentity, ConnectionStatus, DisplayLines, SessionEvent},
    functions::CircleFunctions,
    messages,
    options::OtherCirclePolicy,
    pending::{ConnectOutcome, PendingCommand, ReplacingCircle, RetryState, RunningInput},
    retry::MIN_BACKOFF,
};

impl Core {
    /// Connects at the request of the user, who accepts any circle there.
    pub(super) fn on_connect(&mut self, is_kept: bool) {
        self.reconnection.is_kept |= is_kept || self.connection.connections > 0;
        // An existing connection is not awaited and cannot be cancelled.
        self.reconnection.is_awaited = self.connection.status != ConnectionStatus::Connected;
        if let Some(retry) = &mut self.reconnection.retry {
            retry.is_starting = false;
        }
        if let Some(other) = &mut self.reconnection.replacing {
            other.is_announced = true;
        }
        match self.connection.status {
            ConnectionStatus::Connected if self.login.identity == CallerIdentity::Anonymous && !self.is_ready() => {
                self.find_rights_or_key();
            }
            ConnectionStatus::Connected if self.is_ready() => self.report(SessionEvent::Ready),
            ConnectionStatus::Connected | ConnectionStatus::Connecting => {}
            ConnectionStatus::Disconnected => self.connect(),
        }
    }

    /// Whether the session can carry out inputs when it is not busy. A requested key comes first.
    pub(super) fn is_ready(&self) -> bool {
        self.state().is_ready() && self.login.requested.is_none()
    }

    /// Connects at the request of the user as soon as the circle is up.
    pub(super) fn wait_for_start(&mut self) {
        (self.reconnection.is_kept, self.reconnection.is_awaited) = (true, false);
        match self.connection.status {
            ConnectionStatus::Disconnected => {
                self.reconnection.retry = None;
                self.schedule_retry();
            }
            ConnectionStatus::Connecting => {
                self.reconnection.retry.get_or_insert(RetryState { at: None, backoff: MIN_BACKOFF, is_starting: true });
            }
            ConnectionStatus::Connected => {}
        }
        if let Some(retry) = &mut self.reconnection.retry {
            retry.is_starting = true;
        }
    }

    /// Whether the circle is starting, so that inputs wait for it.
    pub(super) fn is_starting(&self) -> bool {
        self.reconnection.retry.as_ref().is_some_and(|retry| retry.is_starting)
    }

    /// Connects if the session is disconnected.
    pub(super) fn connect(&mut self) {
        if self.connection.status != ConnectionStatus::Disconnected {
            return;
        }
        self.connection.status = ConnectionStatus::Connecting;
        // Keeps the pause, so that the next one is longer.
        if let Some(retry) = &mut self.reconnection.retry {
            retry.at = None;
        }
        let (remote, target) = (self.remote.clone(), self.target.clone());
        let is_awaited = self.reconnection.is_awaited || self.is_starting();
        self.connection.connecting = Some(Box::pin(async move {
            let result = remote.connect().await;
            let moved = if result.is_err() && !is_awaited { find_moved_url(&target).await } else { None };
            ConnectOutcome { result, moved }
        }));
    }

    pub(super) fn on_connect_outcome(&mut self, ConnectOutcome { result, moved }: ConnectOutcome) {
        self.connection.status = ConnectionStatus::Disconnected;
        for note in self.connection.identity_notes.take() {
            self.show(match note {
                IdentityNote::FirstUse(text) => DisplayLines::note(&text),
                IdentityNote::Warning(text) => DisplayLines::warning(&text),
            });
        }
        match result {
            Ok(circle) => match self.replaced_name(&circle) {
                None => self.on_connected(circle),
                Some(before) => self.on_other_circle(&circle, &before),
            },
            Err(error) => self.on_connect_failed(error, moved),
        }
    }

    /// Returns the name of the session's circle if a different circle answers and the user has not accepted it.
    fn replaced_name(&self, circle: &Description) -> Option<String> {
        let before = self
            .connection
            .circle
            .as_ref()
            .map(|before| before.name.clone())
            .filter(|before| *before != circle.name)?;
        // A circle with the name that the user gave is the right one, whatever answered before.
        if matches!(&self.target.kind, TargetKind::Configured { name, .. } if **name == *circle.name) {
            return None;
        }
        let is_accepted = self.accepts_other()
            && self.reconnection.is_awaited
            && self
                .reconnection
                .replacing
                .as_ref()
                .is_some_and(|other| other.is_announced && other.name == circle.name);
        (!is_accepted).then_some(before)
    }

    fn accepts_other(&self) -> bool {
        self.reconnection.policy == OtherCirclePolicy::AcceptAfterNotice
    }

    /// Disconnects from another circle: the session neither authenticates nor plays there unasked.
    fn on_other_circle(&mut self, circle: &Description, before: &str) {
        self.remote.disconnect();
        self.reconnection.retry = None;
        let text = messages::other_circle(&circle.name, before);
        let has_waiting = !self.work.waiting.is_empty();
        let is_known = has_waiting || self.reconnection.replacing.as_ref().is_some_and(|other| other.is_announced);
        self.reconnection.replacing = Some(ReplacingCircle { name: circle.name.clone(), is_announced: is_known });
        let text = if self.accepts_other() { messages::with_enter_hint(&text) } else { messages::with_use_hint(&text) };
        if std::mem::take(&mut self.reconnection.is_awaited) {
            let error = ClientError::Unreachable { url: self.target.url.to_string(), reason: text };
            self.report_connect_failure(self.error(error));
        } else {
            self.show(DisplayLines::warning(&text));
        }
        if has_waiting && self.accepts_other() {
            self.return_unplayed_inputs();
            self.reconnection.lost_inputs = 0;
        } else {
            self.return_inputs();
        }
    }

    fn on_connect_failed(&mut self, error: ClientError, moved: Option<String>) {
        let error = self.error(error);
        // A retry would fail in the same way.
        let is_final = error.is_final();
        if is_final {
            self.reconnection.retry = None;
        }
        if std::mem::take(&mut self.reconnection.is_awaited) {
            self.report_connect_failure(error);
            self.return_inputs();
            if !is_final {
                self.schedule_retry();
            }
        } else if is_final {
            self.show(DisplayLines::warning(&messages::with_enter_hint(&error.advice())));
            self.return_inputs();
        } else if let Some(url) = moved {
            self.reconnection.retry = None;
            if self.reconnection.moved_to.as_ref() != Some(&url) {
                let text = messages::moved(self.target.label(), &url);
                self.show(DisplayLines::warning(&text));
                self.reconnection.moved_to = Some(url);
            }
            self.return_inputs();
        } else {
            self.schedule_retry();
        }
    }

    fn report_connect_failure(&mut self, error: CliError) {
        self.report(SessionEvent::ConnectFailed(error));
        self.finish_key_command(false);
    }

    fn on_connected(&mut self, circle: Description) {
        let is_first = self.connection.connections == 0;
        self.notebook.begin_connection();
        self.require_init();
        self.connection.connections += 1;
        self.reconnection.is_kept = true;
        self.reconnection.is_awaited = false;
        self.reconnection.retry = None;
        self.reconnection.moved_to = None;
        let is_other = self.reconnection.replacing.take().is_some();
        self.connection.status = ConnectionStatus::Connected;
        self.login.identity = CallerIdentity::Anonymous;
        self.login.noted_rights = None;
        self.connection.circle = Some(Arc::new(circle));
        self.connection.notices = Some(self.remote.clone().next_notice());
        let is_paused = std::mem::take(&mut self.reconnection.is_paused);
        let announcement = if is_other { Announcement::OtherCircle } else { Announcement::Reconnected };
        if !is_paused || is_other {
            self.reconnection.announcement = (!is_first).then_some(announcement);
        }
        self.report(SessionEvent::Connected { is_first });
        self.functions = CircleFunctions::default();
        let is_open = self.access() == Some(Access::Open);
        let has_key = self.login.owner.is_some() || self.login.key.is_some();
        // A key may have more rights; without one, the anonymous caller may still call functions.
        let is_ready_without_key = || self.state().is_ready() && matches!(self.keys.preferred(), Ok(None));
        if !has_key && (is_open || is_ready_without_key()) {
            self.on_ready();
        } else {
            self.choose_key();
        }
    }

    pub(super) fn access(&self) -> Option<Access> {
        self.connection.circle.as_ref().map(|circle| circle.access)
    }

    pub(super) fn error(&self, error: ClientError) -> CliError {
        CliError::Client { target: self.target.clone(), error }
    }

    pub(super) fn on_notice(&mut self, notice: Result<Notice, ClientError>) {
        match notice {
            Ok(notice) => {
                self.connection.notices = Some(self.remote.clone().next_notice());
                if let Notice::EnvironmentLost { reason } = notice {
                    let held = self.notebook.inputs();
                    self.notebook.mark_lost();
                    self.require_init_again();
                    self.show(DisplayLines::warning(&messages::environment_lost(
                        &self.target,
                        &reason.to_string(),
                        held,
                    )));
                    if held > 0 {
                        self.cancel_load();
                        self.return_unplayed_inputs();
                    }
                    self.start_due_init();
                }
            }
            Err(error) => self.connection_lost(error),
        }
    }

    /// Handles the end of the connection. A running play or command reports it by its own error.
    fn connection_lost(&mut self, error: ClientError) {
        if self.connection.status != ConnectionStatus::Connected {
            return;
        }
        if self.uses_connection() {
            self.connection.unreported = Some(error);
            return;
        }
        if self.is_waiting_for_key() {
            return self.pause_connection();
        }
        let text = messages::reconnecting(&self.error(error).message());
        self.lose_connection();
        self.show(DisplayLines::warning(&text));
    }

    /// Handles the end of a play or command on the connection, with its error if it failed.
    pub(super) fn finish_on_connection(&mut self, error: Option<&ClientError>) {
        if self.uses_connection() {
            return;
        }
        let unreported = self.connection.unreported.take();
        if matches!(error, Some(ClientError::ConnectionLost { .. } | ClientError::NotConnected)) {
            if self.connection.status == ConnectionStatus::Connected {
                self.lose_connection();
            }
        } else if let Some(error) = unreported {
            self.connection_lost(error);
        }
    }

    /// Whether the session only waits for a key to be unlocked. Meanwhile a circle may close the anonymous connection.
    fn is_waiting_for_key(&self) -> bool {
        self.login.requested.is_some()
            && self.login.identity == CallerIdentity::Anonymous
            && self.access() != Some(Access::Open)
    }

    /// Drops the connection silently until the key is unlocked, because nothing is lost.
    fn pause_connection(&mut self) {
        self.remote.disconnect();
        self.connection.status = ConnectionStatus::Disconnected;
        self.connection.notices = None;
        self.connection.unreported = None;
        self.reconnection.is_paused = true;
    }

    /// Whether a play or command is running that fails when the connection is lost.
    fn uses_connection(&self) -> bool {
        self.work.running.as_ref().is_some_and(RunningInput::uses_connection)
            || self.work.part.is_some()
            || matches!(
                self.work.pending,
                Some(
                    PendingCommand::Query { .. }
                        | PendingCommand::Functions { .. }
                        | PendingCommand::Call { .. }
                        | PendingCommand::Watch(_)
                )
            )
            || self.init.is_running()
    }

    fn lose_connection(&mut self) {
        self.drop_connection();
        self.report(SessionEvent::ConnectionLost);
        self.schedule_retry();
    }

    /// Closes the connection, returns the queued inputs, and marks the environment as lost.
    pub(super) fn drop_connection(&mut self) {
        self.remote.disconnect();
        self.connection.status = ConnectionStatus::Disconnected;
        self.connection.connecting = None;
        self.login.authenticating = None;
        self.login.identity = CallerIdentity::Anonymous;
        self.login.requested = None;
        self.connection.notices = None;
        self.connection.unreported = None;
        self.functions = CircleFunctions::default();
        self.reconnection.retry = None;
        self.reconnection.announcement = None;
        self.reconnection.lost_inputs = self.reconnection.lost_inputs.max(self.notebook.inputs());
        self.notebook.mark_lost();
        self.finish_key_command(false);
        self.cancel_load();
        self.init.stop_reading();
        self.refuse_waiting_part();
        self.return_inputs();
    }

    pub(super) fn disconnect(&mut self) {
        let was_off = self.connection.status == ConnectionStatus::Disconnected;
        self.reconnection.is_kept = false;
        self.reconnection.is_awaited = false;
        self.reconnection.retry = None;
        self.login.key = None;
        self.reconnection.lost_inputs = 0;
        if was_off {
            self.finish_key_command(false);
            return self.return_inputs();
        }
        self.detach();
        self.drop_connection();
        // A `:key` command that ended with the connection has restored its previous key.
        self.login.key = None;
        self.reconnection.lost_inputs = 0;
        self.note(messages::DISCONNECTED);
    }

    /// Cancels the connection attempt at the request of the user.
    pub(super) fn stop_connecting(&mut self) {
        self.reconnection.is_awaited = false;
        // First, so that the remark belongs to the input that is returned.
        self.remark(messages::NOT_CONNECTED);
        self.drop_connection();
        if self.reconnection.is_kept {
            self.schedule_retry();
        }
    }
}

/// Returns the new URL of a circle whose free port has changed.
async fn find_moved_url(target: &CircleTarget) -> Option<String> {
    let TargetKind::Configured { name, config } = &target.kind else { return None };
    let found = target::find(name, config.as_deref()).await.ok()?;
    (!target::is_same_url(&found.url, &target.url)).then(|| found.url.into())
}
