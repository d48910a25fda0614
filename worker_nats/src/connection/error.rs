//! The reasons why there is no connection to NATS.

use std::{error::Error as StdError, fmt, io, path::PathBuf};

use async_nats::{ConnectErrorKind, ServerError};
use tokio_rustls::rustls::{self, AlertDescription, CertificateError};

use super::status::printable;
use crate::{
    config::{NatsConfig, NatsConfigError, Secret},
    wire::MAX_PAYLOAD,
};

/// The reason why there is no connection to NATS. Its text says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A file of the settings is not valid.
    #[error(transparent)]
    Config(#[from] NatsConfigError),
    /// No name of a server has an address.
    #[error("could not connect to NATS at {servers}: {reason}; check the host name")]
    Dns {
        /// The servers.
        servers: String,
        /// The error of the resolver.
        reason: String,
    },
    /// No server accepts connections.
    #[error("could not connect to NATS at {servers}: {reason}; check the address, and that nats-server runs there")]
    Unreachable {
        /// The servers.
        servers: String,
        /// The error of the operating system, or what the peer sent.
        reason: String,
    },
    /// No server answered in time.
    #[error("could not connect to NATS at {servers}: no answer in time; check the address and the firewalls between")]
    TimedOut {
        /// The servers.
        servers: String,
    },
    /// The server refuses the credentials.
    #[error("NATS at {servers} refuses {identity}: {fix}")]
    Refused {
        /// The servers.
        servers: String,
        /// What the server refuses.
        identity: String,
        /// What to do.
        fix: String,
    },
    /// The TLS handshake failed, or there was none.
    #[error("could not connect to NATS at {servers} with TLS: {fault}")]
    Tls {
        /// The servers.
        servers: String,
        /// What failed.
        fault: TlsFault,
    },
    /// The server rejects the connection for another reason.
    #[error("NATS at {servers} rejects the connection: {reason}; see the log of nats-server")]
    Rejected {
        /// The servers.
        servers: String,
        /// The server's words.
        reason: String,
    },
    /// The server accepts only messages that are too small.
    #[error(
        "NATS at {servers} accepts messages of up to {max_payload} bytes, and workers need {MAX_PAYLOAD}: set \
         max_payload in the configuration of nats-server, 1MB is its default"
    )]
    SmallPayload {
        /// The servers.
        servers: String,
        /// The server's limit, in bytes.
        max_payload: usize,
    },
}

/// What failed in the TLS handshake, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsFault {
    /// No trusted CA has signed the certificate.
    UnknownCa {
        /// The file of the trusted CAs; `None` for those of the system.
        ca: Option<PathBuf>,
    },
    /// The certificate is for another name.
    OtherName,
    /// The certificate has expired or is not valid yet.
    NotValidNow,
    /// The server does not speak TLS.
    NoTls,
    /// The server requires a client certificate, or does not trust the one that it got.
    ClientCertificate {
        /// Whether it got one.
        has_one: bool,
    },
    /// Something else.
    Other {
        /// The error.
        reason: String,
    },
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownCa { ca: Some(ca) } => write!(
                f,
                "no CA in {} has signed the server's certificate; put the CA that signed it into this file",
                ca.display()
            ),
            Self::UnknownCa { ca: None } => {
                f.write_str("no CA of this system has signed the server's certificate; set ca to the file of the CA")
            }
            Self::OtherName => {
                f.write_str("the server's certificate is for another name; use a name of the certificate")
            }
            Self::NotValidNow => {
                f.write_str("the server's certificate is not valid now; renew it, or check this machine's clock")
            }
            Self::NoTls => f.write_str(
                "the server does not answer with TLS; configure tls in nats-server, or use nats:// without ca and cert",
            ),
            Self::ClientCertificate { has_one: false } => {
                f.write_str("the server requires a client certificate; set cert and key")
            }
            Self::ClientCertificate { has_one: true } => {
                f.write_str("the server does not accept the client certificate; check cert, and the CA of nats-server")
            }
            Self::Other { reason } => write!(f, "{reason}; check the tls block of nats-server, ca, cert and key"),
        }
    }
}

/// A missing permission in NATS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PermissionError {
    /// NATS denies an operation.
    #[error("NATS denies an operation ({violation}): add the subject to the permissions of this user in nats-server")]
    Denied {
        /// The words of the NATS server, with the subject.
        violation: String,
    },
    /// There was no answer.
    #[error(
        "NATS did not answer to a message on {subject}: {reason}; check the permissions of this user in nats-server"
    )]
    NoAnswer {
        /// The subject.
        subject: String,
        /// The error of the client.
        reason: String,
    },
}

impl ConnectError {
    /// Whether another attempt may succeed although nobody changes the settings.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Dns { .. } | Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Rejected { .. } => true,
            Self::Config(_) | Self::Refused { .. } | Self::Tls { .. } | Self::SmallPayload { .. } => false,
        }
    }

    pub(super) fn other(config: &NatsConfig, error: &dyn StdError) -> Self {
        Self::Unreachable { servers: config.servers(), reason: printable(&error.to_string()) }
    }

    pub(super) fn classify(config: &NatsConfig, secret: &Secret, error: &async_nats::ConnectError) -> Self {
        let servers = config.servers();
        let source = error.source();
        let reason = || printable(&source.map_or_else(|| error.to_string(), ToString::to_string));
        match error.kind() {
            ConnectErrorKind::Dns => Self::Dns { servers, reason: reason() },
            ConnectErrorKind::TimedOut => Self::TimedOut { servers },
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                let (identity, fix) = refusal(secret);
                Self::Refused { servers, identity, fix }
            }
            ConnectErrorKind::Tls => Self::Tls { servers, fault: TlsFault::Other { reason: reason() } },
            ConnectErrorKind::Io | ConnectErrorKind::ServerParse | ConnectErrorKind::MaxReconnects => {
                if let Some(source) = source
                    && let Some(fault) = tls_fault(config, source)
                {
                    return Self::Tls { servers, fault };
                }
                match source.and_then(<dyn StdError>::downcast_ref::<ServerError>) {
                    Some(ServerError::Other(text)) => Self::Rejected { servers, reason: printable(text) },
                    _ => Self::Unreachable { servers, reason: reason() },
                }
            }
        }
    }
}

/// What the server refused, and what to do.
fn refusal(secret: &Secret) -> (String, String) {
    match secret {
        Secret::None => {
            ("connections without credentials".into(), "set credentials, nkey, or user and password_file".into())
        }
        Secret::Credentials { .. } => (
            "the credentials".into(),
            "check that they have not expired, and that nats-server trusts their account".into(),
        ),
        Secret::Nkey { public_key, .. } => {
            (format!("nkey {public_key}"), "add it to authorization.users in the configuration of nats-server".into())
        }
        Secret::Password { user, .. } => {
            (format!("user {user}"), "check the name and the password in the password file".into())
        }
    }
}

/// Returns what failed, if the error is one of TLS.
fn tls_fault(config: &NatsConfig, error: &(dyn StdError + 'static)) -> Option<TlsFault> {
    let error = error.downcast_ref::<io::Error>()?;
    match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(error)) => Some(match error {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                TlsFault::UnknownCa { ca: config.ca().map(ToOwned::to_owned) }
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => TlsFault::OtherName,
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => TlsFault::NotValidNow,
            other => TlsFault::Other { reason: printable(&other.to_string()) },
        }),
        // The first bytes are no TLS record.
        Some(rustls::Error::InvalidMessage(_)) => Some(TlsFault::NoTls),
        Some(rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown,
        )) => Some(TlsFault::ClientCertificate { has_one: config.client_certificate().is_some() }),
        Some(other) => Some(TlsFault::Other { reason: printable(&other.to_string()) }),
        None => None,
    }
}
