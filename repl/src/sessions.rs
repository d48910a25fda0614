//! The open sessions, one per circle and key, and the unlocked keys.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use console::{
    completion::CompletionItem,
    directory::WorkingDirectory,
    history::InputOrigin,
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

/// Largest number of open sessions.
const MAX_SESSIONS: usize = 32;

/// Status text during authentication.
pub(super) const AUTHENTICATING_TEXT: &str = "signing in";

/// Rows of the screen that a value leaves free.
pub(super) const SCREEN_MARGIN: usize = 4;

/// An open session.
pub(super) struct OpenSession {
    pub(super) session: SessionHandle,
    feed: Feed,
    /// The circle's own authority, if the user named it.
    authority: Option<Authority>,
}

pub(super) struct Sessions {
    runtime: Handle,
    notes: Notes,
    open: Vec<OpenSession>,
    current: usize,
    keyring: Arc<Keyring>,
    directory: Arc<WorkingDirectory>,
    /// The user's init script.
    init: Option<PathBuf>,
    options: Options,
}

impl OpenSession {
    /// Subscribes to the session's events.
    pub(super) fn listen(&self) -> Subscription {
        self.feed.listen()
    }

    /// Returns whether the session is on the scratch circle.
    pub(super) fn is_scratch(&self) -> bool {
        self.session.target().kind == TargetKind::Scratch
    }

    /// Returns the circle and the authenticated key that inputs are for.
    pub(super) fn input_origin(&self) -> InputOrigin {
        self.session.state().input_origin(self.session.target())
    }
}

impl Sessions {
    /// Opens the first session, on the named circle or on a scratch circle.
    pub(super) async fn start(
        runtime: Handle,
        notes: Notes,
        circle: Option<&str>,
        options: &Options,
        init: Option<PathBuf>,
    ) -> Result<Self, CliError> {
        let keyring = Arc::new(Keyring::default());
        let (open, directory) = (Vec::new(), Arc::default());
        let mut sessions =
            Self { runtime, notes, open, current: 0, keyring, directory, init, options: options.clone() };
        if let Some(named) = target::argument_or_env(circle) {
            let target = target::find(&named, options.config.as_deref()).await?;
            sessions.open_at(target, &options.connect).await?;
        } else {
            connect::check_scratch_options(&options.connect)?;
            sessions.open_scratch().await?;
        }
        Ok(sessions)
    }

    /// Returns the directory of the user's files.
    pub(super) fn directory(&self) -> Arc<WorkingDirectory> {
        self.directory.clone()
    }

    pub(super) fn current(&self) -> &OpenSession {
        &self.open[self.current]
    }

    pub(super) fn index(&self) -> usize {
        self.current
    }

    pub(super) fn nth(&self, index: usize) -> &OpenSession {
        &self.open[index]
    }

    /// Returns for each session the number of inputs that its variables come from.
    pub(super) fn input_counts(&self) -> Vec<usize> {
        self.open.iter().map(|open| open.session.state().inputs).collect()
    }

    /// Switches to a session.
    pub(super) fn switch_to(&mut self, index: usize) {
        self.current = index.min(self.open.len() - 1);
    }

    /// Returns the session on a circle, and opens one if necessary.
    pub(super) async fn session_on(&mut self, named: &str) -> Result<usize, CliError> {
        if named == scratch::NAME
            && let Some(index) = self.open.iter().position(OpenSession::is_scratch)
        {
            return Ok(index);
        }
        let target = match target::find(named, self.options.config.as_deref()).await {
            // Unless circles.json has a circle of that name.
            Err(_) if named == scratch::NAME => return self.open_scratch().await,
            target => target?,
        };
        let connect_options = ConnectOptions { authority: None, ..self.options.connect.clone() };
        self.find_or_open(target, connect_options).await
    }

    /// Returns a session on the current circle that is authenticated with another key.
    pub(super) async fn session_with_key(&mut self, name: KeyName) -> Result<usize, CliError> {
        let target = self.current().session.target().clone();
        // A locked key cannot open a session.
        self.unlock(&name)?;
        let connect_options = self.options.connect.clone();
        let index = self
            .find_or_open(target, ConnectOptions { key: Some(name.clone()), authority: None, ..connect_options })
            .await?;
        self.options.connect.key = Some(name);
        Ok(index)
    }

    /// Sets the key to authenticate with from now on, where a circle needs one.
    pub(super) fn set_key(&mut self, name: KeyName) {
        self.options.connect.key = Some(name);
    }

    async fn find_or_open(&mut self, target: CircleTarget, connect_options: ConnectOptions) -> Result<usize, CliError> {
        let is_same_circle = |open: &OpenSession| target::is_same_url(&open.session.target().url, &target.url);
        let matches_key = |open: &OpenSession| {
            connect_options.key.is_none()
                || open.session.state().authenticated() == connect_options.key.as_ref()
                || open.session.state().key == connect_options.key
        };
        // The newest: an older session may be of another circle at the same address.
        if let Some(index) = self.open.iter().rposition(|open| is_same_circle(open) && matches_key(open)) {
            match self.connect(index).await {
                Ok(()) => return Ok(index),
                // Another circle gets its own session.
                Err(_) if self.open[index].session.state().is_replaced => {}
                // The session is of use without a connection: it can save what was played.
                Err(error) => {
                    output::report(&error);
                    return Ok(index);
                }
            }
        }
        // Through the same tunnel as the existing session.
        let authority = self.open.iter().find(|open| is_same_circle(open)).and_then(|open| open.authority.clone());
        self.open_at(target, &ConnectOptions { authority: connect_options.authority.or(authority), ..connect_options })
            .await
    }

    async fn open_at(&mut self, target: CircleTarget, connect_options: &ConnectOptions) -> Result<usize, CliError> {
        let config = self.options.config.as_deref();
        let session_options =
            SessionOptions::for_target(target, connect_options, config, self.keyring.clone(), value_size())?;
        self.open(session_options, connect_options.authority.clone()).await
    }

    async fn open_scratch(&mut self) -> Result<usize, CliError> {
        let session_options = SessionOptions::scratch(&self.runtime, self.keyring.clone(), value_size())?;
        self.open(session_options, None).await
    }

    /// Opens a session, and keeps it only if it becomes ready.
    async fn open(&mut self, session_options: SessionOptions, authority: Option<Authority>) -> Result<usize, CliError> {
        if self.open.len() == MAX_SESSIONS {
            let why = format!("{MAX_SESSIONS} sessions are open already");
            return Err(CliError::usage(
                "cannot open another session",
                why,
                "quit, and reopen the circles that you need",
            ));
        }
        let session_options =
            SessionOptions { directory: self.directory(), init: self.init.clone(), ..session_options };
        let (session, events) = SessionHandle::open(&self.runtime, session_options);
        let feed = Feed::start(&self.runtime, session.clone(), events, self.notes.clone());
        let open = OpenSession { session, feed, authority };
        // A session that does not become ready, or that the user does not wait for, is dropped.
        self.make_ready(&open).await?;
        self.open.push(open);
        Ok(self.open.len() - 1)
    }

    /// Connects a session if necessary, and asks for the passphrase of the key that it needs.
    pub(super) async fn connect(&self, index: usize) -> Result<(), CliError> {
        self.make_ready(&self.open[index]).await
    }

    async fn make_ready(&self, open: &OpenSession) -> Result<(), CliError> {
        let session = &open.session;
        if session.state().is_ready() {
            return Ok(());
        }
        let mut subscription = open.listen();
        let text = format!("connecting to {}", session.target());
        match status_line::with_status_line(&text, connect_until_ready(session, &mut subscription.events)).await? {
            Readiness::Ready => Ok(()),
            Readiness::KeyLocked(name) => {
                if let Err(error) = self.unlock(&name) {
                    // Otherwise the session would keep waiting for the key.
                    let _full = session.keep_locked(name);
                    return Err(error);
                }
                status_line::with_status_line(
                    AUTHENTICATING_TEXT,
                    continue_with_key(session, &mut subscription.events, name),
                )
                .await
            }
        }
    }

    /// Unlocks a key, with a passphrase from the terminal; notes are held back meanwhile.
    pub(super) fn unlock(&self, name: &KeyName) -> Result<(), CliError> {
        let _terminal = self.notes.hold();
        terminal::runtime::unlock_into_keyring(&self.keyring, name, self.options.passphrase_fd).map(drop)
    }
}

/// Returns the room for a value on the screen.
pub(super) fn value_size() -> Size {
    let (width, rows) = output::stdout_size().unwrap_or((usize::MAX, usize::MAX));
    Size { width, height: rows.saturating_sub(SCREEN_MARGIN) }
}

/// Returns completion candidates for circles; without those of an unreadable circles.json.
pub(super) fn circle_candidates(config: Option<&Path>) -> Vec<CompletionItem> {
    let circles = config::find(config.map(Path::to_owned)).ok().flatten().map(|(_, circles)| circles);
    let scratch = CompletionItem { text: scratch::NAME.into(), detail: "a temporary circle in this process".into() };
    let from_file = circles.unwrap_or_default().into_iter();
    let from_file = from_file.map(|circle| CompletionItem { detail: circle.url(), text: circle.name });
    from_file.chain([scratch]).collect()
}

/// Returns completion candidates for keys.
pub(super) fn key_candidates() -> Vec<CompletionItem> {
    let listing = Keystore::open_default().and_then(|store| store.list()).unwrap_or_default();
    let candidate = |entry: keys::keystore::KeyEntry| {
        let detail = if entry.default { "default" } else { "" };
        CompletionItem { text: entry.name.to_string(), detail: detail.to_owned() }
    };
    listing.entries.into_iter().map(candidate).collect()
}
