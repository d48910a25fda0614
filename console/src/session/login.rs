//! The session's key: choosing, requesting, authenticating, switching.

use std::sync::Arc;

use client_ws::{ClientError, Description};
use frontend::error::CliError;
use keys::{KeyPair, keystore::KeyName};

use super::{
    core::{Announcement, Core},
    event::{CallerIdentity, CallerRights, ConnectionStatus, SessionEvent, SessionRequest},
    functions::CircleFunctions,
    messages,
    pending::PendingCommand,
};

impl Core {
    /// Chooses the key, and authenticates with it once it is unlocked.
    pub(super) fn choose_key(&mut self) {
        match self.connection.status {
            ConnectionStatus::Disconnected => return self.on_connect(false),
            ConnectionStatus::Connecting => return,
            ConnectionStatus::Connected if self.login.identity != CallerIdentity::Anonymous => return,
            ConnectionStatus::Connected => {}
        }
        if let Some(owner) = self.login.owner.clone() {
            return self.authenticate(CallerIdentity::Owner, owner);
        }
        let chosen = match self.login.key.clone() {
            Some(name) => Ok(Some(name)),
            None => self.keys.preferred(),
        };
        match chosen {
            Ok(Some(name)) => match self.keys.unlocked(&name) {
                Some(keypair) => self.authenticate(CallerIdentity::Key(name), keypair),
                None => self.request_key(name),
            },
            Ok(None) => {
                self.announce();
                if let Some(access) = self.access() {
                    self.request(SessionRequest::NoKey(access));
                }
                self.finish_key_command(false);
            }
            Err(error) => {
                self.announce();
                self.report(SessionEvent::NotAdmitted(None, error));
                self.finish_key_command(false);
                self.return_inputs();
            }
        }
    }

    fn request_key(&mut self, name: KeyName) {
        self.announce();
        if let Err(error) = self.remote.check_encryption() {
            let error = CliError::from_authentication(Some(&name), &self.target, error);
            self.report(SessionEvent::NotAdmitted(Some(name), error));
            self.finish_key_command(false);
            return self.return_inputs();
        }
        self.login.requested = Some(name.clone());
        self.request(SessionRequest::Unlock(name));
    }

    fn authenticate(&mut self, identity: CallerIdentity, keypair: Arc<KeyPair>) {
        self.login.identity = CallerIdentity::Authenticating;
        // This key replaces an earlier request.
        self.login.requested = None;
        let remote = self.remote.clone();
        let authenticated = async move {
            remote.clone().authenticate(keypair).await?;
            // The key has other rights than an anonymous caller. A lost connection is reported by its notice.
            Ok(remote.describe().await.ok())
        };
        self.login.authenticating = Some((identity, Box::pin(authenticated)));
        self.functions = CircleFunctions::default();
    }

    pub(super) fn on_authenticated(&mut self, result: Result<Option<Description>, ClientError>) {
        let Some((identity, _)) = self.login.authenticating.take() else { return };
        let key = match &identity {
            CallerIdentity::Key(name) => Some(name.clone()),
            _ => None,
        };
        let error = match result {
            Ok(described) => {
                self.set_description(described);
                self.login.identity = identity;
                self.login.key = key;
                self.login.noted_rights = None;
                self.finish_key_command(true);
                return self.on_ready();
            }
            Err(error) => error,
        };
        self.login.identity = CallerIdentity::Anonymous;
        // Without an answer the session's identity is unknown: the circle may have accepted the signature.
        let is_known = matches!(error, ClientError::Rpc(_) | ClientError::NotEncrypted { .. });
        let is_first = self.connection.connections == 1 && self.reconnection.announcement.is_none();
        let error = CliError::from_authentication(key.as_ref(), &self.target, error);
        self.announce();
        self.report(SessionEvent::NotAdmitted(key, error));
        if is_first && self.work.pending.is_none() {
            self.login.key = None;
        }
        self.finish_key_command(false);
        self.return_inputs();
        if !is_known {
            self.drop_connection();
            self.schedule_retry();
        }
    }

    /// Replaces the description of the anonymous caller.
    fn set_description(&mut self, described: Option<Description>) {
        match (described, &mut self.connection.circle) {
            (Some(described), circle) => *circle = Some(Arc::new(described)),
            // Then the rights are not known.
            (None, Some(circle)) => Arc::make_mut(circle).you.may = None,
            (None, None) => {}
        }
    }

    /// Switches to another key at the request of the user.
    pub(super) fn use_key(&mut self, name: KeyName) {
        if self.connection.status != ConnectionStatus::Connected || self.login.identity == CallerIdentity::Anonymous {
            self.login.key = Some(name);
            return self.choose_key();
        }
        // Keep the environment until the key is unlocked.
        if self.keys.unlocked(&name).is_none() {
            return self.request_key(name);
        }
        self.reconnect_as(name);
    }

    fn reconnect_as(&mut self, name: KeyName) {
        let held = self.notebook.inputs();
        self.detach();
        self.drop_connection();
        self.reconnection.lost_inputs = 0;
        self.note(&messages::connecting_as(&name));
        if held > 0 {
            self.note(messages::VARIABLES_GONE);
        }
        self.login.key = Some(name);
        self.on_connect(true);
    }

    pub(super) fn on_key_unlocked(&mut self, name: KeyName) {
        if self.login.requested.take_if(|requested| *requested == name).is_none() {
            return;
        }
        match (self.connection.status, &self.login.identity) {
            (ConnectionStatus::Connected, CallerIdentity::Key(other)) if *other != name => self.reconnect_as(name),
            (ConnectionStatus::Connected, CallerIdentity::Anonymous) => {
                if let Some(keypair) = self.keys.unlocked(&name) {
                    self.authenticate(CallerIdentity::Key(name), keypair);
                }
            }
            (ConnectionStatus::Disconnected, CallerIdentity::Anonymous) if self.reconnection.is_paused => {
                self.login.key = Some(name);
                self.on_connect(false);
            }
            _ => {}
        }
    }

    pub(super) fn on_key_kept_locked(&mut self, name: &KeyName) {
        if self.login.requested.take_if(|requested| requested == name).is_none() {
            return;
        }
        self.login.key = self.state().authenticated().cloned();
        self.finish_key_command(false);
        match self.login.identity {
            CallerIdentity::Anonymous if self.state().is_ready() => self.on_ready(),
            // The session is unchanged, so the queued inputs are still for it.
            _ => self.start_waiting_inputs(),
        }
        if !self.state().is_ready() {
            self.return_inputs();
        }
    }

    /// Finishes the `:key` command that waits for the key.
    pub(super) fn finish_key_command(&mut self, is_used: bool) {
        let Some(PendingCommand::Key { before }) =
            self.work.pending.take_if(|pending| matches!(pending, PendingCommand::Key { .. }))
        else {
            return;
        };
        if !is_used {
            self.login.key = before;
        }
        self.finish_input();
    }

    /// Reports that the session is ready, and starts queued inputs.
    pub(super) fn on_ready(&mut self) {
        self.announce();
        self.report(SessionEvent::Ready);
        self.login.noted_rights.get_or_insert(CallerRights::Play);
        self.note_rights();
        self.load_functions();
        self.start_waiting_inputs();
    }

    /// Announces a new connection once its identity is known, and returns the inputs for the lost environment.
    pub(super) fn announce(&mut self) {
        let Some(announcement) = self.reconnection.announcement.take() else { return };
        let lost = std::mem::take(&mut self.reconnection.lost_inputs);
        let text = match (announcement, &self.connection.circle) {
            (Announcement::OtherCircle, Some(circle)) => messages::connected_to(&circle.name),
            _ => messages::reconnected(&self.target, self.state().authenticated(), lost),
        };
        self.note(&text);
        if lost > 0 {
            self.return_unplayed_inputs();
        }
    }
}
