//! The sessions that are open, one for each circle and key, and the keys that were unlocked.

use std::{path::Path, sync::Arc, time::Duration};

use client_ws::{ClientError, PlayResult};
use keys::{
    Authority, KeyPair,
    keystore::{KeyName, Keystore},
};
use tokio::runtime::Handle;

use super::{link::Link, notes::Notes};
use frontend::{config, connect::{self, Choice, Connected, Keyring, Options}, error::CliError, scratch, target::{self, Destination}, text::Line};
use console::{completion::Candidate, history::{self, HistoryFile}, notebook::{Notebook, costs_environment}};
use terminal::waiting;

/// Sessions that are open at once.
const MAX_SESSIONS: usize = 32;

/// One of them.
pub(super) struct Session {
    pub link: Link,
    pub notebook: Notebook,
    /// How the circle knows itself, where it was said.
    authority: Option<Authority>,
    /// The environment that the notebook is of.
    environment: u64,
}

pub(super) struct Sessions {
    runtime: Handle,
    notes: Notes,
    open: Vec<Session>,
    current: usize,
    keyring: Keyring,
    /// Whom to be, where and with which passphrases.
    options: Options,
}

impl Session {
    fn new(runtime: &Handle, connected: Connected, authority: Option<Authority>, notes: Notes) -> Self {
        let link = Link::new(runtime, connected, notes);
        Self { link, notebook: Notebook::default(), authority, environment: 0 }
    }

    /// Notices that the environment is another one.
    pub(super) fn look(&mut self) {
        let environment = self.link.environment();
        if std::mem::replace(&mut self.environment, environment) != environment {
            self.notebook.is_lost();
        }
    }

    /// A play went well.
    pub(super) fn went_well(&mut self, script: &str, result: Arc<PlayResult>, round_trip: Duration) {
        self.look();
        self.notebook.ended(script, result, round_trip);
        self.link.set_inputs(self.notebook.inputs());
    }

    /// A play went wrong; what was said of it, and whether it cost the environment.
    pub(super) fn went_wrong(&mut self, said: &[Line], is_lost: bool) {
        self.look();
        self.notebook.went_wrong(said, is_lost);
        self.link.set_inputs(self.notebook.inputs());
    }

    /// A play was answered with an error, or not at all: what is to be said of it, within so many columns.
    pub(super) fn answered_wrong(&mut self, script: &str, error: ClientError, columns: usize) -> Vec<Line> {
        let is_lost = costs_environment(&error);
        let lines = self.link.answer(script, error, columns);
        self.went_wrong(&lines, is_lost);
        lines
    }

    /// A fresh environment was made.
    pub(super) fn reset(&mut self) {
        self.look();
        self.notebook.reset();
        self.link.set_inputs(0);
    }

    /// Where what is typed is kept: by the circle, and by the key that was proved.
    pub(super) fn history(&self) -> HistoryFile {
        let link = &self.link;
        let place = if link.is_throwaway { link.circle().name } else { link.client.url().authority().to_string() };
        HistoryFile::of(history::default_directory().as_deref(), &place, link.key().as_ref().map(KeyName::as_str))
    }
}

impl Sessions {
    pub(super) fn new(runtime: Handle, first: Connected, notes: Notes, keyring: Keyring, options: &Options) -> Self {
        let open = vec![Session::new(&runtime, first, options.choice.authority.clone(), notes.clone())];
        Self { runtime, notes, open, current: 0, keyring, options: options.clone() }
    }

    pub(super) fn current(&self) -> &Session {
        &self.open[self.current]
    }

    pub(super) fn current_mut(&mut self) -> &mut Session {
        &mut self.open[self.current]
    }

    pub(super) fn nth(&self, index: usize) -> &Session {
        &self.open[index]
    }

    pub(super) fn nth_mut(&mut self, index: usize) -> &mut Session {
        &mut self.open[index]
    }

    /// Goes to one of them.
    pub(super) fn turn_to(&mut self, index: usize) {
        self.current = index.min(self.open.len() - 1);
    }

    /// The session on a circle, which is opened if there is none.
    pub(super) async fn on(&mut self, said: &str) -> Result<usize, CliError> {
        if said == scratch::NAME
            && let Some(index) = self.open.iter().position(|session| session.link.is_throwaway)
        {
            return Ok(index);
        }
        let destination = match target::find(said, self.options.config.as_deref()).await {
            // Unless circles.json has another of that name.
            Err(_) if said == scratch::NAME => return Ok(self.open(connect::to_throwaway().await?, None)),
            destination => destination?,
        };
        let choice = Choice { key: self.options.choice.key.clone(), authority: None };
        self.at(destination, choice).await
    }

    /// The session there as that key.
    async fn at(&mut self, destination: Destination, choice: Choice) -> Result<usize, CliError> {
        let is_there = |session: &Session| target::is_same_url(&session.link.place.url, &destination.url);
        let is_it = |session: &Session| choice.key.is_none() || session.link.key() == choice.key;
        // The newest: one before it may have been of another circle.
        if let Some(index) = self.open.iter().rposition(|session| is_there(session) && is_it(session)) {
            let line = self.open[index].link.line().clone();
            match waiting::shown("connecting", line.restore()).await {
                Ok(()) => return Ok(index),
                Err(_) if line.is_another() => {}
                // One can be there all the same, and save what was played.
                Err(error) => {
                    printing::report(&CliError::Client { place: line.place.clone(), error });
                    return Ok(index);
                }
            }
        }
        if self.open.len() == MAX_SESSIONS {
            let why = format!("{MAX_SESSIONS} are open already");
            return Err(CliError::usage("cannot open another session", why, "leave, and come back to what you need"));
        }
        // Through the same tunnel as the session that is there already.
        let authority =
            self.open.iter().find(|session| is_there(session)).and_then(|session| session.authority.clone());
        let choice = Choice { authority: choice.authority.or(authority), ..choice };
        let (keyring, passphrase, notes) = (&mut self.keyring, self.options.passphrase_fd, &self.notes);
        let connected = terminal::connect::to(destination, &choice, async |name| unlock(keyring, name, passphrase, notes));
        let connected = connected.await?;
        Ok(self.open(connected, choice.authority))
    }

    fn open(&mut self, connected: Connected, authority: Option<Authority>) -> usize {
        self.open.push(Session::new(&self.runtime, connected, authority, self.notes.clone()));
        self.open.len() - 1
    }

    /// A key, unlocked.
    pub(super) fn unlock(&mut self, name: &KeyName) -> Result<Arc<KeyPair>, CliError> {
        unlock(&mut self.keyring, name, self.options.passphrase_fd, &self.notes)
    }

    /// Is a key from now on: the current session proves it if it has proved none, otherwise there is one beside it. Which one
    /// that is.
    pub(super) async fn prove(&mut self, name: &KeyName, keypair: Arc<KeyPair>) -> Result<usize, CliError> {
        let index = self.current;
        let line = self.open[index].link.line().clone();
        let index = if line.key().is_some() {
            let choice = Choice { key: Some(name.clone()), authority: None };
            self.at(line.place.clone(), choice).await?
        } else {
            line.prove(keypair).await?;
            line.set_key(name.clone());
            index
        };
        self.options.choice.key = Some(name.clone());
        Ok(index)
    }
}

/// Asks for the passphrase, where that is needed, on a terminal that nothing else is written to.
fn unlock(
    keyring: &mut Keyring,
    name: &KeyName,
    passphrase_fd: Option<u32>,
    notes: &Notes,
) -> Result<Arc<KeyPair>, CliError> {
    let _its = notes.held();
    terminal::connect::unlock(keyring, name, passphrase_fd)
}

/// The circles that can be gone to. Those of a circles.json that cannot be read are not.
pub(super) fn circles(config: Option<&Path>) -> Vec<Candidate> {
    let circles = config::find(config.map(Path::to_owned)).ok().flatten().map(|(_, circles)| circles).unwrap_or_default();
    let scratch = Candidate { text: scratch::NAME.into(), detail: "a throw-away circle in this process".into() };
    let of_file = circles.into_iter().map(|circle| Candidate { detail: circle.url(), text: circle.name });
    of_file.chain([scratch]).collect()
}

/// The keys that one can be.
pub(super) fn keys() -> Vec<Candidate> {
    let listing = Keystore::open_default().and_then(|store| store.list()).unwrap_or_default();
    let candidate = |entry: keys::keystore::Entry| {
        let detail = if entry.default { "default" } else { "" };
        Candidate { text: entry.name.to_string(), detail: detail.to_owned() }
    };
    listing.entries.into_iter().map(candidate).collect()
}
