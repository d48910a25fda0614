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
    feed::{Feed, Listening},
    notes::Notes,
};

/// Sessions that are open at once.
const MAX_SESSIONS: usize = 32;

/// What a session does while a key is checked.
pub(super) const AUTHENTICATING: &str = "proving the key";

/// Rows of the screen that a value leaves free.
pub(super) const MARGIN: usize = 4;

/// One of them.
pub(super) struct Open {
    pub(super) session: SessionHandle,
    feed: Feed,
    /// How the circle knows itself, where it was said.
    authority: Option<Authority>,
}

pub(super) struct Sessions {
    runtime: Handle,
    notes: Notes,
    open: Vec<Open>,
    current: usize,
    keyring: Arc<Keyring>,
    options: Options,
}

impl Open {
    /// Listens to its events from now on.
    pub(super) fn listen(&self) -> Listening {
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
    pub(super) async fn begin(
        runtime: Handle,
        notes: Notes,
        named: Option<&str>,
        options: &Options,
    ) -> Result<Self, CliError> {
        let keyring = Arc::new(Keyring::default());
        let mut sessions = Self { runtime, notes, open: Vec::new(), current: 0, keyring, options: options.clone() };
        if let Some(named) = target::argument_or_env(named) {
            let target = target::find(&named, options.config.as_deref()).await?;
            sessions.open_at(target, &options.connect).await?;
        } else {
            connect::check_scratch_options(&options.connect)?;
            sessions.open_scratch().await?;
        }
        Ok(sessions)
    }

    pub(super) fn current(&self) -> &Open {
        &self.open[self.current]
    }

    pub(super) fn index(&self) -> usize {
        self.current
    }

    pub(super) fn nth(&self, index: usize) -> &Open {
        &self.open[index]
    }

    /// How many inputs made what each of them holds.
    pub(super) fn held(&self) -> Vec<usize> {
        self.open.iter().map(|open| open.session.state().inputs).collect()
    }

    /// Goes to one of them.
    pub(super) fn turn_to(&mut self, index: usize) {
        self.current = index.min(self.open.len() - 1);
    }

    /// The session on a circle, which is opened if there is none.
    pub(super) async fn on(&mut self, named: &str) -> Result<usize, CliError> {
        if named == scratch::NAME
            && let Some(index) = self.open.iter().position(Open::is_scratch)
        {
            return Ok(index);
        }
        let target = match target::find(named, self.options.config.as_deref()).await {
            // Unless circles.json has another of that name.
            Err(_) if named == scratch::NAME => return self.open_scratch().await,
            target => target?,
        };
        let choice = ConnectOptions { authority: None, ..self.options.connect.clone() };
        self.at(target, choice).await
    }

    /// The session beside the current one that is authenticated with another key.
    pub(super) async fn as_key(&mut self, name: KeyName) -> Result<usize, CliError> {
        let target = self.current().session.target().clone();
        // A key that stays locked opens nothing.
        self.unlock(&name)?;
        let index = self
            .at(target, ConnectOptions { key: Some(name.clone()), authority: None, ..self.options.connect })
            .await?;
        self.options.connect.key = Some(name);
        Ok(index)
    }

    /// The key to authenticate with from now on, wherever one is needed.
    pub(super) fn uses_key(&mut self, name: KeyName) {
        self.options.connect.key = Some(name);
    }

    async fn at(&mut self, target: CircleTarget, choice: ConnectOptions) -> Result<usize, CliError> {
        let is_there = |open: &Open| target::is_same_url(&open.session.target().url, &target.url);
        let is_it = |open: &Open| {
            choice.key.is_none()
                || open.session.state().authenticated() == choice.key.as_ref()
                || open.session.state().key == choice.key
        };
        // The newest: one before it may have been of another circle.
        if let Some(index) = self.open.iter().rposition(|open| is_there(open) && is_it(open)) {
            match self.connect(index).await {
                Ok(()) => return Ok(index),
                // Another circle has a session of its own beside it.
                Err(_) if self.open[index].session.state().is_replaced => {}
                // One can be there all the same, and save what was played.
                Err(error) => {
                    output::report(&error);
                    return Ok(index);
                }
            }
        }
        // Through the same tunnel as the session that is there already.
        let authority = self.open.iter().find(|open| is_there(open)).and_then(|open| open.authority.clone());
        self.open_at(target, &ConnectOptions { authority: choice.authority.or(authority), ..choice }).await
    }

    async fn open_at(&mut self, target: CircleTarget, choice: &ConnectOptions) -> Result<usize, CliError> {
        let config = self.options.config.as_deref();
        let opening = SessionOptions::for_target(target, choice, config, self.keyring.clone(), room())?;
        self.open(opening, choice.authority.clone()).await
    }

    async fn open_scratch(&mut self) -> Result<usize, CliError> {
        let opening = SessionOptions::scratch(&self.runtime, self.keyring.clone(), room())?;
        self.open(opening, None).await
    }

    /// Opens a session, which is kept only if it becomes ready.
    async fn open(&mut self, opening: SessionOptions, authority: Option<Authority>) -> Result<usize, CliError> {
        if self.open.len() == MAX_SESSIONS {
            let why = format!("{MAX_SESSIONS} are open already");
            return Err(CliError::usage("cannot open another session", why, "leave, and come back to what you need"));
        }
        let (session, events) = SessionHandle::open(&self.runtime, opening);
        let feed = Feed::start(&self.runtime, session.clone(), events, self.notes.clone());
        let open = Open { session, feed, authority };
        // One that is not ready, or not waited for, is dropped.
        self.make_ready(&open).await?;
        self.open.push(open);
        Ok(self.open.len() - 1)
    }

    /// Connects a session that is not, and asks for the passphrase of the key that it needs.
    pub(super) async fn connect(&self, index: usize) -> Result<(), CliError> {
        self.make_ready(&self.open[index]).await
    }

    async fn make_ready(&self, open: &Open) -> Result<(), CliError> {
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
                status_line::with_status_line(AUTHENTICATING, continue_with_key(session, &mut listening.events, name))
                    .await
            }
        }
    }

    /// Unlocks a key, with its passphrase from a terminal that nothing else is written to meanwhile.
    pub(super) fn unlock(&self, name: &KeyName) -> Result<(), CliError> {
        let _its = self.notes.held();
        terminal::runtime::unlock_into_keyring(&self.keyring, name, self.options.passphrase_fd).map(drop)
    }
}

/// How much room there is for a value.
pub(super) fn room() -> Size {
    let (width, rows) = output::stdout_size().unwrap_or((usize::MAX, usize::MAX));
    Size { width, height: rows.saturating_sub(MARGIN) }
}

/// The circles that can be gone to. Those of a circles.json that cannot be read are not.
pub(super) fn circles(config: Option<&Path>) -> Vec<CompletionItem> {
    let circles = config::find(config.map(Path::to_owned)).ok().flatten().map(|(_, circles)| circles);
    let scratch = CompletionItem { text: scratch::NAME.into(), detail: "a throw-away circle in this process".into() };
    let of_file = circles.unwrap_or_default().into_iter();
    let of_file = of_file.map(|circle| CompletionItem { detail: circle.url(), text: circle.name });
    of_file.chain([scratch]).collect()
}

/// The keys that one can use.
pub(super) fn keys() -> Vec<CompletionItem> {
    let listing = Keystore::open_default().and_then(|store| store.list()).unwrap_or_default();
    let candidate = |entry: keys::keystore::KeyEntry| {
        let detail = if entry.default { "default" } else { "" };
        CompletionItem { text: entry.name.to_string(), detail: detail.to_owned() }
    };
    listing.entries.into_iter().map(candidate).collect()
}
