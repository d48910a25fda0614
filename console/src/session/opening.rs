//! What a session is opened with, and how far it comes by itself.

use std::{path::Path, sync::Arc};

use client_ws::{CircleWsClient, ClientError};
use frontend::{
    connect::Choice,
    destination::Destination,
    error::CliError,
    known_circles::check::{IdentityCheck, IdentityNotes, User},
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
    event::{Event, Request},
    handle::{Events, Session},
    keys::KeySource,
    remote::Remote,
};

/// What a session is opened with.
pub struct Opening {
    /// Which circle, as its user knows it.
    pub target: Destination,
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
    pub other_circle: OtherCircle,
}

/// What a session does where another circle answers in the place of its own. Unasked it neither authenticates nor plays there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OtherCircle {
    /// Never connects to it: that is another session's affair.
    #[default]
    Refused,
    /// Connects to it where its user tries again after the notice.
    AfterNotice,
}

impl Opening {
    /// A session on a circle.
    ///
    /// # Errors
    ///
    /// The target has no URL of a circle, or the keystore has no key of the name that was chosen.
    pub fn at(
        target: Destination,
        choice: &Choice,
        config: Option<&Path>,
        keys: Arc<dyn KeySource>,
        room: Size,
    ) -> Result<Self, CliError> {
        Self::checked(target, choice, IdentityCheck::new(User::of_process(), choice, config), keys, room)
    }

    fn checked(
        target: Destination,
        choice: &Choice,
        check: IdentityCheck,
        keys: Arc<dyn KeySource>,
        room: Size,
    ) -> Result<Self, CliError> {
        let identity_notes = check.notes();
        let failed = |error| CliError::Client { place: target.clone(), error };
        let mut builder = check.attach(CircleWsClient::builder(&*target.url));
        if let Some(authority) = &choice.authority {
            builder = builder.authority(authority.clone());
        }
        let client = builder.build().map_err(failed)?;
        // In its normal form, as everything else that speaks of it has it.
        let target = Destination { url: client.url().to_string().into(), ..target };
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
            other_circle: OtherCircle::default(),
        })
    }

    /// A session on a scratch circle, which is started for it in this process and ends with the runtime.
    ///
    /// # Errors
    ///
    /// The circle cannot be started.
    pub fn scratch(runtime: &Handle, keys: Arc<dyn KeySource>, room: Size) -> Result<Self, CliError> {
        let (url, keypair) = scratch::start(runtime, Workers::SameExecutable)?;
        let target = Destination::throwaway(url);
        let opening = Self::checked(target, &Choice::default(), IdentityCheck::of_own_circle(), keys, room)?;
        Ok(Self { owner: Some(keypair.into()), ..opening })
    }
}

/// How far a session has come by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// Inputs can be played.
    Ready,
    /// A key is to be unlocked first.
    Locked(KeyName),
}

/// Connects, and authenticates where the key is unlocked already.
///
/// # Errors
///
/// The circle cannot be reached, does not admit the key, or needs one and there is none.
pub async fn reach(session: &Session, events: &mut Events) -> Result<Reached, CliError> {
    // One that finds no room is one of many.
    if session.connect(false).is_err() {
        return Err(CliError::Interrupted);
    }
    settle(session, events).await
}

/// Goes on with a key that was unlocked.
///
/// # Errors
///
/// The circle does not admit the key, or the connection is lost.
pub async fn admit(session: &Session, events: &mut Events, name: KeyName) -> Result<(), CliError> {
    if session.unlocked(name).is_err() {
        return Err(CliError::Interrupted);
    }
    settle(session, events).await.map(drop)
}

async fn settle(session: &Session, events: &mut Events) -> Result<Reached, CliError> {
    while let Some(event) = events.next().await {
        match event {
            Event::Ready => return Ok(Reached::Ready),
            Event::Lost => {
                return Err(CliError::Client { place: session.target().clone(), error: ClientError::NotConnected });
            }
            Event::ConnectFailed(error) | Event::NotAdmitted(_, error) => return Err(error),
            Event::Request(Request::Unlock(name)) => return Ok(Reached::Locked(name)),
            Event::Request(Request::NoKey(_)) => {
                return Err(no_key(session));
            }
            _ => {}
        }
    }
    Err(CliError::Interrupted)
}

/// The circle of a session admits only keys, and there is none.
pub fn no_key(session: &Session) -> CliError {
    CliError::NoKey { place: session.target().to_string() }
}
