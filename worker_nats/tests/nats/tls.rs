//! TLS, with certificates of the test's own.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;
use worker_nats::{config::NatsSettings, connection::ConnectError};

use super::{
    connect_with,
    server::{NatsServer, write_private},
    settings,
};

/// A directory with a CA and certificates that it has issued.
pub(crate) struct Certificates {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signed");
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("ca.pem"), certificate.pem()).expect("written");
        Self { issuer: Issuer::new(params, key), directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Issues a certificate for a host, valid up to this year. Returns the files of certificate and key.
    pub(crate) fn issue(&self, host: &str, until: i32) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let cert = self.path(&format!("{host}-{until}.pem"));
        fs::write(&cert, certificate.pem()).expect("written");
        let key = write_private(&self.path(&format!("{host}-{until}.key")), &key.serialize_pem());
        (cert, key)
    }

    fn server(&self, test: &str, host: &str, until: i32) -> Option<NatsServer> {
        let (cert, key) = self.issue(host, until);
        NatsServer::start(test, &tls_block(&cert, &key, ""))
    }
}

fn tls_block(cert: &Path, key: &Path, more: &str) -> String {
    let [cert, key] = [cert, key].map(|path| path.to_str().expect("UTF-8"));
    format!("tls {{ cert_file: {cert:?}, key_file: {key:?}, timeout: 20 {more} }}")
}

async fn fault(settings: NatsSettings) -> String {
    let error = connect_with(settings).await.expect_err("no connection");
    assert!(matches!(error, ConnectError::Tls { .. }) && !error.is_transient(), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn certificate_is_verified_against_the_ca() {
    let certificates = Certificates::new();
    let Some(server) = certificates.server("certificate_is_verified", "localhost", 2100) else { return };
    let url = server.tls_url("localhost");
    let trusted = NatsSettings { ca: Some(certificates.ca()), ..settings(&url) };
    assert!(connect_with(trusted.clone()).await.expect("connected").is_connected());
    // The server requires TLS, so the scheme does not matter.
    connect_with(NatsSettings { servers: url.replace("tls://", "nats://"), ..trusted }).await.expect("connected");
    let text = fault(settings(&url)).await;
    assert!(text.contains("no CA of this system has signed the server's certificate; set ca to the file"), "{text}");
}

#[tokio::test]
async fn faults_of_certificates_say_what_to_do() {
    let certificates = Certificates::new();
    let Some(server) = certificates.server("faults_of_certificates", "localhost", 2100) else { return };
    let other = Certificates::new();
    let text = fault(NatsSettings { ca: Some(other.ca()), ..settings(&server.tls_url("localhost")) }).await;
    let expected = format!("no CA in {} has signed the server's certificate; put the CA", other.ca().display());
    assert!(text.contains(&expected), "{text}");
    let trusted = |url: String| NatsSettings { ca: Some(certificates.ca()), ..settings(&url) };
    let text = fault(trusted(server.tls_url("127.0.0.1"))).await;
    assert!(text.contains("the server's certificate is for another name; use a name of the certificate"), "{text}");
    let Some(expired) = certificates.server("faults_of_certificates", "localhost", 2021) else { return };
    let text = fault(trusted(expired.tls_url("localhost"))).await;
    assert!(
        text.contains("the server's certificate is not valid now; renew it, or check this machine's clock"),
        "{text}"
    );
}

#[tokio::test]
async fn server_without_tls_is_not_used_with_tls_settings() {
    let certificates = Certificates::new();
    let Some(server) = NatsServer::start("server_without_tls", "") else { return };
    let no_tls = "the server does not answer with TLS; configure tls in nats-server, or use nats:// without ca";
    let text = fault(NatsSettings { ca: Some(certificates.ca()), ..settings(&server.tls_url("127.0.0.1")) }).await;
    assert!(text.contains(no_tls), "{text}");
    // A setting of TLS requires TLS.
    let text = fault(NatsSettings { ca: Some(certificates.ca()), ..settings(&server.url()) }).await;
    assert!(text.contains(no_tls), "{text}");
}

#[tokio::test]
async fn client_certificate_is_sent() {
    let certificates = Certificates::new();
    let (cert, key) = certificates.issue("localhost", 2100);
    let config = tls_block(&cert, &key, &format!(", verify: true, ca_file: \"{}\"", certificates.ca().display()));
    let Some(server) = NatsServer::start("client_certificate", &config) else { return };
    let without = NatsSettings { ca: Some(certificates.ca()), ..settings(&server.tls_url("localhost")) };
    let text = fault(without.clone()).await;
    assert!(text.contains("the server requires a client certificate; set cert and key"), "{text}");
    let with = |(cert, key)| NatsSettings { cert: Some(cert), key: Some(key), ..without.clone() };
    connect_with(with(certificates.issue("client", 2100))).await.expect("connected");
    let other = Certificates::new();
    let text = fault(with(other.issue("client", 2100))).await;
    assert!(text.contains("the server does not accept the client certificate; check cert"), "{text}");
}
