//! Connection options (the key, the authority, the configuration), and the first request to a circle.

use std::path::PathBuf;

use client_ws::{CircleUrl, CircleWsClient, CircleWsClientBuilder, ClientError, Description};
use keys::{Authority, keystore::KeyName};

use crate::{error::CliError, known_circles::check::IdentityCheck};

/// The user's choices for connecting to a circle.
#[derive(Debug, Clone, Default)]
pub struct ConnectOptions {
    /// The key to use; `None` for the default key, on circles that need a key.
    pub key: Option<KeyName>,
    /// The circle's own authority, for a connection through a tunnel.
    pub authority: Option<Authority>,
    /// Whether to accept ephemeral identities of circles on other machines.
    pub accepts_ephemeral: bool,
    /// The protection of the connection.
    pub encryption: EncryptionOptions,
}

/// The user's choices for the protection of a connection.
#[derive(Debug, Clone, Default)]
pub struct EncryptionOptions {
    /// The file with the only CAs to trust for `wss://`; `None` for those of the system.
    pub ca_file: Option<PathBuf>,
    /// Whether to authenticate over `ws://` to other machines.
    pub is_insecure: bool,
}

impl ConnectOptions {
    /// Returns the builder of a client that connects with these options and makes the identity check. The notes of the
    /// check also warn of a connection that is not encrypted.
    pub fn client_builder(&self, url: &str, check: IdentityCheck) -> CircleWsClientBuilder {
        let EncryptionOptions { ca_file, is_insecure } = &self.encryption;
        if !is_insecure && CircleUrl::parse(url).is_ok_and(|url| !url.is_private()) {
            check.warn_of_plain_connection(url);
        }
        let mut builder = check.attach(CircleWsClient::builder(url));
        if let Some(authority) = &self.authority {
            builder = builder.authority(authority.clone());
        }
        if let Some(ca_file) = ca_file {
            builder = builder.ca_file(ca_file);
        }
        if *is_insecure { builder.insecure() } else { builder }
    }
}

/// The connection options of a whole program.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The choices for each connection.
    pub connect: ConnectOptions,
    /// The circles.json that `--config` names; `None` for the default files.
    pub config: Option<PathBuf>,
    /// The file descriptor to read a passphrase from, instead of the environment and the terminal.
    pub passphrase_fd: Option<u32>,
}

/// Checks that the options fit a scratch circle, which has its own key.
pub fn check_scratch_options(choice: &ConnectOptions) -> Result<(), CliError> {
    if choice.key.is_none() {
        return Ok(());
    }
    Err(CliError::usage(
        "--key needs a circle",
        "you named none, and a scratch circle has its own key",
        "name a circle: --circle WHERE",
    ))
}

/// Asks a circle for its description, and checks that it speaks this version of the protocol.
pub async fn fetch_description(client: &CircleWsClient) -> Result<Description, ClientError> {
    let not_a_circle = |reason: String| ClientError::NotACircle { url: client.url().to_string(), reason };
    let description = client.describe().await.map_err(|error| match error {
        ClientError::TimedOut { .. } => not_a_circle(format!("`describe` got {error}")),
        ClientError::Rpc(error) => not_a_circle(format!("it answers `describe` with: {error}")),
        other => other,
    })?;
    if description.protocol != protocol::VERSION {
        let reason = format!(
            "it speaks protocol version {}, and this client speaks version {}",
            description.protocol,
            protocol::VERSION
        );
        return Err(not_a_circle(reason));
    }
    Ok(description)
}
