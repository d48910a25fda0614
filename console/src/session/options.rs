//! What a session is opened with, and how far it comes by itself.

use std::{path::Path, sync::Arc};

use client_ws::{CircleWsClient, ClientError};
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

/// What a session is opened with.
pub struct SessionOptions {
    /// Which circle, as its user knows it.
    pub target: CircleTarget,
    /// The connection to it.
    pub remote: Arc<dyn Remote>,
    /// Where keys come from.
    pub keys: Arc<dyn KeySource>,
    /// The key to authenticate with, also on a circle that asks for none; otherwise the key source's choice, where the
    /// circle asks for one.
    pub key: Option<KeyName>,
    /// The key of a scratch circle, which is made for it.
    pub owner: Option<Arc<KeyPair>>,
    /// How much room there is for what it shows.
    pub room: Size,
    /// What the connection has to say about the circle's identity.
    pub identity_notes: IdentityNotes,
    /// What is done where another circle answers in the place of this one.
    pub other_circle: OtherCirclePolicy,
}

/// What a session does where another circle answers in the place of its own. Unasked it neither authenticates nor plays there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OtherCirclePolicy {
    /// Never connects to it: that is another session's affair.
    #[default]
    Refuse,
    /// Connects to it where its user tries again after the notice.
    AcceptAfterNotice,
}

impl SessionOptions {
    /// A session on a circle.
    ///
    /// # Errors
    ///
    /// The target has no URL of a circle, or the keystore has no key of the name that was chosen.
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
        let mut builder = check.attach(CircleWsClient::builder(&*target.url));
        if let Some(authority) = &choice.authority {
            builder = builder.authority(authority.clone());
        }
        let client = builder.build().map_err(failed)?;
        // In its normal form, as everything else that speaks of it has it.
        let target = CircleTarget { url: client.url().to_string().into(), ..target };
        // A key that does not exist is reported before anything is connected to.
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
        })
    }

    /// A session on a scratch circle, which is started for it in this process and ends with the runtime.
    ///
    /// # Errors
    ///
    /// The circle cannot be started.
    pub fn scratch(runtime: &Handle, keys: Arc<dyn KeySource>, room: Size) -> Result<Self, CliError> {
        let (url, keypair) = scratch::start(runtime, Workers::SameExecutable)?;
        let target = CircleTarget::scratch(url);
        let opening =
            Self::with_check(target, &ConnectOptions::default(), IdentityCheck::for_scratch_circle(), keys, room)?;
        Ok(Self { owner: Some(keypair.into()), ..opening })
    }
}

/// How far a session has come by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Inputs can be played.
    Ready,
    /// A key is to be unlocked first.
    KeyLocked(KeyName),
}

/// Connects, and authenticates where the key is unlocked already.
///
/// # Errors
///
/// The circle cannot be reached, does not admit the key, or needs one and there is none.
pub async fn connect_until_ready(session: &SessionHandle, events: &mut Events) -> Result<Readiness, CliError> {
    // One that finds no room is one of many.
    if session.connect(false).is_err() {
        return Err(CliError::Interrupted);
    }
    wait_until_ready(session, events).await
}

/// Goes on with a key that was unlocked.
///
/// # Errors
///
/// The circle does not admit the key, or the connection is lost.
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

/// The circle of a session admits only keys, and there is none.
pub fn no_key_error(session: &SessionHandle) -> CliError {
    CliError::NoKey { target: session.target().to_string() }
}
