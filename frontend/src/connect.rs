//! What a user chooses for connections: the key, the authority, the configuration; and how a circle shows that it is one.

use std::path::PathBuf;

use client_ws::{CircleWsClient, ClientError, Description};
use keys::{Authority, keystore::KeyName};

use crate::error::CliError;

/// As whom, and by which name of the circle's own.
#[derive(Debug, Clone, Default)]
pub struct ConnectOptions {
    /// The key to be; without one the default key, on a circle that asks for one.
    pub key: Option<KeyName>,
    /// How the circle knows itself, when it is dialled through a tunnel.
    pub authority: Option<Authority>,
    /// Whether a circle off loopback may have an identity that ends with its process.
    pub accepts_ephemeral: bool,
}

/// How circles are reached, and as whom, by a whole program.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The key, and the circle's own name.
    pub connect: ConnectOptions,
    /// The circles.json that was named, instead of the default ones.
    pub config: Option<PathBuf>,
    /// The file descriptor from which a passphrase is read, instead of the environment and the terminal.
    pub passphrase_fd: Option<u32>,
}

/// Whether a throw-away circle will do: its key is its own.
pub fn check_scratch_options(choice: &ConnectOptions) -> Result<(), CliError> {
    if choice.key.is_none() {
        return Ok(());
    }
    Err(CliError::usage(
        "--key says who to be on a circle",
        "there is none named, and a throw-away one has a key of its own",
        "name one: --circle WHERE",
    ))
}

/// How the circle describes itself, once it has shown its identity.
pub async fn fetch_description(client: &CircleWsClient) -> Result<Description, ClientError> {
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
