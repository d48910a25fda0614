//! A NATS server that restarts, shuts down, or refuses the credentials later.

use std::fs;

use futures_util::StreamExt;
use worker_nats::{
    config::NatsSettings,
    connection::{Connection, Status},
};

use super::{
    connect_with,
    server::{NatsServer, write_private},
    settings, within,
};

/// Waits for a status.
async fn status(what: &str, connection: &mut Connection, is_reached: impl Fn(&Connection, &Status) -> bool) -> Status {
    within(what, async {
        loop {
            let status = connection.status();
            if is_reached(connection, &status) {
                return status;
            }
            connection.changed().await;
        }
    })
    .await
}

#[tokio::test]
async fn restart_of_the_server_is_a_new_connection() {
    let Some(mut server) = NatsServer::start("restart", "") else { return };
    let mut connection = connect_with(settings(&server.url())).await.expect("connected");
    let mut subscription = connection.client().subscribe("circles.team.test").await.expect("subscribed");
    server.kill();
    let down =
        status("outage", &mut connection, |connection, status| !connection.is_connected() && status.error.is_some());
    assert!(!down.await.is_refused);
    server.launch("");
    status("reconnection", &mut connection, |connection, _| connection.number() == 2).await;
    // The subscription is there again.
    connection.client().publish("circles.team.test", "hello".into()).await.expect("published");
    let message = within("message", subscription.next()).await.expect("a message");
    assert_eq!(&message.payload[..], b"hello");
    assert_eq!(connection.status(), Status::default());
}

#[tokio::test]
async fn credentials_that_are_refused_later_are_reported() {
    let config = |password| format!("authorization {{ user: m1, password: {password} }}");
    let Some(mut server) = NatsServer::start("refused_later", &config("hunter2")) else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let password_file = Some(write_private(&directory.path().join("password"), "hunter2"));
    let settings = NatsSettings { user: Some("m1".into()), password_file, ..settings(&server.url()) };
    let mut connection = connect_with(settings).await.expect("connected");
    server.kill();
    server.launch(&config("hunter3"));
    let refused = status("refusal", &mut connection, |_, status| status.is_refused).await;
    assert_eq!(refused.error.as_deref(), Some("authorization violation"));
    assert!(!connection.is_connected());
    // The client goes on: the operator may change the password back.
    server.kill();
    server.launch(&config("hunter2"));
    status("reconnection", &mut connection, |connection, _| connection.number() == 2).await;
}

#[tokio::test]
async fn renewed_secret_is_read_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("nkey");
    let [old, new] = [(); 2].map(|()| nkeys::KeyPair::new_user());
    let write = |pair: &nkeys::KeyPair| write_private(&path, &pair.seed().expect("a seed"));
    let config = |pair: &nkeys::KeyPair| format!("authorization {{ users = [ {{ nkey: {} }} ] }}", pair.public_key());
    let Some(server) = NatsServer::start("renewed_secret", &config(&old)) else { return };
    let settings = NatsSettings { nkey: Some(write(&old)), ..settings(&server.url()) };
    let mut connection = connect_with(settings).await.expect("connected");
    let mut subscription = connection.client().subscribe("circles.team.test").await.expect("subscribed");
    // NATS ends the connections of a user that is no longer in the configuration.
    server.reload(&config(&new));
    status("refusal", &mut connection, |_, status| status.is_refused).await;
    fs::remove_file(&path).expect("removed");
    let unreadable = status("file error", &mut connection, |_, status| {
        !status.is_refused && status.error.as_ref().is_some_and(|error| error.contains("does not exist"))
    });
    let error = unreadable.await.error.expect("an error");
    assert!(error.starts_with(&format!("the NATS nkey file {} does not exist", path.display())), "{error}");
    write(&new);
    status("reconnection", &mut connection, |connection, _| connection.number() == 2).await;
    connection.client().publish("circles.team.test", "hello".into()).await.expect("published");
    let message = within("message", subscription.next()).await.expect("a message");
    assert_eq!(&message.payload[..], b"hello");
}

#[tokio::test]
async fn server_in_lame_duck_mode_is_left_for_another_one() {
    // The grace period keeps the first server alive for a long time: the client has to leave.
    let config = "lame_duck_duration: 600s, lame_duck_grace_period: 500s";
    let Some(first) = NatsServer::start("lame_duck", config) else { return };
    let Some(second) = NatsServer::start("lame_duck", "") else { return };
    let port = |url: &str| url.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).expect("a port");
    // The order of the list is random for the client: connect to the first server by its address alone.
    let servers = format!("{},{}", first.url(), second.url());
    let mut connection = loop {
        let connection = connect_with(settings(&servers)).await.expect("connected");
        if connection.client().server_info().port == port(&first.url()) {
            break connection;
        }
    };
    first.signal("USR2");
    status("another server", &mut connection, |connection, _| {
        connection.is_connected() && connection.client().server_info().port == port(&second.url())
    })
    .await;
    assert_eq!(connection.status().lame_ducks, 1);
}
