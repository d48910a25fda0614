//! Why a TLS handshake failed.

use std::path::PathBuf;

/// The reason why a client ended a TLS handshake. A client in a browser never sees it: the browser keeps it to itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFault {
    /// The certificate has expired.
    #[error("its certificate has expired")]
    Expired,
    /// The certificate is not valid yet.
    #[error("its certificate is not valid yet")]
    NotYetValid,
    /// No CA that the client trusts has signed the certificate; it may be self-signed.
    #[error("{}", unknown_ca(ca_file.as_ref()))]
    UnknownCa {
        /// The file with the CAs that the client trusts; `None` for those of the system.
        ca_file: Option<PathBuf>,
    },
    /// The certificate is for other names than the host of the URL.
    #[error("{}", other_name(names))]
    OtherName {
        /// Some of the names.
        names: Vec<String>,
    },
    /// The certificate is that of a CA (`CA:TRUE`), as some tools make self-signed ones.
    #[error("its certificate is that of a CA (CA:TRUE), which no server may use")]
    CaCertificate,
    /// The certificate is of X.509 version 1 or 2, which have no names of hosts.
    #[error("its certificate is of an old version: expected X.509 version 3")]
    OldVersion,
    /// The certificate is invalid in another way.
    #[error("its certificate is invalid: {reason}")]
    BadCertificate {
        /// The reason.
        reason: String,
    },
    /// The server does not speak TLS.
    #[error("it does not speak TLS")]
    NoTls,
    /// Client and server did not agree, or the server ended the handshake.
    #[error("the TLS handshake failed: {reason}")]
    Handshake {
        /// The reason.
        reason: String,
    },
}

fn unknown_ca(ca_file: Option<&PathBuf>) -> String {
    match ca_file {
        Some(file) => format!("no CA in {} has signed its certificate", file.display()),
        None => "no CA that this system trusts has signed its certificate".to_owned(),
    }
}

fn other_name(names: &[String]) -> String {
    if names.is_empty() {
        return "its certificate is for another name".to_owned();
    }
    format!("its certificate is for another name: {}", names.join(", "))
}
