//! The certificate of a circle that serves TLS itself.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use keys::Authority;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    },
};
use webpki::{EndEntityCert, KeyUsage};

/// The maximum size of a PEM file in bytes.
const MAX_PEM_FILE: u64 = 1 << 20;

/// A certificate chain with its private key, for [`CircleBuilder::tls`](crate::CircleBuilder::tls).
///
/// # Examples
///
/// ```no_run
/// use server_ws::{Circle, TlsCertificate};
///
/// let certificate = TlsCertificate::from_files("fullchain.pem", "privkey.pem")?;
/// let circle = Circle::builder("team").tls(certificate);
/// # Ok::<(), server_ws::TlsCertificateError>(())
/// ```
#[derive(Clone)]
pub struct TlsCertificate {
    config: Arc<ServerConfig>,
    /// The certificate of the server itself, then those of the CAs.
    chain: Vec<CertificateDer<'static>>,
}

/// Certificates with the same chain are equal: they have the same public key, and so the same private key.
impl PartialEq for TlsCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.chain == other.chain
    }
}

impl Eq for TlsCertificate {}

/// Shows nothing of the key.
impl std::fmt::Debug for TlsCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsCertificate").finish_non_exhaustive()
    }
}

/// The error of [`TlsCertificate::from_files`] and [`TlsCertificate::from_pem`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsCertificateError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The certificate file is not PEM, or has no certificate.
    #[error("the certificate file has no certificate: expected PEM (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// The key file is not PEM, or has no private key.
    #[error("the key file has no private key: expected PEM (-----BEGIN PRIVATE KEY-----)")]
    NoKey,
    /// The private key is encrypted with a passphrase.
    #[error("the private key is encrypted: decrypt it with `openssl pkey -in KEY -out NEW`, and protect the file")]
    EncryptedKey,
    /// The private key belongs to another certificate.
    #[error("the private key does not belong to the certificate, which has to be the first one in its file")]
    KeyMismatch,
    /// The certificate has expired.
    #[error("the certificate has expired: renew it")]
    Expired,
    /// The certificate is not valid yet.
    #[error("the certificate is not valid yet: check the clock of this machine")]
    NotYetValid,
    /// The certificate or the key is unusable for another reason.
    #[error("the certificate or its key is unusable: {reason}")]
    Invalid {
        /// The reason.
        reason: String,
    },
}

impl TlsCertificateError {
    /// Whether the cause is the key, not the certificate.
    pub fn is_about_key(&self) -> bool {
        matches!(self, Self::NoKey | Self::EncryptedKey | Self::KeyMismatch)
    }
}

impl TlsCertificate {
    /// Reads a certificate chain and its private key from PEM files. The certificate of the server comes first, then
    /// those of the intermediate CAs. Blocks.
    ///
    /// # Errors
    ///
    /// See [`TlsCertificateError`]. A certificate that is expired, or not valid yet, is an error.
    pub fn from_files(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsCertificateError> {
        let read = |path: &Path| {
            read_bounded(path).map_err(|source| TlsCertificateError::Read { path: path.to_owned(), source })
        };
        Self::from_pem(&read(certificate.as_ref())?, &read(key.as_ref())?)
    }

    /// Like [`from_files`](Self::from_files), for the content of the files.
    ///
    /// # Errors
    ///
    /// See [`from_files`](Self::from_files).
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, TlsCertificateError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<_, _>>()
            .map_err(|_| TlsCertificateError::NoCertificate)?;
        let leaf = chain.first().ok_or(TlsCertificateError::NoCertificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
            let is_encrypted = [&b"ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"]
                .iter()
                .any(|mark| key.windows(mark.len()).any(|window| window == *mark));
            if is_encrypted { TlsCertificateError::EncryptedKey } else { TlsCertificateError::NoKey }
        })?;
        check_validity(leaf, now())?;
        let invalid = |error: rustls::Error| match error {
            rustls::Error::InconsistentKeys(_) => TlsCertificateError::KeyMismatch,
            other => TlsCertificateError::Invalid { reason: other.to_string() },
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(invalid)?
            .with_no_client_auth()
            .with_single_cert(chain.clone(), key)
            .map_err(invalid)?;
        // A WebSocket needs HTTP/1.1; a browser would prefer another version.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), chain })
    }

    /// Whether the certificate is for the host of this authority.
    pub fn covers(&self, authority: &Authority) -> bool {
        let text = authority.as_str();
        let host = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
            Some((address, _port)) => address,
            None => text.split(':').next().unwrap_or_default(),
        };
        let Ok(name) = ServerName::try_from(host) else { return false };
        EndEntityCert::try_from(self.leaf())
            .is_ok_and(|certificate| certificate.verify_is_valid_for_subject_name(&name).is_ok())
    }

    /// Whether the certificate expires within this time from now.
    pub fn expires_within(&self, time: Duration) -> bool {
        matches!(check_validity(self.leaf(), now().saturating_add(time)), Err(TlsCertificateError::Expired))
    }

    /// Whether the certificate is that of a CA (`CA:TRUE`), as `openssl req -x509` makes one. Clients that use rustls refuse
    /// it as the certificate of a server, those of this project among them.
    pub fn is_of_a_ca(&self) -> bool {
        matches!(verify(self.leaf(), now()), Some(webpki::Error::CaUsedAsEndEntity))
    }

    fn leaf(&self) -> &CertificateDer<'static> {
        &self.chain[0]
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.clone())
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    // Not opened unless it is a file: opening a pipe would block.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_PEM_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_PEM_FILE {
        return Err(io::Error::other(format!("larger than {} MiB", MAX_PEM_FILE >> 20)));
    }
    Ok(bytes)
}

/// The time since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Checks that a certificate is valid at a time since 1970.
fn check_validity(leaf: &CertificateDer<'_>, time: Duration) -> Result<(), TlsCertificateError> {
    EndEntityCert::try_from(leaf).map_err(|error| TlsCertificateError::Invalid { reason: error.to_string() })?;
    match verify(leaf, time) {
        Some(webpki::Error::CertExpired { .. }) => Err(TlsCertificateError::Expired),
        Some(webpki::Error::CertNotValidYet { .. }) => Err(TlsCertificateError::NotYetValid),
        _ => Ok(()),
    }
}

/// Verifies a certificate at a time since 1970, without its issuer, which a server does not know; so there always is an
/// error. webpki checks the validity of a certificate first, then its use, then looks for the issuer.
fn verify(leaf: &CertificateDer<'_>, time: Duration) -> Option<webpki::Error> {
    let certificate = EndEntityCert::try_from(leaf).ok()?;
    let time = UnixTime::since_unix_epoch(time);
    certificate.verify_for_usage(&[], &[], &[], time, KeyUsage::server_auth(), None, None).err()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    /// Returns a certificate for `localhost` and its key, valid in these years.
    fn certificate(from: i32, to: i32) -> (String, String) {
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        let key = KeyPair::generate().expect("a key");
        (params.self_signed(&key).expect("signed").pem(), key.serialize_pem())
    }

    fn load((certificate, key): (&str, &str)) -> Result<TlsCertificate, TlsCertificateError> {
        TlsCertificate::from_pem(certificate.as_bytes(), key.as_bytes())
    }

    #[test]
    fn unusable_certificate_is_rejected_with_its_fault() {
        let (certificate_pem, key) = certificate(2020, 2100);
        assert!(load((&certificate_pem, &key)).is_ok());
        let other_key = certificate(2020, 2100).1;
        let fault = |pem: &str, key: &str| load((pem, key)).expect_err("a fault").to_string();
        assert!(fault(&certificate_pem, &other_key).contains("does not belong"));
        assert!(fault(&key, &key).contains("has no certificate"));
        assert!(fault("", &key).contains("no certificate"));
        assert!(fault("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &key).contains("unusable"));
        assert!(fault("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", &key).contains("no certificate"));
        assert!(fault(&certificate_pem, &certificate_pem).contains("no private key"));
        let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        assert!(fault(&certificate_pem, &encrypted).contains("openssl pkey"));
        for (years, expected) in [((2020, 2021), "has expired"), ((2090, 2100), "not valid yet")] {
            let (pem, key) = certificate(years.0, years.1);
            assert!(fault(&pem, &key).contains(expected), "{expected}");
        }
    }

    #[test]
    fn unreadable_file_is_named() {
        for (path, why) in [("/nonexistent/a.pem", "No such file"), ("/dev/zero", "not a regular file")] {
            let error = TlsCertificate::from_files(path, path).expect_err("a fault").to_string();
            assert!(error.contains(path) && error.contains(why), "{error}");
        }
        let large = tempfile::NamedTempFile::new().expect("a file");
        large.as_file().set_len(MAX_PEM_FILE + 1).expect("longer");
        let error = TlsCertificate::from_files(large.path(), large.path()).expect_err("too large");
        assert!(error.to_string().contains("larger than 1 MiB"), "{error}");
    }

    #[test]
    fn certificate_of_a_ca_is_known() {
        let (pem, key) = certificate(2020, 2100);
        assert!(!load((&pem, &key)).expect("valid").is_of_a_ca());
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("signed").pem();
        assert!(load((&pem, &key.serialize_pem())).expect("valid").is_of_a_ca());
    }

    #[test]
    fn certificate_knows_its_names_and_its_end() {
        let (pem, key) = certificate(2020, 2100);
        let certificate = load((&pem, &key)).expect("valid");
        let covers = |authority: &str| certificate.covers(&authority.parse().expect("an authority"));
        assert!(covers("localhost") && covers("LOCALHOST:9001"));
        for other in ["example.org", "127.0.0.1:9001", "[::1]:9001"] {
            assert!(!covers(other), "{other}");
        }
        let years = |count: u64| Duration::from_hours(24 * 366 * count);
        assert!(!certificate.expires_within(years(1)) && certificate.expires_within(years(200)));
        assert!(certificate.expires_within(Duration::MAX));
    }
}
