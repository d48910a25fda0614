//! Circles behind TLS (`wss://`), and connections without it.

mod server;

use std::{fs, net::TcpListener};

use crate::support::{
    CommandOutput, Home,
    fake::serve_bytes,
    process::ServeProcess,
    tls::{ServerCertificate, TestCa, Validity, terminate_tls},
};

/// Plays `40 + 2` at a URL.
fn play(home: &Home, url: &str, options: &[&str]) -> CommandOutput {
    home.run(&[&["play", "--circle", url, "-e", "40 + 2"], options].concat())
}

/// A server with this certificate and nothing behind it; returns its URL.
fn serve_certificate(certificate: &ServerCertificate) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("wss://localhost:{}", listener.local_addr().expect("bound").port());
    terminate_tls(listener, certificate, String::new());
    url
}

#[test]
fn circle_behind_tls_is_used_with_ca_file() {
    let (home, ca) = (Home::new(), TestCa::new());
    home.add_key("alice");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let authority = format!("localhost:{}", listener.local_addr().expect("bound").port());
    let circle = ServeProcess::start(&["--access", "authenticated", "--hosts", &authority]);
    terminate_tls(listener, &ca.issue("localhost", Validity::Now), circle.authority().to_owned());
    let url = format!("wss://{authority}");
    let file = ca.file();
    let file = file.to_str().expect("UTF-8");

    let played = play(&home, &url, &["--ca", file, "--key", "alice"]);
    assert_eq!((played.code, played.stdout.as_str()), (Some(0), "42\n"), "{played:?}");
    assert!(!played.stderr.contains("encrypted"), "{played:?}");

    // The variable by which programs with OpenSSL choose their CAs.
    let mut command = home.command();
    command.args(["play", "--circle", &url, "--key", "alice", "-e", "40 + 2"]).env("SSL_CERT_FILE", file);
    let output = command.output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn certificate_faults_are_told_apart() {
    let (home, ca, other_ca) = (Home::new(), TestCa::new(), TestCa::new());
    let ca_file = ca.file();
    let ca_file = ca_file.to_str().expect("UTF-8");
    let self_signed = ServerCertificate::self_signed("localhost");
    let signed_by_ca = format!("no CA in {ca_file} has signed its certificate");
    let cases = [
        (ca.issue("localhost", Validity::Past), "its certificate has expired", "renew the certificate"),
        (ca.issue("localhost", Validity::Future), "its certificate is not valid yet", "set the clock of this machine"),
        (
            ca.issue("team.example", Validity::Now),
            "its certificate is for another name: team.example",
            "use a name that the certificate is for",
        ),
        (other_ca.issue("localhost", Validity::Now), &*signed_by_ca, "name the file of the CA that signed it"),
        (ServerCertificate::self_signed("localhost"), &*signed_by_ca, "name the file of the CA that signed it"),
        (
            ServerCertificate::of_a_ca("localhost"),
            "its certificate is that of a CA (CA:TRUE), which no server may use",
            "with basicConstraints CA:FALSE",
        ),
    ];
    for (certificate, why, fix) in &cases {
        let refused = play(&home, &serve_certificate(certificate), &["--ca", ca_file]);
        assert_eq!(refused.code, Some(4), "{refused:?}");
        assert!(refused.stderr.contains("cannot trust the server at wss://localhost:"), "{refused:?}");
        let flowed = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flowed.contains(why) && flowed.contains(fix), "{refused:?}");
    }

    let url = serve_certificate(&self_signed);
    let mut command = home.command();
    command.args(["play", "--circle", &url, "-e", "1"]).env("SSL_CERT_FILE", ca_file);
    let refused = String::from_utf8(command.output().expect("the binary runs").stderr).expect("UTF-8");
    let flowed = refused.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flowed.contains("no CA that this system trusts has signed its certificate"), "{flowed}");
    assert!(flowed.contains("--ca FILE"), "{flowed}");

    // With the certificate itself as the CA, the client goes on, and finds nothing behind the server.
    let file = home.path().join("server.pem");
    fs::write(&file, self_signed.pem()).expect("written");
    let accepted = play(&home, &url, &["--ca", file.to_str().expect("UTF-8")]);
    assert_eq!(accepted.code, Some(3), "{accepted:?}");
}

#[test]
fn unusable_ca_file_is_reported() {
    let home = Home::new();
    fs::write(home.path().join("empty.pem"), "").expect("written");
    let cases = [("empty.pem", "it contains no certificate in PEM"), ("missing.pem", "no such file or directory")];
    for (file, why) in cases {
        let refused = play(&home, "wss://localhost:1", &["--ca", file]);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(&format!("cannot use the CA file {file}: {why}")), "{refused:?}");
    }
}

#[test]
fn scheme_that_does_not_fit_the_server_is_reported() {
    let (home, circle, ca) = (Home::new(), ServeProcess::open(), TestCa::new());
    let file = ca.file();
    let plain = play(&home, &format!("wss://{}", circle.authority()), &["--ca", file.to_str().expect("UTF-8")]);
    assert_eq!(plain.code, Some(4), "{plain:?}");
    assert!(plain.stderr.contains("it does not speak TLS") && plain.stderr.contains("ws://"), "{plain:?}");

    let url = serve_certificate(&ca.issue("localhost", Validity::Now)).replace("wss://", "ws://");
    let encrypted = play(&home, &url, &[]);
    assert_eq!(encrypted.code, Some(3), "{encrypted:?}");
    assert!(encrypted.stderr.contains("if it speaks TLS, use wss://"), "{encrypted:?}");
}

#[test]
fn proxy_without_upgrade_is_reported() {
    let home = Home::new();
    let cases: [(&'static [u8], &str, &str); 3] = [
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            "it answered with HTTP 200 instead of a WebSocket",
            "it has to pass on the headers Upgrade and Connection",
        ),
        (
            b"HTTP/1.1 301 Moved Permanently\r\nLocation: https://team.example/\r\nContent-Length: 0\r\n\r\n",
            "it redirects to wss://team.example/",
            "if you trust it, connect there: wss://team.example/",
        ),
        (
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
            "a proxy answered with HTTP 502: it cannot reach the circle behind it",
            "try again later",
        ),
    ];
    for (answer, why, fix) in cases {
        let refused = play(&home, &format!("ws://{}", serve_bytes(answer)), &[]);
        assert_eq!(refused.code, Some(3), "{refused:?}");
        let flowed = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flowed.contains(why) && flowed.contains(fix), "{refused:?}");
    }
}

#[test]
fn authentication_without_encryption_needs_insecure() {
    let home = Home::new();
    home.add_key("alice");
    // The system takes connections to this address for ones to itself; for the client it is another machine.
    let port = crate::support::free_port();
    let authority = format!("0.0.0.0:{port}");
    let _circle = ServeProcess::start_on(port, &["--access", "authenticated", "--hosts", &authority]);
    let url = format!("ws://{authority}");

    let refused = play(&home, &url, &["--accept-ephemeral", "--key", "alice"]);
    assert_eq!(refused.code, Some(4), "{refused:?}");
    let flowed = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flowed.contains(&format!("the connection to {url} is not encrypted: anyone on the way")), "{refused:?}");
    assert!(flowed.contains(&format!("will not authenticate to the circle at {url}")), "{refused:?}");
    assert!(flowed.contains("add --insecure"), "{refused:?}");

    let played = play(&home, &url, &["--accept-ephemeral", "--key", "alice", "--insecure"]);
    assert_eq!((played.code, played.stdout.as_str()), (Some(0), "42\n"), "{played:?}");
    assert!(!played.stderr.contains("encrypted"), "{played:?}");
}

#[test]
fn passphrase_is_not_asked_for_without_encryption() {
    let home = Home::new();
    home.add_key("alice");
    let port = crate::support::free_port();
    let authority = format!("0.0.0.0:{port}");
    let _circle = ServeProcess::start_on(port, &["--access", "authenticated", "--hosts", &authority]);
    let mut command = home.command();
    command
        .args(["play", "--circle", &format!("ws://{authority}"), "--accept-ephemeral", "--key", "alice", "-e", "1"])
        .env_remove("CIRCLES_PASSPHRASE");
    let refused = command.output().expect("the binary runs");
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("will not authenticate"), "{refused:?}");
}
