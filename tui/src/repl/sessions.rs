//! The sessions that are open, one for each circle and key, and the keys that were unlocked.

use std::{sync::Arc, time::Duration};

use client_ws::PlayResult;
use keys::{
    KeyPair,
    keystore::{KeyName, Keystore},
};
use tokio::runtime::Handle;

use super::{link::Link, notes::Notes};
use crate::{
    cli::{ConfigArgs, ConnectArgs},
    config,
    connect::{self, Choice, Connected, Keyring},
    console::{
        completion::Candidate,
        history::{self, HistoryFile},
        notebook::Notebook,
    },
    error::CliError,
    place::{self, Destination},
    terminal::Quiet,
};

/// Sessions that are open at once.
const MAX_SESSIONS: usize = 32;

/// One of them.
pub(super) struct Session {
    pub link: Link,
    pub notebook: Notebook,
    pub history: HistoryFile,
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
    args: ConnectArgs,
}

impl Session {
    fn new(runtime: &Handle, connected: Connected, notes: Notes) -> Self {
        let history = history_of(&connected);
        let link = Link::new(runtime, connected, notes);
        Self { link, notebook: Notebook::default(), history, environment: 0 }
    }

    /// Notices that the environment is another one.
    pub(super) fn look(&mut self) {
        let environment = self.link.environment();
        if std::mem::replace(&mut self.environment, environment) != environment {
            self.notebook.is_lost();
        }
    }

    /// A play went well.
    pub(super) fn went_well(&mut self, script: &str, result: &PlayResult, round_trip: Duration) {
        self.look();
        self.notebook.ended(script, result.clone(), round_trip);
        self.link.set_inputs(self.notebook.inputs());
    }

    /// A fresh environment was made.
    pub(super) fn reset(&mut self) {
        self.look();
        self.notebook.reset();
        self.link.set_inputs(0);
    }

    /// A key was proved: what is typed from now on is its.
    fn is_proved(&mut self, key: KeyName) {
        self.history = HistoryFile::of(
            history::default_directory().as_deref(),
            &self.link.client.url().authority().to_string(),
            Some(key.as_str()),
        );
        self.link.set_key(key);
    }
}

fn history_of(connected: &Connected) -> HistoryFile {
    let place = if connected.is_throwaway {
        connected.circle.name.clone()
    } else {
        connected.client.url().authority().to_string()
    };
    HistoryFile::of(history::default_directory().as_deref(), &place, connected.key.as_ref().map(KeyName::as_str))
}

impl Sessions {
    pub(super) fn new(runtime: Handle, first: Connected, notes: Notes, keyring: Keyring, args: &ConnectArgs) -> Self {
        let open = vec![Session::new(&runtime, first, notes.clone())];
        Self { runtime, notes, open, current: 0, keyring, args: args.clone() }
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
    pub(super) async fn on(&mut self, said: &str, quiet: &Quiet) -> Result<usize, CliError> {
        if said == crate::throwaway::NAME
            && let Some(index) = self.open.iter().position(|session| session.link.is_throwaway)
        {
            return Ok(index);
        }
        let destination = place::find(said, &self.args.config).await?;
        self.at(destination, quiet).await
    }

    /// The session there as the key that is chosen.
    async fn at(&mut self, destination: Destination, quiet: &Quiet) -> Result<usize, CliError> {
        let key = self.args.key.clone();
        let is_it = |session: &Session| {
            let url = session.link.place.url.trim_end_matches('/');
            url == destination.url.trim_end_matches('/') && (key.is_none() || session.link.key() == key)
        };
        if let Some(index) = self.open.iter().position(is_it) {
            return Ok(index);
        }
        if self.open.len() == MAX_SESSIONS {
            let why = format!("{MAX_SESSIONS} are open already");
            return Err(CliError::usage("cannot open another session", why, "leave, and come back to what you need"));
        }
        let (keyring, passphrase) = (&mut self.keyring, &self.args.passphrase);
        let choice = Choice { key: self.args.key.clone(), authority: None };
        let connected = connect::to(destination, &choice, async |name| {
            let _its = quiet.paused();
            keyring.unlock(name, passphrase)
        });
        let connected = connected.await?;
        self.open.push(Session::new(&self.runtime, connected, self.notes.clone()));
        Ok(self.open.len() - 1)
    }

    /// A key, unlocked.
    pub(super) fn unlock(&mut self, name: &KeyName, quiet: &Quiet) -> Result<Arc<KeyPair>, CliError> {
        let _its = quiet.paused();
        self.keyring.unlock(name, &self.args.passphrase)
    }

    /// Is a key from now on: the current session proves it if it has proved none, otherwise there is one beside it. Which one
    /// that is.
    pub(super) async fn prove(&mut self, name: &KeyName, keypair: Arc<KeyPair>, quiet: &Quiet) -> Result<usize, CliError> {
        let before = self.args.key.replace(name.clone());
        let proved = self.prove_chosen(name, keypair, quiet).await;
        if proved.is_err() {
            self.args.key = before;
        }
        proved
    }

    async fn prove_chosen(&mut self, name: &KeyName, keypair: Arc<KeyPair>, quiet: &Quiet) -> Result<usize, CliError> {
        let index = self.current;
        let session = &mut self.open[index];
        if session.link.key().is_some() {
            let destination = session.link.place.clone();
            return self.at(destination, quiet).await;
        }
        let line = session.link.line().clone();
        line.client.set_keypair(keypair);
        let proved = line.client.authenticate().await;
        proved.map_err(|error| CliError::Client { place: line.place.clone(), error })?;
        session.is_proved(name.clone());
        Ok(index)
    }
}

/// The circles that can be gone to. Those of a circles.json that cannot be read are not.
pub(super) fn circles(config: &ConfigArgs) -> Vec<Candidate> {
    let circles = config::find(config.config.clone()).ok().flatten().map(|(_, circles)| circles).unwrap_or_default();
    circles.into_iter().map(|circle| Candidate { detail: circle.url(), text: circle.name }).collect()
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
