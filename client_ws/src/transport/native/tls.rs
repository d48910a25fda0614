//! TLS by rustls: the CAs that the client trusts, the handshake and its errors.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        CertificateError, ClientConfig, Error, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

use super::TransportOptions;
use crate::{CircleUrl, ClientError, TlsFault};

/// Maximum size of a CA file, in bytes. That of Debian's CAs has 220 KiB.
const MAX_CA_FILE: u64 = 4 << 20;

/// Maximum number of names of a certificate in an error.
const MAX_NAMES: usize = 3;

/// An encrypted connection.
pub(super) type EncryptedStream = TlsStream<TcpStream>;

/// The TLS settings of a client.
#[derive(Debug, Clone)]
pub(super) struct TlsClient {
    config: Arc<ClientConfig>,
    /// The only CAs that the client trusts; `None` for those of the system.
    ca_file: Option<PathBuf>,
}

impl TlsClient {
    /// Loads the CAs.
    pub(super) fn new(_: &CircleUrl, options: &TransportOptions) -> Result<Self, ClientError> {
        let ca_file = options.ca_file.clone();
        let roots = match &ca_file {
            Some(path) => read_ca_file(path)
                .map(Arc::new)
                .map_err(|reason| ClientError::BadCaFile { path: path.clone(), reason })?,
            None => system_roots()?,
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| ClientError::NoCaCertificates { reason: error.to_string() })?
            .with_root_certificates(roots)
            .with_no_client_auth();
        // A WebSocket needs HTTP/1.1; a proxy may prefer another version.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), ca_file })
    }

    /// Makes the TLS handshake. The certificate has to be for the host of the URL.
    pub(super) async fn connect(&self, url: &CircleUrl, stream: TcpStream) -> Result<EncryptedStream, ClientError> {
        let host = url.as_url().host_str().unwrap_or_default();
        let name = host.trim_start_matches('[').trim_end_matches([']', '.']).to_owned();
        let name = ServerName::try_from(name)
            .map_err(|error| ClientError::BadUrl { url: url.to_string(), reason: error.to_string() })?;
        TlsConnector::from(self.config.clone())
            .connect(name, stream)
            .await
            .map_err(|error| ClientError::Tls { url: url.to_string(), fault: self.fault(&error) })
    }

    fn fault(&self, error: &io::Error) -> TlsFault {
        match error.get_ref().and_then(|error| error.downcast_ref::<Error>()) {
            Some(Error::InvalidCertificate(error)) => self.certificate_fault(error),
            // The first bytes are no TLS record.
            Some(Error::InvalidMessage(_)) => TlsFault::NoTls,
            Some(error) => TlsFault::Handshake { reason: error.to_string() },
            None if error.kind() == io::ErrorKind::UnexpectedEof => {
                TlsFault::Handshake { reason: "the server ended the connection".into() }
            }
            None => TlsFault::Handshake { reason: super::error_text(error) },
        }
    }

    fn certificate_fault(&self, error: &CertificateError) -> TlsFault {
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFault::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsFault::NotYetValid,
            // The second: a CA of the same name, but with another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                TlsFault::UnknownCa { ca_file: self.ca_file.clone() }
            }
            CertificateError::NotValidForName => TlsFault::OtherName { names: Vec::new() },
            CertificateError::NotValidForNameContext { presented, .. } => TlsFault::OtherName {
                names: presented.iter().take(MAX_NAMES).map(|name| readable_name(name)).collect(),
            },
            CertificateError::Other(other) => match other.0.downcast_ref() {
                Some(webpki::Error::CaUsedAsEndEntity) => TlsFault::CaCertificate,
                Some(webpki::Error::UnsupportedCertVersion) => TlsFault::OldVersion,
                _ => TlsFault::BadCertificate { reason: other.to_string() },
            },
            other => TlsFault::BadCertificate { reason: other.to_string() },
        }
    }
}

/// The name in a text like `DnsName("a.example")`.
fn readable_name(name: &str) -> String {
    let name = name.split_once('(').and_then(|(_, name)| name.strip_suffix(')')).unwrap_or(name);
    name.trim_matches('"').chars().filter(|character| !character.is_control()).take(253).collect()
}

fn read_ca_file(path: &Path) -> Result<RootCertStore, String> {
    let mut pem = Vec::new();
    let file = File::open(path).map_err(|error| super::error_text(&error))?;
    file.take(MAX_CA_FILE + 1).read_to_end(&mut pem).map_err(|error| super::error_text(&error))?;
    if pem.len() as u64 > MAX_CA_FILE {
        return Err(format!("it is larger than {} MiB", MAX_CA_FILE >> 20));
    }
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| format!("it is not PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("a certificate in it is malformed: {error}"))?;
    }
    if roots.is_empty() {
        return Err("it contains no certificate in PEM (-----BEGIN CERTIFICATE-----)".into());
    }
    Ok(roots)
}

/// The CAs of the system, loaded once.
fn system_roots() -> Result<Arc<RootCertStore>, ClientError> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(roots.clone());
    }
    let loaded = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(loaded.certs);
    if roots.is_empty() {
        let reason = loaded.errors.first().map_or_else(|| "it has none".to_owned(), ToString::to_string);
        return Err(ClientError::NoCaCertificates { reason });
    }
    Ok(ROOTS.get_or_init(|| Arc::new(roots)).clone())
}

#[cfg(test)]
mod tests {
    use std::{io::Write, time::Duration};

    use tokio_rustls::rustls::{
        client::{WebPkiServerVerifier, danger::ServerCertVerifier},
        pki_types::UnixTime,
    };

    use super::*;

    /// A certificate for `localhost` of X.509 version 1, made with `openssl x509 -req` without extensions.
    const VERSION_1: &[u8] = b"\
-----BEGIN CERTIFICATE-----
MIIBIzCBywIUIFaSVRy1dLfClaLFs51j0VB56i8wCgYIKoZIzj0EAwIwFDESMBAG
A1UEAwwJbG9jYWxob3N0MCAXDTI2MTEzMDA1MTAxMVoYDzIxMjYxMTA2MDUxMDEx
WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AASz1SWX0PonLgVi6WwtwWR0yp7xx53MPwr/kGkWYatcKZN3UMXUO1XZsApxHdmW
VWRYVCXNMqD+eV3s0e51Bd9DMAoGCCqGSM49BAMCA0cAMEQCIA54v71lIS2D3bJZ
k43BbKjJplTxlde7B4hB1POSMGD7AiBzeWesj1TKGwD+22wtj9D8pyxtv0AlbRSs
M5Z4++hw6Q==
-----END CERTIFICATE-----
";

    /// A certificate for `localhost` with CA:TRUE, made with `openssl req -x509`.
    const CA_TRUE: &[u8] = b"\
-----BEGIN CERTIFICATE-----
MIIBlTCCATugAwIBAgIUEC3nuC00VmNYu3zdR9QKCN3WqdQwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEzMDA1MTAxMVoYDzIxMjYxMTA2
MDUxMDExWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASz1SWX0PonLgVi6WwtwWR0yp7xx53MPwr/kGkWYatcKZN3UMXUO1XZ
sApxHdmWVWRYVCXNMqD+eV3s0e51Bd9Do2kwZzAdBgNVHQ4EFgQUVP8HsfRS/9XW
WkAS6gicZR8rT68wHwYDVR0jBBgwFoAUVP8HsfRS/9XWWkAS6gicZR8rT68wDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
SAAwRQIhAO4m7xrAQS4OohmAtdyTylQT9sywSHj1kluK3B9K066vAiA7woq2A3n+
jZ3F/RTLuVbafxfuCHRu+6XsrmKgQPV91A==
-----END CERTIFICATE-----
";

    /// Returns the fault of a server's certificate, for a client that trusts the certificate of `CA_TRUE`.
    fn fault_of(pem: &[u8]) -> TlsFault {
        let certificate = |pem| CertificateDer::from_pem_slice(pem).expect("PEM");
        let mut roots = RootCertStore::empty();
        roots.add(certificate(CA_TRUE)).expect("a CA");
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider())).build();
        // In 2030, when both are valid.
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_900_000_000));
        let name = ServerName::try_from("localhost").expect("a name");
        let error = verifier
            .expect("CAs")
            .verify_server_cert(&certificate(pem), &[], &name, &[], now)
            .expect_err("an unusable certificate");
        let client = TlsClient {
            config: Arc::new(
                ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                    .with_safe_default_protocol_versions()
                    .expect("versions")
                    .with_root_certificates(RootCertStore::empty())
                    .with_no_client_auth(),
            ),
            ca_file: None,
        };
        client.fault(&io::Error::other(error))
    }

    #[test]
    fn certificate_that_no_server_may_use_is_explained() {
        assert_eq!(fault_of(CA_TRUE), TlsFault::CaCertificate);
        assert_eq!(fault_of(VERSION_1), TlsFault::OldVersion);
    }

    #[test]
    fn ca_file_without_certificates_is_rejected() {
        let cases = [
            ("", "it contains no certificate in PEM (-----BEGIN CERTIFICATE-----)"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "a certificate in it is malformed"),
            ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "it is not PEM"),
        ];
        for (text, expected) in cases {
            let mut file = tempfile::NamedTempFile::new().expect("a file");
            file.write_all(text.as_bytes()).expect("written");
            let reason = read_ca_file(file.path()).expect_err(text);
            assert!(reason.starts_with(expected), "{reason}");
        }
        assert_eq!(read_ca_file(Path::new("/nonexistent")).expect_err("missing"), "no such file or directory");
        assert_eq!(read_ca_file(Path::new("/dev/zero")).expect_err("endless"), "it is larger than 4 MiB");
    }

    #[test]
    fn certificate_names_are_readable() {
        assert_eq!(readable_name("DnsName(\"a.example\")"), "a.example");
        assert_eq!(readable_name("IpAddress(10.0.0.1)"), "10.0.0.1");
        assert_eq!(readable_name("DirectoryName"), "DirectoryName");
    }
}
