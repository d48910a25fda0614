//! Sessions on the named circles, opened concurrently.

use std::{collections::BTreeSet, sync::Arc};

use client_ws::CircleUrl;
use console::session::{
    Events, Keyring, Readiness, SessionEvent, SessionHandle, SessionOptions, SessionRequest, connect_until_ready,
    continue_with_key,
};
use frontend::{
    connect::Options,
    error::CliError,
    scratch,
    target::{self, CircleTarget},
    text::Size,
};
use futures_util::future::join_all;
use keys::{KeyPair, keystore::KeyName};
use terminal::output::line_to_stderr;
use tokio::runtime::Handle;

/// Size without limits: the sessions themselves show nothing.
const UNBOUNDED: Size = Size { width: usize::MAX, height: usize::MAX };

/// Result of connecting to one circle.
pub(super) struct ConnectAttempt {
    /// The circle, as the user named it.
    pub label: String,
    pub session: Result<ReadySession, CliError>,
}

/// A session that is ready, with its events.
pub(super) struct ReadySession {
    pub session: SessionHandle,
    pub events: Events,
}

impl ReadySession {
    /// Discards the events of the session from now on and returns it. Only the play matters, and nobody is asked for a
    /// passphrase while it runs.
    pub(super) fn drain_events(self) -> SessionHandle {
        let Self { session, mut events } = self;
        let returned = session.clone();
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                if let SessionEvent::Request(SessionRequest::Unlock(name)) = event {
                    // Fails only if the session has ended.
                    let _ended = session.keep_locked(name);
                }
            }
        });
        returned
    }
}

/// Opens a session on a scratch circle.
pub(super) async fn open_scratch() -> Result<Vec<ConnectAttempt>, CliError> {
    let session_options = SessionOptions::scratch(&Handle::current(), Arc::new(Keyring::default()), UNBOUNDED)?;
    let (session, mut events) = SessionHandle::open(&Handle::current(), session_options);
    let opened = connect_until_ready(&session, &mut events).await.map(|_| ReadySession { session, events })?;
    Ok(vec![ConnectAttempt { label: scratch::NAME.into(), session: Ok(opened) }])
}

/// Opens one session per circle, in the order in which the user named them, even if one is named twice. A circle that
/// cannot be reached or does not admit the key does not affect the others. Calls `unlock` once per key.
///
/// # Errors
///
/// Fails for an invalid name or an unavailable key, before any session authenticates.
pub(super) async fn open_circles(
    named: &[String],
    options: &Options,
    mut unlock: impl FnMut(&KeyName) -> Result<Arc<KeyPair>, CliError>,
) -> Result<Vec<ConnectAttempt>, CliError> {
    let (mut labels, mut targets, mut urls) = (Vec::new(), Vec::new(), BTreeSet::new());
    for name in named {
        let target = split_user_errors(target::find(name, options.config.as_deref()).await)?;
        // Connecting reports a target without a URL.
        let url = target.as_ref().ok().and_then(|target| CircleUrl::parse(&target.url).ok());
        if url.is_none_or(|url| urls.insert(url.as_str().to_owned())) {
            labels.push(name.clone());
            targets.push(target);
        }
    }
    let keyring = Arc::new(Keyring::default());
    let sessions =
        join_all(targets.into_iter().map(async |target| connect_one(target?, options, &keyring).await)).await;
    let sessions = sessions.into_iter().map(split_user_errors).collect::<Result<Vec<_>, _>>()?;
    let mut unlocked = BTreeSet::new();
    for (_, readiness) in sessions.iter().flatten() {
        if let Readiness::KeyLocked(name) = readiness
            && unlocked.insert(name.clone())
        {
            keyring.insert(name.clone(), unlock(name)?);
        }
    }
    let admitted = async |session: Result<(ReadySession, Readiness), CliError>| {
        let (mut opened, readiness) = session?;
        if let Readiness::KeyLocked(name) = readiness {
            continue_with_key(&opened.session, &mut opened.events, name).await?;
        }
        Ok(opened)
    };
    let opened = join_all(sessions.into_iter().map(admitted)).await;
    Ok(labels.into_iter().zip(opened).map(|(label, opened)| ConnectAttempt { label, session: opened }).collect())
}

async fn connect_one(
    target: CircleTarget,
    options: &Options,
    keyring: &Arc<Keyring>,
) -> Result<(ReadySession, Readiness), CliError> {
    let mut opening =
        SessionOptions::for_target(target, &options.connect, options.config.as_deref(), keyring.clone(), UNBOUNDED)?;
    let notes = std::mem::take(&mut opening.identity_notes);
    let (session, mut events) = SessionHandle::open(&Handle::current(), opening);
    let readiness = connect_until_ready(&session, &mut events).await;
    notes.take().iter().for_each(|note| line_to_stderr(note.text()));
    Ok((ReadySession { session, events }, readiness?))
}

/// Separates mistakes of the user, which end the command, from circles that cannot be reached.
fn split_user_errors<T>(answer: Result<T, CliError>) -> Result<Result<T, CliError>, CliError> {
    match answer {
        Err(error) if matches!(error.exit_code(), 2 | 6) => Err(error),
        answer => Ok(answer),
    }
}
