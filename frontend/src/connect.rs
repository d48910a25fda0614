//! From what the user said to a connected client: the circle, the key, the proof.

mod several;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use client_ws::{CircleWsClient, ClientError, Description};
use keys::{
    Authority, KeyPair,
    keystore::{KeyName, Keystore},
};
use server_ws::{Access, Workers};
use tokio::runtime::Handle;

use crate::{error::CliError, scratch, target::{Destination, Said}};

pub use several::{Attempt, several};

/// A client that is connected, and where and as whom.
pub struct Connected {
    pub client: Arc<CircleWsClient>,
    pub circle: Description,
    /// The circle as the user knows it.
    pub place: Destination,
    /// The name of the key that was proved; `None` if none was, or one made for a throw-away circle.
    pub key: Option<KeyName>,
    pub is_throwaway: bool,
}

/// As whom, and by which name of the circle's own.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// The key to be; without one the default key, on a circle that asks for one.
    pub key: Option<KeyName>,
    /// How the circle knows itself, when it is dialled through a tunnel.
    pub authority: Option<Authority>,
}

/// How circles are reached, and as whom, by a whole program.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The key, and the circle's own name.
    pub choice: Choice,
    /// The circles.json that was named, instead of the default ones.
    pub config: Option<PathBuf>,
    /// The file descriptor from which a passphrase is read, instead of the environment and the terminal.
    pub passphrase_fd: Option<u32>,
}

/// Keys that were unlocked, so that nobody is asked for a passphrase twice.
#[derive(Default)]
pub struct Keyring {
    unlocked: BTreeMap<KeyName, Arc<KeyPair>>,
}

impl Keyring {
    pub fn get(&self, name: &KeyName) -> Option<Arc<KeyPair>> {
        self.unlocked.get(name).cloned()
    }

    pub fn insert(&mut self, name: KeyName, keypair: Arc<KeyPair>) {
        self.unlocked.insert(name, keypair);
    }
}

/// Whether a throw-away circle will do: its key is its own.
pub fn is_for_throwaway(choice: &Choice) -> Result<(), CliError> {
    if choice.key.is_none() {
        return Ok(());
    }
    Err(CliError::usage(
        "--key says who to be on a circle",
        "there is none named, and a throw-away one has a key of its own",
        "name one: --circle WHERE",
    ))
}

/// Starts a throw-away circle, which ends with the runtime, and connects to it.
pub async fn to_throwaway() -> Result<Connected, CliError> {
    let (url, keypair) = scratch::start(&Handle::current(), Workers::SameExecutable)?;
    let place = Destination::throwaway(url);
    let fail = |error| CliError::Client { place: place.clone(), error };
    let client = CircleWsClient::builder(&*place.url).keypair(keypair).build().map_err(fail)?;
    let connected = async {
        client.connect().await?;
        client.authenticate().await?;
        client.describe().await
    };
    let circle = connected.await.map_err(fail)?;
    Ok(Connected { client: client.into(), circle, place, key: None, is_throwaway: true })
}

/// A circle that has answered, and the key that is to be proved to it.
pub struct Reached(Connected);

/// Connects, and finds out which key is to be proved. Nothing is asked of the user for it.
pub async fn reach(place: Destination, choice: &Choice) -> Result<Reached, CliError> {
    let fail = |error| CliError::Client { place: place.clone(), error };
    let mut builder = CircleWsClient::builder(&*place.url);
    if let Some(authority) = &choice.authority {
        builder = builder.authority(authority.clone());
    }
    let client = builder.build().map_err(fail)?;
    // In its normal form, as everything else that speaks of it has it.
    let place = Destination { url: client.url().to_string().into(), ..place };
    let fail = |error| CliError::Client { place: place.clone(), error };

    // A name that cannot be a key's is said before anything is dialled.
    let store = Keystore::open_default();
    if let (Some(name), Ok(store)) = (&choice.key, &store) {
        store.show(name)?;
    }
    let answered = async {
        client.connect().await?;
        first_answer(&client).await
    };
    let circle = answered.await.map_err(fail)?;
    let key = match (&choice.key, circle.access) {
        (Some(name), _) => Some(name.clone()),
        (None, Access::Open) => None,
        (None, _) => Some(
            store
                .as_ref()
                .ok()
                .and_then(|store| store.default_key().transpose())
                .transpose()?
                .ok_or_else(|| CliError::NoKey { place: place.to_string() })?,
        ),
    };
    let is_throwaway = place.said == Said::Throwaway;
    Ok(Reached(Connected { client: client.into(), circle, place, key, is_throwaway }))
}

impl Reached {
    /// The key that is to be proved, if one is.
    pub fn key(&self) -> Option<&KeyName> {
        self.0.key.as_ref()
    }

    /// Without a proof.
    pub fn without_proof(self) -> Connected {
        Connected { key: None, ..self.0 }
    }

    /// Proves the key.
    pub async fn prove(self, keypair: Arc<KeyPair>) -> Result<Connected, CliError> {
        let connected = self.0;
        connected.client.set_keypair(keypair);
        let proved = connected.client.authenticate().await;
        proved.map_err(|error| CliError::Client { place: connected.place.clone(), error })?;
        Ok(connected)
    }
}

/// `describe` is also how what answers shows that it is a circle.
pub async fn first_answer(client: &CircleWsClient) -> Result<Description, ClientError> {
    let not_a_circle = |reason: String| ClientError::NotACircle { url: client.url().to_string(), reason };
    let description = client.describe().await.map_err(|error| match error {
        ClientError::TimedOut { .. } => not_a_circle(format!("to `describe` there is {error}")),
        ClientError::Rpc(error) => not_a_circle(format!("to `describe` it answers: {error}")),
        other => other,
    })?;
    if description.protocol != protocol::VERSION {
        let reason =
            format!("it speaks version {} of the protocol, this is {}", description.protocol, protocol::VERSION);
        return Err(not_a_circle(reason));
    }
    Ok(description)
}
