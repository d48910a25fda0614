//! The settings of a connection to NATS, and their validation before any connection.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use async_nats::ServerAddr;
use keys::private_files::PrivateFileError;

mod files;
mod new_nkey;
mod servers;
#[cfg(test)]
mod tests;

pub(crate) use files::Secret;
pub use new_nkey::create_nkey;

/// The settings as an operator writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct NatsSettings {
    /// The NATS servers of one cluster: `nats://HOST:PORT` or `tls://HOST:PORT`, separated by commas. The port is 4222
    /// by default. All of them have the same scheme.
    pub servers: String,
    /// A credentials file with a JWT and the seed of a user's nkey.
    pub credentials: Option<PathBuf>,
    /// A file with the seed of a user's nkey (`SU…`).
    pub nkey: Option<PathBuf>,
    /// The name of a user with a password.
    pub user: Option<String>,
    /// A file with the password of [`user`](Self::user).
    pub password_file: Option<PathBuf>,
    /// A PEM file with the CAs that are trusted, in place of those of the system.
    pub ca: Option<PathBuf>,
    /// A PEM file with the client certificate, for NATS servers that verify clients.
    pub cert: Option<PathBuf>,
    /// A PEM file with the key of [`cert`](Self::cert).
    pub key: Option<PathBuf>,
}

/// The reason why settings are not valid. Its text says what to do; no text contains a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NatsConfigError {
    /// There is no server.
    #[error("no NATS server is set: write nats://HOST:PORT or tls://HOST:PORT")]
    NoServer,
    /// There are more servers than a list should have.
    #[error("{0} NATS servers are set: name at most {max}", max = servers::MAX_SERVERS)]
    TooManyServers(usize),
    /// The URL of a server is not valid.
    #[error("'{server}' is not a NATS server: {reason}; write nats://HOST:PORT or tls://HOST:PORT")]
    BadServer {
        /// The URL without user and password.
        server: String,
        /// What is not valid.
        reason: String,
    },
    /// A URL has a user or a password, which other users of the machine can see and the NATS client ignores.
    #[error(
        "the URL of the NATS server {server} has a user or a password: remove them, and set credentials, nkey, or user \
         and password_file"
    )]
    PasswordInUrl {
        /// The URL without user and password.
        server: String,
    },
    /// Several ways to authenticate are set.
    #[error("{first} and {second} are both set for NATS: keep one of credentials, nkey, or user and password_file")]
    SeveralSecrets {
        /// A setting.
        first: &'static str,
        /// Another one.
        second: &'static str,
    },
    /// Some servers require TLS, and others do not. The client would send a secret without TLS if it cannot reach the
    /// first ones.
    #[error(
        "some NATS servers have tls:// and others nats://, as {without_tls}: write tls:// for all of them, or nats:// if \
         none has TLS"
    )]
    MixedSchemes {
        /// The URL of a server without TLS.
        without_tls: String,
    },
    /// A setting needs another one.
    #[error("{setting} is set for NATS without {missing}: set both or neither")]
    Incomplete {
        /// The setting.
        setting: &'static str,
        /// The other one.
        missing: &'static str,
    },
    /// A file is missing, or has another content.
    #[error("the NATS {kind} {} {reason}; {fix}", path.display())]
    BadFile {
        /// What the file should be.
        kind: FileKind,
        /// The file.
        path: PathBuf,
        /// What is wrong, as a phrase that follows the path.
        reason: String,
        /// What to do.
        fix: String,
    },
    /// A file cannot be read.
    #[error("could not {action} the NATS {kind} {}: {reason}; check the path and its permissions", path.display())]
    Unreadable {
        /// What the file should be.
        kind: FileKind,
        /// The file.
        path: PathBuf,
        /// The failed action, as a verb.
        action: &'static str,
        /// The error of the operating system.
        reason: String,
    },
}

/// A kind of file of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// [`NatsSettings::credentials`].
    Credentials,
    /// [`NatsSettings::nkey`].
    Nkey,
    /// [`NatsSettings::password_file`].
    Password,
    /// [`NatsSettings::ca`].
    Ca,
    /// [`NatsSettings::cert`].
    Certificate,
    /// [`NatsSettings::key`].
    Key,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Credentials => "credentials file",
            Self::Nkey => "nkey file",
            Self::Password => "password file",
            Self::Ca => "CA file",
            Self::Certificate => "client certificate",
            Self::Key => "key file",
        })
    }
}

/// A way to authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Authentication {
    None,
    Credentials(PathBuf),
    Nkey(PathBuf),
    Password { user: String, file: PathBuf },
}

/// Valid settings. The client reads the files at each attempt to connect, also to reconnect, so new ones can replace them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsConfig {
    servers: Vec<ServerAddr>,
    authentication: Authentication,
    ca: Option<PathBuf>,
    client_certificate: Option<(PathBuf, PathBuf)>,
}

impl NatsConfig {
    /// Validates settings, without their files.
    ///
    /// # Errors
    ///
    /// Returns a [`NatsConfigError`] for the first setting that is not valid.
    pub fn new(settings: &NatsSettings) -> Result<Self, NatsConfigError> {
        let NatsSettings { servers, credentials, nkey, user, password_file, ca, cert, key } = settings;
        Ok(Self {
            servers: servers::parse(servers)?,
            authentication: authentication(
                credentials.as_deref(),
                nkey.as_deref(),
                user.as_deref(),
                password_file.as_deref(),
            )?,
            ca: ca.clone(),
            client_certificate: match (cert, key) {
                (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
                (None, None) => None,
                (Some(_), None) => return Err(NatsConfigError::Incomplete { setting: "cert", missing: "key" }),
                (None, Some(_)) => return Err(NatsConfigError::Incomplete { setting: "key", missing: "cert" }),
            },
        })
    }

    /// The servers as URLs, separated by commas.
    pub fn servers(&self) -> String {
        self.servers.iter().map(ServerAddr::as_url_str).collect::<Vec<_>>().join(",")
    }

    /// Whether the client refuses connections without TLS: the servers have `tls://`, or `ca`, or `cert` and `key`, are set.
    pub(crate) fn requires_tls(&self) -> bool {
        self.ca.is_some() || self.client_certificate.is_some() || self.servers.iter().any(ServerAddr::tls_required)
    }

    /// The servers on other machines to which the client connects without TLS if the server, or a machine on the way, says
    /// so: the URLs with `nats://`, unless `ca`, or `cert` and `key`, require TLS.
    pub fn servers_without_tls(&self) -> impl Iterator<Item = &str> {
        let requires_tls = self.requires_tls();
        self.servers.iter().filter(move |server| !requires_tls && !is_loopback(server)).map(ServerAddr::as_url_str)
    }

    /// Reads and validates the files, without a connection.
    ///
    /// # Errors
    ///
    /// Returns a [`NatsConfigError`] if a file cannot be read, has another content, or if others can access one with a
    /// secret.
    pub fn check_files(&self) -> Result<(), NatsConfigError> {
        self.read_files().map(drop)
    }

    /// Reads the secret, and validates the other files, which the NATS client reads by their paths.
    pub(crate) fn read_files(&self) -> Result<Secret, NatsConfigError> {
        if let Some(ca) = &self.ca {
            files::check_pem(FileKind::Ca, ca)?;
        }
        if let Some((cert, key)) = &self.client_certificate {
            files::check_pem(FileKind::Certificate, cert)?;
            files::check_pem(FileKind::Key, key)?;
        }
        self.read_secret()
    }

    /// Reads the secret.
    pub(crate) fn read_secret(&self) -> Result<Secret, NatsConfigError> {
        match &self.authentication {
            Authentication::None => Ok(Secret::None),
            Authentication::Credentials(path) => files::read_credentials(path),
            Authentication::Nkey(path) => files::read_nkey(path),
            Authentication::Password { user, file } => files::read_password(user, file),
        }
    }

    pub(crate) fn server_addresses(&self) -> &[ServerAddr] {
        &self.servers
    }

    pub(crate) fn ca(&self) -> Option<&Path> {
        self.ca.as_deref()
    }

    pub(crate) fn client_certificate(&self) -> Option<(&Path, &Path)> {
        self.client_certificate.as_ref().map(|(cert, key)| (cert.as_path(), key.as_path()))
    }
}

/// Whether the host of a server is this machine.
fn is_loopback(server: &ServerAddr) -> bool {
    let host = server.host();
    let address = host.parse::<std::net::IpAddr>();
    address.map_or(host == "localhost", |address| address.to_canonical().is_loopback())
}

fn authentication(
    credentials: Option<&Path>,
    nkey: Option<&Path>,
    user: Option<&str>,
    password_file: Option<&Path>,
) -> Result<Authentication, NatsConfigError> {
    let settings = [
        ("credentials", credentials.is_some()),
        ("nkey", nkey.is_some()),
        ("user", user.is_some() || password_file.is_some()),
    ];
    let mut set = settings.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| *name);
    if let (Some(first), Some(second)) = (set.next(), set.next()) {
        return Err(NatsConfigError::SeveralSecrets { first, second });
    }
    match (credentials, nkey, user, password_file) {
        (Some(path), ..) => Ok(Authentication::Credentials(path.to_owned())),
        (_, Some(path), ..) => Ok(Authentication::Nkey(path.to_owned())),
        (_, _, Some(user), Some(file)) => Ok(Authentication::Password { user: user.to_owned(), file: file.to_owned() }),
        (_, _, Some(_), None) => Err(NatsConfigError::Incomplete { setting: "user", missing: "password_file" }),
        (_, _, None, Some(_)) => Err(NatsConfigError::Incomplete { setting: "password_file", missing: "user" }),
        (None, None, None, None) => Ok(Authentication::None),
    }
}

impl FileKind {
    /// The field of [`NatsSettings`] that names the file.
    fn field(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Nkey => "nkey",
            Self::Password => "password_file",
            Self::Ca => "ca",
            Self::Certificate => "cert",
            Self::Key => "key",
        }
    }
}

impl NatsConfigError {
    /// The field that is not valid, as operators write it: `nats` for the servers, otherwise that of [`NatsSettings`].
    pub fn field(&self) -> &'static str {
        match self {
            Self::NoServer
            | Self::TooManyServers(_)
            | Self::BadServer { .. }
            | Self::PasswordInUrl { .. }
            | Self::MixedSchemes { .. } => "nats",
            Self::SeveralSecrets { second, .. } => second,
            Self::Incomplete { setting, .. } => setting,
            Self::BadFile { kind, .. } | Self::Unreadable { kind, .. } => kind.field(),
        }
    }

    /// Makes an error of the reader of files.
    fn file(kind: FileKind, path: &Path, error: &PrivateFileError) -> Self {
        let path = path.to_owned();
        match error {
            PrivateFileError::LoosePermissions { mode, .. } => Self::BadFile {
                kind,
                reason: format!("is open to others (mode {mode:04o})"),
                fix: format!("run: chmod 600 {}", path.display()),
                path,
            },
            PrivateFileError::NotText { reason, .. } => {
                Self::BadFile { kind, path, reason: reason.clone(), fix: "check the path".into() }
            }
            PrivateFileError::Io { action, source, .. } => {
                Self::Unreadable { kind, path, action, reason: source.to_string() }
            }
            // The others are about directories.
            other => Self::Unreadable { kind, path, action: "read", reason: other.to_string() },
        }
    }
}
