//! The options of a session, and connecting until it is ready.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use client_ws::ClientError;
use frontend::{
    circle_target::CircleTarget,
    connect::ConnectOptions,
    error::CliError,
    known_circles::check::{IdentityCheck, IdentityNotes, UserFiles},
    scratch,
    text::Size,
};
use keys::{
    KeyPair,
    keystore::{KeyName, Keystore},
};
use server_ws::Workers;
use tokio::runtime::Handle;

use super::{
    event::{SessionEvent, SessionRequest},
    handle::{Events, SessionHandle},
    keys::KeySource,
    remote::Remote,
};
use crate::directory::WorkingDirectory;

/// The options of a session.
pub struct SessionOptions {
    /// The circle, as the user named it.
    pub target: CircleTarget,
    /// The connection to the circle.
    pub remote: Arc<dyn Remote>,
    /// The source of keys.
    pub keys: Arc<dyn KeySource>,
    /// The key to authenticate with, even if the circle needs none. `None` for the key source's preferred key, if the
    /// circle needs a key.
    pub key: Option<KeyName>,
    /// The key of a scratch circle.
    pub owner: Option<Arc<KeyPair>>,
    /// The display size.
    pub room: Size,
    /// The notes of the identity check.
    pub identity_notes: IdentityNotes,
    /// The policy for another circle at the same address.
    pub other_circle: OtherCirclePolicy,
    /// The directory of the user's files.
    pub directory: Arc<WorkingDirectory>,
    /// The script to play first in each new environment, if its file exists.
    pub init: Option<PathBuf>,
}

/// What a session does if another circle answers at its address. It never authenticates or plays there unasked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OtherCirclePolicy {
    /// Never connects to it.
    #[default]
    Refuse,
    /// Connects to it if the user tries again after the notice.
    AcceptAfterNotice,
}

impl SessionOptions {
    /// Returns the options for a session on a circle.
    ///
    /// # Errors
    ///
    /// Fails if the URL of the target is invalid, or the keystore does not have the chosen key.
    pub fn for_target(
        target: CircleTarget,
        choice: &ConnectOptions,
        config: Option<&Path>,
        keys: Arc<dyn KeySource>,
        room: Size,
    ) -> Result<Self, CliError> {
        Self::with_check(target, choice, IdentityCheck::new(UserFiles::for_current_user(), choice, config), keys, room)
    }

    fn with_check(
        target: CircleTarget,
        choice: &ConnectOptions,
        check: IdentityCheck,
        keys: Arc<dyn KeySource>,
        room: Size,
    ) -> Result<Self, CliError> {
        let identity_notes = check.notes();
        let failed = |error| CliError::Client { target: target.clone(), error };
        let client = choice.client_builder(&target.url, check).build().map_err(failed)?;
        // The normalised URL, as other messages show it.
        let target = CircleTarget { url: client.url().to_string().into(), ..target };
        // Report an unknown key before connecting.
        if let (Some(name), Ok(store)) = (&choice.key, Keystore::open_default()) {
            store.show(name)?;
        }
        Ok(Self {
            target,
            remote: Arc::new(client),
            keys,
            key: choice.key.clone(),
            owner: None,
            room,
            identity_notes,
            other_circle: OtherCirclePolicy::default(),
            directory: Arc::default(),
            init: None,
        })
    }

    /// Starts a scratch circle in this process, which ends with the runtime, and returns the options for a session on
    /// it.
    ///
    /// # Errors
    ///
    /// Fails if the circle cannot be started.
    pub fn scratch(runtime: &Handle, keys: Arc<dyn KeySource>, room: Size) -> Result<Self, CliError> {
        let (url, keypair) = scratch::start(runtime, Workers::SameExecutable)?;
        let target = CircleTarget::scratch(url);
        let options =
            Self::with_check(target, &ConnectOptions::default(), IdentityCheck::for_scratch_circle(), keys, room)?;
        Ok(Self { owner: Some(keypair.into()), ..options })
    }
}

/// How far a session got without the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// The session can play inputs.
    Ready,
    /// The user has to unlock a key first.
    KeyLocked(KeyName),
}

/// Connects, and authenticates if the key is unlocked.
///
/// # Errors
///
/// Fails if the circle cannot be reached or does not admit the key, or needs a key and there is none.
pub async fn connect_until_ready(session: &SessionHandle, events: &mut Events) -> Result<Readiness, CliError> {
    // The queue is full only if the session is flooded with inputs.
    if session.connect(false).is_err() {
        return Err(CliError::Interrupted);
    }
    wait_until_ready(session, events).await
}

/// Authenticates with a key that was unlocked meanwhile.
///
/// # Errors
///
/// Fails if the circle does not admit the key, or the connection is lost.
pub async fn continue_with_key(session: &SessionHandle, events: &mut Events, name: KeyName) -> Result<(), CliError> {
    if session.key_unlocked(name).is_err() {
        return Err(CliError::Interrupted);
    }
    wait_until_ready(session, events).await.map(drop)
}

async fn wait_until_ready(session: &SessionHandle, events: &mut Events) -> Result<Readiness, CliError> {
    while let Some(event) = events.next().await {
        match event {
            SessionEvent::Ready => return Ok(Readiness::Ready),
            SessionEvent::ConnectionLost => {
                return Err(CliError::Client { target: session.target().clone(), error: ClientError::NotConnected });
            }
            SessionEvent::ConnectFailed(error) | SessionEvent::NotAdmitted(_, error) => return Err(error),
            SessionEvent::Request(SessionRequest::Unlock(name)) => return Ok(Readiness::KeyLocked(name)),
            SessionEvent::Request(SessionRequest::NoKey(_)) => {
                return Err(no_key_error(session));
            }
            _ => {}
        }
    }
    Err(CliError::Interrupted)
}

/// Returns the error for a circle that needs a key when the user has none.
pub fn no_key_error(session: &SessionHandle) -> CliError {
    CliError::NoKey { target: session.target().to_string() }
}
