//! TLS in front of a circle, with certificates of the test's own.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener as AsyncListener, TcpStream},
    runtime::Builder,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivatePkcs8KeyDer},
};

/// A CA of a test.
pub(crate) struct TestCa {
    issuer: Issuer<'static, KeyPair>,
    directory: TempDir,
}

/// The certificate of a server, with its key.
pub(crate) struct ServerCertificate {
    certificate: Certificate,
    key: KeyPair,
}

/// The files of a certificate and its key.
pub(crate) struct TlsPaths {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl TlsPaths {
    pub(crate) fn in_directory(directory: &Path) -> Self {
        Self { cert: directory.join("cert.pem"), key: directory.join("key.pem") }
    }

    /// The options of `circles serve`.
    pub(crate) fn options(&self) -> [&str; 4] {
        let [cert, key] = [&self.cert, &self.key].map(|path| path.to_str().expect("UTF-8"));
        ["--tls-cert", cert, "--tls-key", key]
    }
}

/// The validity of a certificate.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Validity {
    Now,
    Past,
    Future,
}

impl TestCa {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signed");
        let directory = tempfile::tempdir().expect("a directory");
        let ca = Self { issuer: Issuer::new(params, key), directory };
        fs::write(ca.file(), certificate.pem()).expect("written");
        ca
    }

    /// The PEM file of the CA.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// Issues a certificate for a server.
    pub(crate) fn issue(&self, name: &str, validity: Validity) -> ServerCertificate {
        let key = KeyPair::generate().expect("a key");
        let params = server_params(name, validity);
        ServerCertificate { certificate: params.signed_by(&key, &self.issuer).expect("signed"), key }
    }
}

impl ServerCertificate {
    pub(crate) fn self_signed(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        Self { certificate: server_params(name, Validity::Now).self_signed(&key).expect("signed"), key }
    }

    /// A self-signed certificate with CA:TRUE.
    pub(crate) fn of_a_ca(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = server_params(name, Validity::Now);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { certificate: params.self_signed(&key).expect("signed"), key }
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// Writes the certificate and its key to these files.
    pub(crate) fn write(&self, TlsPaths { cert, key }: &TlsPaths) {
        fs::write(cert, self.pem()).expect("written");
        fs::write(key, self.key_pem()).expect("written");
    }
}

fn server_params(name: &str, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    match validity {
        Validity::Now => {}
        Validity::Past => {
            (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
        }
        Validity::Future => params.not_before = date_time_ymd(4000, 1, 1),
    }
    params
}

/// Serves TLS on a listener, and forwards each connection to the address `upstream`, as a proxy does.
pub(crate) fn terminate_tls(listener: TcpListener, certificate: &ServerCertificate, upstream: String) {
    let key = PrivatePkcs8KeyDer::from(certificate.key.serialize_der()).into();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.certificate.der().clone()], key)
        .expect("a certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    listener.set_nonblocking(true).expect("a listener");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    // Ends with the test program.
    thread::spawn(move || {
        runtime.block_on(async {
            let listener = AsyncListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, upstream) = (acceptor.clone(), upstream.clone());
                tokio::spawn(async move {
                    // Clients of many tests refuse the certificate.
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut circle = TcpStream::connect(upstream).await.expect("the circle is up");
                    // Ends with either side.
                    let _ended = copy_bidirectional(&mut stream, &mut circle).await;
                });
            }
        });
    });
}
