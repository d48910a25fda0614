//! The session's connection: made, lost, made again.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use client_ws::{ClientError, Description, Notice};
use frontend::{
    error::CliError,
    known_circles::check::IdentityNote,
    target::{self, CircleTarget, TargetKind},
};
use protocol::methods::Access;
use tokio::time::Instant;

use super::{
    awaited::{Connected, Other, Pending, Retry, Running},
    core::{Announcement, Core},
    event::{CallerIdentity, ConnectionStatus, DisplayLines, SessionEvent},
    opening::OtherCirclePolicy,
    sentences,
};

/// The pause before a lost connection is made again; each is twice as long as the one before.
const FIRST_BACKOFF: Duration = Duration::from_millis(250);

const LONGEST_BACKOFF: Duration = Duration::from_secs(10);

impl Core {
    /// A user wants the connection, whatever circle is there.
    pub(super) fn connect_asked(&mut self, is_kept: bool) {
        self.reconnection.is_kept |= is_kept || self.connection.connections > 0;
        // Nobody waits for a connection that is there, and nothing is to be cancelled about it.
        self.reconnection.is_awaited = self.connection.link != ConnectionStatus::Connected;
        if let Some(retry) = &mut self.reconnection.retry {
            retry.is_expected = false;
        }
        if let Some(other) = &mut self.reconnection.other {
            other.is_known = true;
        }
        match self.connection.link {
            ConnectionStatus::Connected if self.login.identity == CallerIdentity::Anonymous && !self.can_play() => {
                self.choose_key()
            }
            ConnectionStatus::Connected if self.can_play() => self.report(SessionEvent::Ready),
            ConnectionStatus::Connected | ConnectionStatus::Connecting => {}
            ConnectionStatus::Disconnected => self.connect(),
        }
    }

    /// Whether inputs can be played, once nothing else is busy: a key that was requested comes first.
    pub(super) fn can_play(&self) -> bool {
        self.state().is_ready() && self.login.requested.is_none()
    }

    /// A user wants the connection, once the circle is there.
    pub(super) fn expect(&mut self) {
        (self.reconnection.is_kept, self.reconnection.is_awaited) = (true, false);
        match self.connection.link {
            ConnectionStatus::Disconnected => {
                self.reconnection.retry = None;
                self.schedule_retry();
            }
            ConnectionStatus::Connecting => {
                self.reconnection.retry.get_or_insert(Retry { at: None, backoff: FIRST_BACKOFF, is_expected: true });
            }
            ConnectionStatus::Connected => {}
        }
        if let Some(retry) = &mut self.reconnection.retry {
            retry.is_expected = true;
        }
    }

    /// Whether the circle is being started, and what is submitted waits for it.
    pub(super) fn is_expected(&self) -> bool {
        self.reconnection.retry.as_ref().is_some_and(|retry| retry.is_expected)
    }

    /// Connects, if there is no connection.
    pub(super) fn connect(&mut self) {
        if self.connection.link != ConnectionStatus::Disconnected {
            return;
        }
        self.connection.link = ConnectionStatus::Connecting;
        // The next pause goes on from this one.
        if let Some(retry) = &mut self.reconnection.retry {
            retry.at = None;
        }
        let (remote, target) = (self.remote.clone(), self.target.clone());
        let is_awaited = self.reconnection.is_awaited || self.is_expected();
        self.connection.connecting = Some(Box::pin(async move {
            let result = remote.connect().await;
            let moved = if result.is_err() && !is_awaited { moved(&target).await } else { None };
            Connected { result, moved }
        }));
    }

    pub(super) fn connected(&mut self, Connected { result, moved }: Connected) {
        self.connection.link = ConnectionStatus::Disconnected;
        for note in self.connection.identity_notes.take() {
            self.show(match note {
                IdentityNote::FirstUse(text) => DisplayLines::note(&text),
                IdentityNote::Warning(text) => DisplayLines::warning(&text),
            });
        }
        match result {
            Ok(circle) => match self.other_than(&circle) {
                None => self.established(circle),
                Some(before) => self.found_another(&circle, &before),
            },
            Err(error) => self.not_connected(error, moved),
        }
    }

    /// The name of the session's circle, if that is not this one and its user has not said that any other will do.
    fn other_than(&self, circle: &Description) -> Option<String> {
        let before = self
            .connection
            .circle
            .as_ref()
            .map(|before| before.name.clone())
            .filter(|before| *before != circle.name)?;
        // The circle that is meant by its name is the right one, whatever was there before.
        if matches!(&self.target.kind, TargetKind::Configured { name, .. } if **name == *circle.name) {
            return None;
        }
        let is_accepted = self.accepts_other()
            && self.reconnection.is_awaited
            && self.reconnection.other.as_ref().is_some_and(|other| other.is_known && other.name == circle.name);
        (!is_accepted).then_some(before)
    }

    fn accepts_other(&self) -> bool {
        self.reconnection.policy == OtherCirclePolicy::AcceptAfterNotice
    }

    /// Nothing is authenticated to another circle, or played on it, unasked.
    fn found_another(&mut self, circle: &Description, before: &str) {
        self.remote.disconnect();
        self.reconnection.retry = None;
        let text = sentences::another_circle(&circle.name, before);
        let has_waiting = !self.work.waiting.is_empty();
        let is_known = has_waiting || self.reconnection.other.as_ref().is_some_and(|other| other.is_known);
        self.reconnection.other = Some(Other { name: circle.name.clone(), is_known });
        let text =
            if self.accepts_other() { sentences::enter_tries_again(&text) } else { sentences::use_goes_there(&text) };
        if std::mem::take(&mut self.reconnection.is_awaited) {
            let error = ClientError::Unreachable { url: self.target.url.to_string(), reason: text };
            self.failed_to_connect(self.error(error));
        } else {
            self.show(DisplayLines::warning(&text));
        }
        if has_waiting && self.accepts_other() {
            self.give_back_unplayed();
            self.reconnection.lost = 0;
        } else {
            self.give_back();
        }
    }

    fn not_connected(&mut self, error: ClientError, moved: Option<String>) {
        let error = self.error(error);
        // Asking again and again changes nothing.
        let is_final = error.is_final();
        if is_final {
            self.reconnection.retry = None;
        }
        if std::mem::take(&mut self.reconnection.is_awaited) {
            self.failed_to_connect(error);
            self.give_back();
            if !is_final {
                self.schedule_retry();
            }
        } else if is_final {
            self.show(DisplayLines::warning(&sentences::enter_tries_again(&error.advice())));
            self.give_back();
        } else if let Some(url) = moved {
            self.reconnection.retry = None;
            if self.reconnection.moved_to.as_ref() != Some(&url) {
                let text = sentences::moved(self.target.label(), &url);
                self.show(DisplayLines::warning(&text));
                self.reconnection.moved_to = Some(url);
            }
            self.give_back();
        } else {
            self.schedule_retry();
        }
    }

    fn failed_to_connect(&mut self, error: CliError) {
        self.report(SessionEvent::ConnectFailed(error));
        self.key_command_ends(false);
    }

    fn established(&mut self, circle: Description) {
        let is_first = self.connection.connections == 0;
        self.connection.connections += 1;
        self.reconnection.is_kept = true;
        self.reconnection.is_awaited = false;
        self.reconnection.retry = None;
        self.reconnection.moved_to = None;
        let is_other = self.reconnection.other.take().is_some();
        self.connection.link = ConnectionStatus::Connected;
        self.login.identity = CallerIdentity::Anonymous;
        self.connection.circle = Some(Arc::new(circle));
        self.connection.notices = Some(self.remote.clone().next_notice());
        let is_paused = std::mem::take(&mut self.reconnection.is_paused);
        let announcement = if is_other { Announcement::Other } else { Announcement::Again };
        if !is_paused || is_other {
            self.reconnection.unannounced = (!is_first).then_some(announcement);
        }
        self.report(SessionEvent::Connected { is_first });
        let is_open = self.access() == Some(Access::Open);
        if is_open && self.login.owner.is_none() && self.login.key.is_none() {
            self.ready();
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

    pub(super) fn noticed(&mut self, notice: Result<Notice, ClientError>) {
        match notice {
            Ok(notice) => {
                self.connection.notices = Some(self.remote.clone().next_notice());
                if let Notice::EnvironmentLost { reason } = notice {
                    let held = self.notebook.inputs();
                    self.notebook.is_lost();
                    self.show(DisplayLines::warning(&sentences::environment_lost(
                        &self.target,
                        &reason.to_string(),
                        held,
                    )));
                    if held > 0 {
                        self.stop_loading();
                        self.give_back_unplayed();
                    }
                }
            }
            Err(error) => self.connection_lost(error),
        }
    }

    /// The connection has ended. What runs on it reports so by its own error.
    fn connection_lost(&mut self, error: ClientError) {
        if self.connection.link != ConnectionStatus::Connected {
            return;
        }
        if self.is_on_connection() {
            self.connection.unreported = Some(error);
            return;
        }
        if self.is_waiting_for_key() {
            return self.pause_connection();
        }
        let text = sentences::connecting_again(&self.error(error).message());
        self.loses_connection();
        self.show(DisplayLines::warning(&text));
    }

    /// What ran on the connection has ended: `error`, if it went wrong.
    pub(super) fn off_connection(&mut self, error: Option<&ClientError>) {
        if self.is_on_connection() {
            return;
        }
        let unreported = self.connection.unreported.take();
        if matches!(error, Some(ClientError::ConnectionLost { .. } | ClientError::NotConnected)) {
            if self.connection.link == ConnectionStatus::Connected {
                self.loses_connection();
            }
        } else if let Some(error) = unreported {
            self.connection_lost(error);
        }
    }

    /// Whether a key that is being unlocked is all that the session needs: until then a circle need not keep the connection of
    /// somebody whom it does not know.
    fn is_waiting_for_key(&self) -> bool {
        self.login.requested.is_some()
            && self.login.identity == CallerIdentity::Anonymous
            && self.access() != Some(Access::Open)
    }

    /// Does without the connection until the key is unlocked, without a word: nothing was lost.
    fn pause_connection(&mut self) {
        self.remote.disconnect();
        self.connection.link = ConnectionStatus::Disconnected;
        self.connection.notices = None;
        self.connection.unreported = None;
        self.reconnection.is_paused = true;
    }

    /// Whether something runs that ends by an error when the connection is lost.
    fn is_on_connection(&self) -> bool {
        self.work.running.as_ref().is_some_and(Running::is_play)
            || self.work.part.is_some()
            || matches!(self.work.pending, Some(Pending::Ask { .. }))
    }

    fn loses_connection(&mut self) {
        self.drop_connection();
        self.report(SessionEvent::ConnectionLost);
        self.schedule_retry();
    }

    /// Closes the connection. What was typed is given back; what the environment held is gone.
    pub(super) fn drop_connection(&mut self) {
        self.remote.disconnect();
        self.connection.link = ConnectionStatus::Disconnected;
        self.connection.connecting = None;
        self.login.authenticating = None;
        self.login.identity = CallerIdentity::Anonymous;
        self.login.requested = None;
        self.connection.notices = None;
        self.connection.unreported = None;
        self.reconnection.retry = None;
        self.reconnection.unannounced = None;
        self.reconnection.lost = self.reconnection.lost.max(self.notebook.inputs());
        self.notebook.is_lost();
        self.key_command_ends(false);
        self.stop_loading();
        self.give_back();
    }

    pub(super) fn disconnect(&mut self) {
        let was_off = self.connection.link == ConnectionStatus::Disconnected;
        self.reconnection.is_kept = false;
        self.reconnection.is_awaited = false;
        self.reconnection.retry = None;
        self.login.key = None;
        self.reconnection.lost = 0;
        if was_off {
            self.key_command_ends(false);
            return self.give_back();
        }
        self.stop_listening();
        self.drop_connection();
        // A `:key` command that ended with the connection has put its key back.
        self.login.key = None;
        self.reconnection.lost = 0;
        self.note(sentences::DISCONNECTED);
    }

    /// Stops making the connection, on behalf of its user.
    pub(super) fn stop_connecting(&mut self) {
        self.reconnection.is_awaited = false;
        // First, so that it belongs to the input that is given back.
        self.remark(sentences::NOT_CONNECTED);
        self.drop_connection();
        if self.reconnection.is_kept {
            self.schedule_retry();
        }
    }

    pub(super) fn schedule_retry(&mut self) {
        if !self.reconnection.is_kept {
            return;
        }
        let backoff =
            self.reconnection.retry.as_ref().map_or(FIRST_BACKOFF, |retry| (retry.backoff * 2).min(LONGEST_BACKOFF));
        let is_expected = self.is_expected();
        self.reconnection.retry = Some(Retry { at: Some(Instant::now() + jittered(backoff)), backoff, is_expected });
    }
}

/// Where a circle is that has taken another free port since.
async fn moved(target: &CircleTarget) -> Option<String> {
    let TargetKind::Configured { name, config } = &target.kind else { return None };
    let found = target::find(name, config.as_deref()).await.ok()?;
    (!target::is_same_url(&found.url, &target.url)).then(|| found.url.into())
}

/// Half of it to all of it, so that a circle that is back is not asked by all of its clients at once.
fn jittered(backoff: Duration) -> Duration {
    let random = RandomState::new().hash_one(()) % 512;
    backoff / 2 + backoff * u32::try_from(random).unwrap_or(0) / 1024
}
