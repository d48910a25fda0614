//! Circles that serve TLS themselves (`circles serve --tls-cert`, `"tls"` in circles.json).

use std::{fs, io::Read, io::Write, net::TcpStream};

use client_ws::CircleWsClient;
use serde_json::json;

use super::play;
use crate::support::{
    CommandOutput, Home,
    background::BackgroundCircles,
    eventually, http,
    process::ServeProcess,
    tls::{ServerCertificate, TestCa, TlsPaths, Validity},
};

/// Plays `40 + 2` at a URL, with the CA.
fn play_with(home: &Home, url: &str, ca: &TestCa) -> CommandOutput {
    play(home, url, &["--ca", ca.file().to_str().expect("UTF-8")])
}

#[test]
fn circle_serves_tls() {
    let (home, ca) = (Home::new(), TestCa::new());
    home.add_key("alice");
    let files = TlsPaths::in_directory(home.path());
    ca.issue("localhost", Validity::Now).write(&files);
    let circle = ServeProcess::start(&[&files.options()[..], &["--access", "authenticated"]].concat());
    assert_eq!(circle.url, format!("wss://localhost:{}", circle.port()));

    let ca_file = ca.file();
    let ca_option = ["--ca", ca_file.to_str().expect("UTF-8")];
    let played = play(&home, &circle.url, &[&ca_option[..], &["--key", "alice"]].concat());
    assert_eq!((played.code, played.stdout.as_str()), (Some(0), "42\n"), "{played:?}");
    // Nothing asks for --insecure.
    assert!(!played.stderr.contains("encrypted"), "{played:?}");

    let client = CircleWsClient::builder(&*circle.url).ca_file(&ca_file).build().expect("a client");
    let described = tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        client.connect().await?;
        client.describe().await
    });
    assert!(described.expect("described").tls);

    // More than the socket and the buffers of TLS take at once, in both directions.
    let script = format!("let text = \"{}\"; text.len() + 1", "x".repeat(100_000));
    let long = ["play", "--circle", &circle.url, "--key", "alice", ca_option[0], ca_option[1]];
    let played = home.run_with(&[&long[..], &["-"]].concat(), &script);
    assert_eq!((played.code, played.stdout.as_str()), (Some(0), "100001\n"), "{}", played.stderr);
    let script = "let text = \"\"; text.pad(400, 'y'); for line in 0..1500 { print(`${line} ${text}`) }";
    let played = home.run_with(&[&long[..], &["-"]].concat(), script);
    assert_eq!((played.code, played.stdout.lines().count()), (Some(0), 1500), "{}", played.stderr);
    assert!(played.stdout.ends_with(&format!("1499 {}\n", "y".repeat(400))));

    // The CAs of the system know nothing of the test's CA.
    let refused = play(&home, &circle.url, &["--key", "alice"]);
    assert_eq!(refused.code, Some(4), "{refused:?}");
    assert!(refused.stderr.contains("no CA that this system trusts"), "{refused:?}");
}

#[test]
fn plain_connection_to_a_circle_with_tls_gets_advice() {
    let (home, ca) = (Home::new(), TestCa::new());
    let files = TlsPaths::in_directory(home.path());
    ca.issue("localhost", Validity::Now).write(&files);
    let circle = ServeProcess::start(&files.options());
    let plain = format!("127.0.0.1:{}", circle.port());

    let (status, body) = http::get(&plain, "/", &format!("host: {plain}\r\n"));
    assert_eq!((status, body.as_str()), (400, "this circle speaks TLS: use a wss:// or an https:// address\n"));
    let refused = play(&home, &format!("ws://{plain}"), &[]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.stderr.contains("if the server speaks TLS, use wss://"), "{refused:?}");

    // Neither garbage nor an early end disturbs the circle.
    for garbage in [&b"\x16\x03\x01\xff\xff"[..], b"\x16", b"", &[0xff; 4096]] {
        let mut stream = TcpStream::connect(&plain).expect("it listens");
        stream.write_all(garbage).expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("open");
        // The end of the connection, or its reset.
        let _ended = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(play_with(&home, &circle.url, &ca).code, Some(0));
}

#[test]
fn renewed_certificate_applies_without_a_restart() {
    let (home, ca) = (Home::new(), TestCa::new());
    for is_relative in [false, true] {
        let served_from = Home::new();
        let files = TlsPaths::in_directory(served_from.path());
        ca.issue("localhost", Validity::Now).write(&files);
        let options = if is_relative { ["--tls-cert", "cert.pem", "--tls-key", "key.pem"] } else { files.options() };
        let circle = ServeProcess::start_in(served_from, &options);
        let pid = circle.pid();
        assert_eq!(play_with(&home, &circle.url, &ca).code, Some(0));
        // The second renewal shows that the circle goes on watching, and follows an unusable certificate.
        for _ in 0..2 {
            let next = TestCa::new();
            assert_eq!(play_with(&home, &circle.url, &next).code, Some(4));
            fs::write(&files.cert, next.issue("localhost", Validity::Past).pem()).expect("written");
            next.issue("localhost", Validity::Now).write(&files);
            eventually(|| {
                let played = play_with(&home, &circle.url, &next);
                if played.code == Some(0) { Ok(()) } else { Err(played.stderr) }
            });
            assert_eq!(play_with(&home, &circle.url, &ca).code, Some(4));
        }
        assert_eq!(circle.pid(), pid);
    }
}

#[test]
fn unusable_certificate_does_not_keep_a_removed_member_in() {
    let ca = TestCa::new();
    let here = BackgroundCircles::start("{}");
    let [alice, bob] = ["alice", "bob"].map(|name| here.home.add_key(name).public_key().to_hex());
    let configure = |members: &[&str]| {
        here.configure(
            &json!({ "circles": [{ "name": "team", "port": 0, "members": members,
            "tls": { "cert": "cert.pem", "key": "key.pem" } }] })
            .to_string(),
        );
    };
    configure(&[&alice, &bob]);
    let files = TlsPaths::in_directory(here.home.path());
    ca.issue("localhost", Validity::Now).write(&files);
    here.run_ok(&["up"]);
    let ca_file = ca.file();
    let play_as = |key: &str| play(&here.home, "team", &["--ca", ca_file.to_str().expect("UTF-8"), "--key", key]).code;
    assert_eq!((play_as("alice"), play_as("bob")), (Some(0), Some(0)));

    fs::write(&files.cert, ca.issue("localhost", Validity::Past).pem()).expect("written");
    configure(&[&alice]);
    eventually(|| {
        let refused = here.status("team")["refused"].as_str().unwrap_or_default().to_owned();
        if refused.contains("the circle keeps the previous certificate") { Ok(()) } else { Err(refused) }
    });
    eventually(|| if play_as("bob") == Some(0) { Err("bob still plays") } else { Ok(()) });
    assert_eq!(play_as("alice"), Some(0));
}

#[test]
fn supervised_circle_serves_tls_and_applies_a_renewed_certificate() {
    let (ca, next) = (TestCa::new(), TestCa::new());
    let circle = r#"{ "name": "team", "port": 0, "tls": { "cert": "cert.pem", "key": "key.pem" } }"#;
    let here = BackgroundCircles::start(&format!("{{ \"circles\": [{circle}] }}"));
    let files = TlsPaths::in_directory(here.home.path());
    ca.issue("localhost", Validity::Now).write(&files);
    here.run_ok(&["up"]);
    let (status, pid) = (here.status("team"), here.pid("team"));
    let url = status["url"].as_str().expect("a URL");
    assert!(url.starts_with("wss://localhost:"), "{status}");
    // By its name, and by its address.
    for circle in ["team", url] {
        let played = play_with(&here.home, circle, &ca);
        assert_eq!((played.code, played.stdout.as_str()), (Some(0), "42\n"), "{played:?}");
    }
    assert!(here.run_ok(&["status"]).contains(url));

    fs::write(&files.key, ServerCertificate::self_signed("localhost").key_pem()).expect("written");
    eventually(|| {
        let refused = here.status("team")["refused"].as_str().unwrap_or_default().to_owned();
        if refused.contains("the private key does not belong to the certificate") { Ok(()) } else { Err(refused) }
    });
    assert_eq!(play_with(&here.home, "team", &ca).code, Some(0));
    next.issue("localhost", Validity::Now).write(&files);
    eventually(|| {
        let played = play_with(&here.home, "team", &next);
        if played.code == Some(0) { Ok(()) } else { Err(played.stderr) }
    });
    assert_eq!(here.pid("team"), pid);
    // Without TLS, the circle has to restart.
    here.configure(r#"{ "watch": false, "circles": [{ "name": "team", "port": 0 }] }"#);
    assert!(here.run_ok(&["diff"]).contains("team"), "{}", here.run_ok(&["diff"]));
    here.run_ok(&["reload"]);
    assert_ne!(here.pid("team"), pid);
    assert!(here.status("team")["url"].as_str().expect("a URL").starts_with("ws://127.0.0.1:"));
}

#[test]
fn unusable_certificate_is_reported_before_the_start() {
    let (home, ca) = (Home::new(), TestCa::new());
    let files = TlsPaths::in_directory(home.path());
    let config = json!({ "circles": [{ "name": "team", "port": 0, "tls": { "cert": "cert.pem", "key": "key.pem" } }] });
    fs::write(home.path().join("circles.json"), config.to_string()).expect("written");
    let expect = |why: &str| {
        let flowed = |ran: CommandOutput| {
            assert_eq!(ran.code, Some(2), "{ran:?}");
            ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let checked = flowed(home.run(&["check"]));
        assert!(checked.contains(why) && checked.contains("circles.json:1:"), "{checked}");
        let served = flowed(home.run(&[&["serve", "--port", "0"], &files.options()[..]].concat()));
        assert!(served.contains(why) && served.contains("--tls-cert"), "{served}");
    };
    expect("cannot read");
    ca.issue("localhost", Validity::Past).write(&files);
    expect("the certificate has expired");
    ca.issue("localhost", Validity::Future).write(&files);
    expect("the certificate is not valid yet");
    ca.issue("localhost", Validity::Now).write(&files);
    fs::write(&files.key, ServerCertificate::self_signed("localhost").key_pem()).expect("written");
    expect("the private key does not belong to the certificate");
    fs::write(&files.key, "").expect("written");
    expect("the key file has no private key");
    let one = home.run(&["serve", "--port", "0", "--tls-cert", "cert.pem"]);
    assert!(one.code == Some(2) && one.stderr.contains("--tls-key"), "{one:?}");
}

#[test]
fn doctor_warns_of_certificates_that_clients_refuse() {
    let home = Home::new();
    ServerCertificate::of_a_ca("localhost").write(&TlsPaths::in_directory(home.path()));
    let config = json!({ "circles": [{ "name": "team", "port": 0, "hosts": ["team.example:9001", "localhost:9001"],
        "tls": { "cert": "cert.pem", "key": "key.pem" } }] });
    fs::write(home.path().join("circles.json"), config.to_string()).expect("written");
    let examined = home.run(&["doctor"]);
    let flowed = examined.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flowed.contains("the certificate of team is not for team.example:9001"), "{examined:?}");
    assert!(flowed.contains("the certificate of team is that of a CA (CA:TRUE)"), "{examined:?}");
    TestCa::new().issue("localhost", Validity::Now).write(&TlsPaths::in_directory(home.path()));
    let examined = home.run(&["doctor"]);
    assert!(!examined.stdout.contains("CA:TRUE"), "{examined:?}");
}
