//! From what the user said to a connected client: the circle, the key, the proof.

mod several;

use std::{collections::BTreeMap, sync::Arc};

use client_ws::{CircleWsClient, ClientError, Description};
use keys::{
    Authority, KeyPair,
    keystore::{KeyName, Keystore},
};
use server_ws::{Access, Workers};
use tokio::runtime::{Handle, Runtime};

use crate::{
    cli::{ConnectArgs, PassphraseArgs},
    error::{CliError, os_text},
    passphrase,
    place::{self, Destination, Said},
    terminal, throwaway, waiting,
};

pub(crate) use several::{Attempt, several};

/// A client that is connected, and where and as whom.
pub(crate) struct Connected {
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
pub(crate) struct Choice {
    /// The key to be; without one the default key, on a circle that asks for one.
    pub key: Option<KeyName>,
    /// How the circle knows itself, when it is dialled through a tunnel.
    pub authority: Option<Authority>,
}

impl Choice {
    pub(crate) fn of(args: &ConnectArgs) -> Self {
        Self { key: args.key.clone(), authority: args.authority.clone() }
    }
}

/// Keys that were unlocked, so that nobody is asked for a passphrase twice.
#[derive(Default)]
pub(crate) struct Keyring {
    unlocked: BTreeMap<KeyName, Arc<KeyPair>>,
}

impl Keyring {
    pub(crate) fn get(&self, name: &KeyName) -> Option<Arc<KeyPair>> {
        self.unlocked.get(name).cloned()
    }

    pub(crate) fn insert(&mut self, name: KeyName, keypair: Arc<KeyPair>) {
        self.unlocked.insert(name, keypair);
    }

    /// The key, with its passphrase from where the arguments say or the terminal, unless it was unlocked before. Blocks for
    /// as long as that takes, and a second or so more.
    pub(crate) fn unlock(&mut self, name: &KeyName, args: &PassphraseArgs) -> Result<Arc<KeyPair>, CliError> {
        if let Some(keypair) = self.get(name) {
            return Ok(keypair);
        }
        let store = Keystore::open_default()?;
        // That there is no such key is said before a passphrase is asked for.
        store.show(name)?;
        let keypair = Arc::new(passphrase::unlock(&store, name, args)?);
        self.insert(name.clone(), keypair.clone());
        Ok(keypair)
    }
}

/// The runtime of a command that deals with a terminal.
pub(crate) fn client_runtime() -> Result<Runtime, CliError> {
    let runtime = runtime()?;
    terminal::restore_on_signals(&runtime)?;
    Ok(runtime)
}

/// The runtime of a command.
pub(crate) fn runtime() -> Result<Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| CliError::usage("cannot start", os_text(&error), "are there too many processes?"))
}

/// Connects to the circle that was asked for, or to a throw-away one, and authenticates where the circle asks for it or the
/// user does. A passphrase that is needed is asked for on this thread, and the key that it unlocks is kept.
pub(crate) fn connect(
    runtime: &Runtime,
    asked: Option<&str>,
    args: &ConnectArgs,
    keyring: &mut Keyring,
) -> Result<Connected, CliError> {
    let choice = Choice::of(args);
    runtime.block_on(async {
        let Some(said) = place::asked(asked) else {
            is_for_throwaway(&choice)?;
            return to_throwaway().await;
        };
        let destination = place::find(&said, &args.config).await?;
        to(destination, &choice, async |name| keyring.unlock(name, &args.passphrase)).await
    })
}

/// Connects to a circle, and authenticates as [`connect`] does; a key that is needed comes from `unlock`.
pub(crate) async fn to(
    destination: Destination,
    choice: &Choice,
    unlock: impl AsyncFnOnce(&KeyName) -> Result<Arc<KeyPair>, CliError>,
) -> Result<Connected, CliError> {
    let what = format!("connecting to {destination}");
    let reached = waiting::shown(&what, reach(destination, choice)).await?;
    let Some(name) = reached.key() else { return Ok(reached.without_proof()) };
    let keypair = unlock(name).await?;
    waiting::shown("proving the key", reached.prove(keypair)).await
}

/// Whether a throw-away circle will do: its key is its own.
pub(crate) fn is_for_throwaway(choice: &Choice) -> Result<(), CliError> {
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
pub(crate) async fn to_throwaway() -> Result<Connected, CliError> {
    let (url, keypair) = throwaway::start(&Handle::current(), Workers::SameExecutable)?;
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
pub(crate) struct Reached(Connected);

/// Connects, and finds out which key is to be proved. Nothing is asked of the user for it.
pub(crate) async fn reach(place: Destination, choice: &Choice) -> Result<Reached, CliError> {
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
    pub(crate) fn key(&self) -> Option<&KeyName> {
        self.0.key.as_ref()
    }

    /// Without a proof.
    pub(crate) fn without_proof(self) -> Connected {
        Connected { key: None, ..self.0 }
    }

    /// Proves the key.
    pub(crate) async fn prove(self, keypair: Arc<KeyPair>) -> Result<Connected, CliError> {
        let connected = self.0;
        connected.client.set_keypair(keypair);
        let proved = connected.client.authenticate().await;
        proved.map_err(|error| CliError::Client { place: connected.place.clone(), error })?;
        Ok(connected)
    }
}

/// `describe` is also how what answers shows that it is a circle.
pub(crate) async fn first_answer(client: &CircleWsClient) -> Result<Description, ClientError> {
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
