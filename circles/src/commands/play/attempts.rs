//! Sessions on the circles that were named, opened side by side.

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

/// Nothing is shown by the sessions themselves.
const UNBOUNDED: Size = Size { width: usize::MAX, height: usize::MAX };

/// What became of connecting to one of several circles.
pub(super) struct ConnectAttempt {
    /// The circle as its user named it.
    pub label: String,
    pub session: Result<ReadySession, CliError>,
}

/// A session that is ready.
pub(super) struct ReadySession {
    pub session: SessionHandle,
    pub events: Events,
}

impl ReadySession {
    /// The session, whose events are taken from now on: what it reports beside its play is of no interest, and nobody is
    /// asked for a key while it plays.
    pub(super) fn drain_events(self) -> SessionHandle {
        let Self { session, mut events } = self;
        let listened_to = session.clone();
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                if let SessionEvent::Request(SessionRequest::Unlock(name)) = event {
                    // A session that takes no input has ended.
                    let _ended = session.keep_locked(name);
                }
            }
        });
        listened_to
    }
}

/// A session on a scratch circle.
pub(super) async fn open_scratch() -> Result<Vec<ConnectAttempt>, CliError> {
    let opening = SessionOptions::scratch(&Handle::current(), Arc::new(Keyring::default()), UNBOUNDED)?;
    let (session, mut events) = SessionHandle::open(&Handle::current(), opening);
    let opened = connect_until_ready(&session, &mut events).await.map(|_| ReadySession { session, events })?;
    Ok(vec![ConnectAttempt { label: scratch::NAME.into(), session: Ok(opened) }])
}

/// Opens a session on each circle, once however often it was named; they are in the order of the naming. A circle that
/// cannot be reached, or does not admit the key, keeps nobody from the others. `unlock` is asked for each key once.
///
/// # Errors
///
/// A mistake in what was named, or a key that cannot be had: then nothing is authenticated to anyone.
pub(super) async fn open_circles(
    named: &[String],
    options: &Options,
    mut unlock: impl FnMut(&KeyName) -> Result<Arc<KeyPair>, CliError>,
) -> Result<Vec<ConnectAttempt>, CliError> {
    let (mut labels, mut targets, mut urls) = (Vec::new(), Vec::new(), BTreeSet::new());
    for name in named {
        let target = split_user_errors(target::find(name, options.config.as_deref()).await)?;
        // A target without a URL is reported when it is connected to.
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
    for (_, sessions) in sessions.iter().flatten() {
        if let Readiness::KeyLocked(name) = sessions
            && unlocked.insert(name.clone())
        {
            keyring.insert(name.clone(), unlock(name)?);
        }
    }
    let admitted = async |sessions: Result<(ReadySession, Readiness), CliError>| {
        let (mut opened, sessions) = sessions?;
        if let Readiness::KeyLocked(name) = sessions {
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
    let sessions = connect_until_ready(&session, &mut events).await;
    notes.take().iter().for_each(|note| line_to_stderr(note.text()));
    let sessions = sessions?;
    Ok((ReadySession { session, events }, sessions))
}

/// A circle that is not there is one thing; what nobody could connect with is another.
fn split_user_errors<T>(answer: Result<T, CliError>) -> Result<Result<T, CliError>, CliError> {
    match answer {
        Err(error) if matches!(error.exit_code(), 2 | 6) => Err(error),
        answer => Ok(answer),
    }
}
