//! Connections that succeed, and those that get a reason.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
    time::Duration,
};

use futures_util::StreamExt;
use worker_nats::{
    config::{NatsConfig, NatsSettings},
    connection::{ConnectError, ConnectionOptions, ConnectionTimeouts, connect, has_no_subscriber},
};

use super::{
    connect_with, options,
    server::{NatsServer, write_private},
    settings, within,
};

async fn error(settings: NatsSettings) -> ConnectError {
    connect_with(settings).await.expect_err("no connection")
}

#[tokio::test]
async fn connection_works_if_one_of_the_servers_runs() {
    let Some(server) = NatsServer::start("connection_works", "") else { return };
    let closed = closed_port();
    let connection = connect_with(settings(&format!("{closed},{}", server.url()))).await.expect("connected");
    assert!(connection.is_connected());
    assert_eq!((connection.number(), connection.payload_limit()), (1, None));
    connection.check_permissions("circles.team.server.s1.probe".into()).await.expect("allowed");
}

#[tokio::test]
async fn unreachable_server_is_transient() {
    let closed = closed_port();
    let error = error(settings(&closed)).await;
    assert!(error.is_transient());
    let text = error.to_string();
    assert!(text.starts_with(&format!("could not connect to NATS at {closed}: ")), "{text}");
    assert!(text.ends_with("; check the address, and that nats-server runs there"), "{text}");
}

#[tokio::test]
async fn unknown_host_is_named() {
    let error = error(settings("nats://nats.invalid")).await;
    assert!(matches!(error, ConnectError::Dns { .. }) && error.is_transient(), "{error:?}");
    assert!(error.to_string().ends_with("; check the host name"), "{error}");
}

#[tokio::test]
async fn other_servers_are_not_nats() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let url = format!("nats://{}", listener.local_addr().expect("an address"));
    let other = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("written");
        let _closed = stream.read(&mut [0]);
    });
    let error = error(settings(&url)).await;
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    other.join().expect("no panic");
}

#[tokio::test]
async fn server_that_does_not_answer_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let url = format!("nats://{}", listener.local_addr().expect("an address"));
    let timeouts = ConnectionTimeouts { connect: Duration::from_millis(50), ..ConnectionTimeouts::default() };
    let config = NatsConfig::new(&settings(&url)).expect("valid");
    let error =
        connect(&config, ConnectionOptions { timeouts, ..options("inbox".into()) }).await.expect_err("no connection");
    assert!(matches!(error, ConnectError::TimedOut { .. }) && error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn servers_that_a_server_names_are_not_used() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let url = format!("nats://{}", listener.local_addr().expect("an address"));
    let other = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let info = r#"INFO {"server_id":"A","version":"2.9.0","max_payload":1048576,"connect_urls":["127.0.0.1:9"]}"#;
        stream.write_all(format!("{info}\r\n").as_bytes()).expect("written");
        let mut received = Vec::new();
        while !received.ends_with(b"PING\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("CONNECT and PING");
            received.extend(byte);
        }
        stream.write_all(b"PONG\r\n").expect("written");
        stream
    });
    let connection = connect_with(settings(&url)).await.expect("connected");
    let pool = within("the servers", connection.client().server_pool()).await.expect("the servers");
    assert_eq!(pool.iter().map(|server| server.addr.as_url_str()).collect::<Vec<_>>(), [&url]);
    drop(other.join().expect("no panic"));
}

#[tokio::test]
async fn refused_credentials_are_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let known = nkeys::KeyPair::new_user();
    let config = format!(
        "authorization {{ users = [ {{ user: m1, password: hunter2 }}, {{ nkey: {} }} ] }}",
        known.public_key()
    );
    let Some(server) = NatsServer::start("refused_credentials", &config) else { return };
    let base = settings(&server.url());
    let user = |name: &str, password: &str| NatsSettings {
        user: Some(name.into()),
        password_file: Some(write_private(&path(&format!("{name}-{}", password.trim())), password)),
        ..base.clone()
    };
    let nkey = |pair: &nkeys::KeyPair| NatsSettings {
        nkey: Some(write_private(&path(&pair.public_key()), &pair.seed().expect("a seed"))),
        ..base.clone()
    };
    let unknown = nkeys::KeyPair::new_user();
    for (settings, expected) in [
        (base.clone(), "refuses connections without credentials: set credentials, nkey, or user and password_file"),
        (user("m1", "wrong"), "refuses user m1: check the name and the password in the password file"),
        (user("m2", "hunter2"), "refuses user m2: "),
        (nkey(&unknown), &format!("refuses nkey {}: add it to authorization.users", unknown.public_key())),
    ] {
        let error = error(settings).await;
        assert!(!error.is_transient(), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    connect_with(user("m1", "hunter2\n")).await.expect("connected");
    connect_with(nkey(&known)).await.expect("connected");
}

#[tokio::test]
async fn settings_with_invalid_files_are_refused_before_a_connection() {
    let settings = NatsSettings { nkey: Some("/none/nkey".into()), ..settings("nats://nats.invalid") };
    let error = error(settings).await;
    assert!(matches!(error, ConnectError::Config(_)) && !error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn server_with_a_small_payload_is_refused() {
    let Some(server) = NatsServer::start("small_payload", "max_payload: 64KB") else { return };
    let error = error(settings(&server.url())).await;
    assert!(!error.is_transient());
    assert!(error.to_string().contains("accepts messages of up to 65536 bytes, and workers need 131072"), "{error}");
}

#[tokio::test]
async fn server_that_rejects_connections_is_quoted() {
    let Some(server) = NatsServer::start("full_server", "max_connections: 1") else { return };
    let _first = connect_with(settings(&server.url())).await.expect("connected");
    let error = error(settings(&server.url())).await;
    assert!(error.is_transient(), "{error:?}");
    assert!(error.to_string().contains("rejects the connection: maximum connections exceeded"), "{error}");
}

#[tokio::test]
async fn message_without_a_subscriber_comes_back_to_its_reply_subject() {
    let Some(server) = NatsServer::start("no_subscriber", "") else { return };
    let connection = connect_with(settings(&server.url())).await.expect("connected");
    let client = connection.client();
    let mut replies = client.subscribe("circles.team.server.s1.inbox.*").await.expect("subscribed");
    for (subject, is_missed) in [("circles.team.worker.m1.link", true), ("circles.team.server.s1.inbox.b", false)] {
        let reply = "circles.team.server.s1.inbox.a";
        client.publish_with_reply(subject, reply, "heartbeat".into()).await.expect("published");
        let message = within("an answer", replies.next()).await.expect("an answer");
        assert_eq!(has_no_subscriber(&message), is_missed, "{subject}");
    }
}

/// The URL of a port on which nobody listens.
fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    format!("nats://{}", listener.local_addr().expect("an address"))
}
