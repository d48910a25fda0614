//! From what the user said to a connected client: the circle, the key, the proof.

use std::sync::Arc;

use client_ws::{CircleWsClient, ClientError, Description};
use keys::{
    KeyPair,
    keystore::{KeyName, Keystore},
};
use server_ws::{Access, Workers};
use tokio::runtime::Runtime;

use crate::{
    cli::ConnectArgs,
    error::{CliError, os_text},
    passphrase, place, terminal, throwaway,
};

/// A client that is connected, and where and as whom.
pub(crate) struct Connected {
    pub client: Arc<CircleWsClient>,
    pub circle: Description,
    /// The circle as the user knows it.
    pub place: String,
    /// The name of the key that was proved; `None` if none was, or one made for a throw-away circle.
    pub key: Option<KeyName>,
    pub is_throwaway: bool,
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

/// Connects, and authenticates where the circle asks for it or the user does.
pub(crate) fn connect(runtime: &Runtime, asked: Option<&str>, args: &ConnectArgs) -> Result<Connected, CliError> {
    match place::url(asked, &args.config)? {
        Some(url) => connect_to(runtime, url, args),
        None if args.key.is_some() => Err(CliError::usage(
            "--key says who to be on a circle",
            "there is none named, and a throw-away one has a key of its own",
            "name one: --circle WHERE",
        )),
        None => connect_to_throwaway(runtime),
    }
}

fn connect_to_throwaway(runtime: &Runtime) -> Result<Connected, CliError> {
    let (url, keypair) = throwaway::start(runtime.handle(), Workers::SameExecutable)?;
    let place = "the throw-away circle".to_owned();
    let fail = |error| CliError::Client { place: place.clone(), error };
    let client = CircleWsClient::builder(url).keypair(keypair).build().map_err(fail)?;
    let circle = runtime
        .block_on(async {
            client.connect().await?;
            client.authenticate().await?;
            client.describe().await
        })
        .map_err(fail)?;
    Ok(Connected { client: client.into(), circle, place, key: None, is_throwaway: true })
}

fn connect_to(runtime: &Runtime, url: String, args: &ConnectArgs) -> Result<Connected, CliError> {
    let asked = url.clone();
    let mut builder = CircleWsClient::builder(url);
    if let Some(authority) = &args.authority {
        builder = builder.authority(authority.clone());
    }
    let client = builder.build().map_err(|error| CliError::Client { place: asked, error })?;
    let place = format!("the circle at {}", client.url());
    let fail = |error| CliError::Client { place: client_place(&error, &place), error };

    // A name that cannot be a key's is said before anything is dialled.
    let store = Keystore::open_default();
    if let (Some(name), Ok(store)) = (&args.key, &store) {
        store.show(name)?;
    }
    let circle = runtime
        .block_on(async {
            client.connect().await?;
            first_answer(&client).await
        })
        .map_err(fail)?;
    let key = match (&args.key, circle.access) {
        (Some(name), _) => Some(name.clone()),
        (None, Access::Open) => None,
        (None, _) => Some(
            store
                .as_ref()
                .ok()
                .and_then(|store| store.default_key().transpose())
                .transpose()?
                .ok_or_else(|| CliError::NoKey { place: place.clone() })?,
        ),
    };
    if let Some(name) = &key {
        client.set_keypair(unlock(&store?, name, args)?);
        runtime.block_on(client.authenticate()).map_err(fail)?;
    }
    Ok(Connected { client: client.into(), circle, place, key, is_throwaway: false })
}

/// Where the error names the place itself, the place is only the URL.
fn client_place(error: &ClientError, place: &str) -> String {
    match error {
        ClientError::NotACircle { .. } => place.trim_start_matches("the circle at ").to_owned(),
        _ => place.to_owned(),
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

fn unlock(store: &Keystore, name: &KeyName, args: &ConnectArgs) -> Result<KeyPair, CliError> {
    // That there is no such key is said before a passphrase is asked for.
    store.show(name)?;
    let passphrase = passphrase::ask(&args.passphrase, &format!("Passphrase of {name}: "))?;
    Ok(store.unlock(name, &passphrase)?)
}
