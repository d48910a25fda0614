//! The sessions that are open, one for each circle and key, and the keys that were unlocked.

use std::{path::Path, sync::Arc};

use console::{
    completion::CompletionItem,
    history::{self, HistoryFile},
    session::{Keyring, Readiness, SessionHandle, SessionOptions, connect_until_ready, continue_with_key},
};
use frontend::{
    config,
    connect::{self, ConnectOptions, Options},
    error::CliError,
    scratch,
    target::{self, CircleTarget, TargetKind},
    text::Size,
};
use keys::{
    Authority,
    keystore::{KeyName, Keystore},
};
use terminal::{output, status_line};
use tokio::runtime::Handle;

use super::{
    feed::{Feed, Subscription},
    notes::Notes,
};

/// Sessions that are open at once.
const MAX_SESSIONS: usize = 32;

/// What a session does while a key is checked.
pub(super) const AUTHENTICATING_TEXT: &str = "proving the key";

/// Rows of the screen that a value leaves free.
pub(super) const SCREEN_MARGIN: usize = 4;

/// One of them.
pub(super) struct OpenSession {
    pub(super) session: SessionHandle,
    feed: Feed,
    /// How the circle knows itself, where it was said.
    authority: Option<Authority>,
}

pub(super) struct Sessions {
    runtime: Handle,
    notes: Notes,
    sessions: Vec<OpenSession>,
    current: usize,
    keyring: Arc<Keyring>,
    options: Options,
}

impl OpenSession {
    /// Listens to its events from now on.
    pub(super) fn listen(&self) -> Subscription {
        self.feed.listen()
    }

    /// Whether it is on a circle that was made for it.
    pub(super) fn is_scratch(&self) -> bool {
        self.session.target().kind == TargetKind::Scratch
    }

    /// Where what is typed is kept: by the circle, and by the key that the session is authenticated with.
    pub(super) fn history(&self) -> HistoryFile {
        self.session.state().history_file(history::default_directory().as_deref(), self.session.target())
    }
}

impl Sessions {
    /// The first session is on the circle that was named, or on a scratch circle.
    pub(super) async fn start(
        runtime: Handle,
        notes: Notes,
        named: Option<&str>,
        options: &Options,
    ) -> Result<Self, CliError> {
        let keyring = Arc::new(Keyring::default());
        let mut sessions = Self { runtime, notes, sessions: Vec::new(), current: 0, keyring, options: options.clone() };
        if let Some(named) = target::argument_or_env(named) {
            let target = target::find(&named, options.config.as_deref()).await?;
            sessions.open_at(target, &options.connect).await?;
        } else {
            connect::check_scratch_options(&options.connect)?;
            sessions.open_scratch().await?;
        }
        Ok(sessions)
    }

    pub(super) fn current(&self) -> &OpenSession {
        &self.sessions[self.current]
    }

    pub(super) fn index(&self) -> usize {
        self.current
    }

    pub(super) fn nth(&self, index: usize) -> &OpenSession {
        &self.sessions[index]
    }

    /// How many inputs made what each of them holds.
    pub(super) fn input_counts(&self) -> Vec<usize> {
        self.sessions.iter().map(|open| open.session.state().inputs).collect()
    }

    /// Goes to one of them.
    pub(super) fn switch_to(&mut self, index: usize) {
        self.current = index.min(self.sessions.len() - 1);
    }

    /// The session on a circle, which is opened if there is none.
    pub(super) async fn session_on(&mut self, named: &str) -> Result<usize, CliError> {
        if named == scratch::NAME
            && let Some(index) = self.sessions.iter().position(OpenSession::is_scratch)
        {
            return Ok(index);
        }
        let target = match target::find(named, self.options.config.as_deref()).await {
            // Unless circles.json has another of that name.
            Err(_) if named == scratch::NAME => return self.open_scratch().await,
            target => target?,
        };
        let choice = ConnectOptions { authority: None, ..self.options.connect.clone() };
        self.find_or_open(target, choice).await
    }

    /// The session beside the current one that is authenticated with another key.
    pub(super) async fn session_with_key(&mut self, name: KeyName) -> Result<usize, CliError> {
        let target = self.current().session.target().clone();
        // A key that stays locked opens nothing.
        self.unlock(&name)?;
        let index = self
            .find_or_open(target, ConnectOptions { key: Some(name.clone()), authority: None, ..self.options.connect })
            .await?;
        self.options.connect.key = Some(name);
        Ok(index)
    }

    /// The key to authenticate with from now on, wherever one is needed.
    pub(super) fn set_key(&mut self, name: KeyName) {
        self.options.connect.key = Some(name);
    }

    async fn find_or_open(&mut self, target: CircleTarget, choice: ConnectOptions) -> Result<usize, CliError> {
        let is_same_circle = |open: &OpenSession| target::is_same_url(&open.session.target().url, &target.url);
        let matches_key = |open: &OpenSession| {
            choice.key.is_none()
                || open.session.state().authenticated() == choice.key.as_ref()
                || open.session.state().key == choice.key
        };
        // The newest: one before it may have been of another circle.
        if let Some(index) = self.sessions.iter().rposition(|open| is_same_circle(open) && matches_key(open)) {
            match self.connect(index).await {
                Ok(()) => return Ok(index),
                // Another circle has a session of its own beside it.
                Err(_) if self.sessions[index].session.state().is_replaced => {}
                // One can be there all the same, and save what was played.
                Err(error) => {
                    output::report(&error);
                    return Ok(index);
                }
            }
        }
        // Through the same tunnel as the session that is there already.
        let authority = self.sessions.iter().find(|open| is_same_circle(open)).and_then(|open| open.authority.clone());
        self.open_at(target, &ConnectOptions { authority: choice.authority.or(authority), ..choice }).await
    }

    async fn open_at(&mut self, target: CircleTarget, choice: &ConnectOptions) -> Result<usize, CliError> {
        let config = self.options.config.as_deref();
        let opening = SessionOptions::for_target(target, choice, config, self.keyring.clone(), value_size())?;
        self.open(opening, choice.authority.clone()).await
    }

    async fn open_scratch(&mut self) -> Result<usize, CliError> {
        let opening = SessionOptions::scratch(&self.runtime, self.keyring.clone(), value_size())?;
        self.open(opening, None).await
    }

    /// Opens a session, which is kept only if it becomes ready.
    async fn open(&mut self, opening: SessionOptions, authority: Option<Authority>) -> Result<usize, CliError> {
        if self.sessions.len() == MAX_SESSIONS {
            let why = format!("{MAX_SESSIONS} are open already");
            return Err(CliError::usage("cannot open another session", why, "leave, and come back to what you need"));
        }
        let (session, events) = SessionHandle::open(&self.runtime, opening);
        let feed = Feed::start(&self.runtime, session.clone(), events, self.notes.clone());
        let open = OpenSession { session, feed, authority };
        // One that is not ready, or not waited for, is dropped.
        self.make_ready(&open).await?;
        self.sessions.push(open);
        Ok(self.sessions.len() - 1)
    }

    /// Connects a session that is not, and asks for the passphrase of the key that it needs.
    pub(super) async fn connect(&self, index: usize) -> Result<(), CliError> {
        self.make_ready(&self.sessions[index]).await
    }

    async fn make_ready(&self, open: &OpenSession) -> Result<(), CliError> {
        let session = &open.session;
        if session.state().is_ready() {
            return Ok(());
        }
        let mut listening = open.listen();
        let what = format!("connecting to {}", session.target());
        match status_line::with_status_line(&what, connect_until_ready(session, &mut listening.events)).await? {
            Readiness::Ready => Ok(()),
            Readiness::KeyLocked(name) => {
                if let Err(error) = self.unlock(&name) {
                    // Without this the session would wait for the key.
                    let _full = session.keep_locked(name);
                    return Err(error);
                }
                status_line::with_status_line(
                    AUTHENTICATING_TEXT,
                    continue_with_key(session, &mut listening.events, name),
                )
                .await
            }
        }
    }

    /// Unlocks a key, with its passphrase from a terminal that nothing else is written to meanwhile.
    pub(super) fn unlock(&self, name: &KeyName) -> Result<(), CliError> {
        let _terminal = self.notes.hold();
        terminal::runtime::unlock_into_keyring(&self.keyring, name, self.options.passphrase_fd).map(drop)
    }
}

/// How much room there is for a value.
pub(super) fn value_size() -> Size {
    let (width, rows) = output::stdout_size().unwrap_or((usize::MAX, usize::MAX));
    Size { width, height: rows.saturating_sub(SCREEN_MARGIN) }
}

/// The circles that can be gone to. Those of a circles.json that cannot be read are not.
pub(super) fn circle_candidates(config: Option<&Path>) -> Vec<CompletionItem> {
    let circles = config::find(config.map(Path::to_owned)).ok().flatten().map(|(_, circles)| circles);
    let scratch = CompletionItem { text: scratch::NAME.into(), detail: "a throw-away circle in this process".into() };
    let of_file = circles.unwrap_or_default().into_iter();
    let of_file = of_file.map(|circle| CompletionItem { detail: circle.url(), text: circle.name });
    of_file.chain([scratch]).collect()
}

/// The keys that one can use.
pub(super) fn key_candidates() -> Vec<CompletionItem> {
    let listing = Keystore::open_default().and_then(|store| store.list()).unwrap_or_default();
    let candidate = |entry: keys::keystore::KeyEntry| {
        let detail = if entry.default { "default" } else { "" };
        CompletionItem { text: entry.name.to_string(), detail: detail.to_owned() }
    };
    listing.entries.into_iter().map(candidate).collect()
}
