//! The permissions of a user, and missing ones.

use worker_nats::{
    config::NatsSettings,
    connection::{Connection, PermissionError},
    subjects::{PLACEMENT_QUEUE, Permissions, SubjectName, Subjects},
};

use super::{
    connect_as,
    server::{NatsServer, write_private},
    settings,
};

fn name(name: &str) -> SubjectName {
    SubjectName::new(name).expect("valid")
}

fn team() -> Subjects {
    Subjects::new(&name("team"))
}

/// The configuration of nats-server with a user for the machine m1 and one for the servers.
pub(crate) fn config() -> String {
    let user = |name: &str, Permissions { publish, subscribe }: Permissions| {
        format!(
            "{{ user: {name}, password: hunter2, permissions: {{ publish: {publish:?}, subscribe: {subscribe:?} }} }}"
        )
    };
    let users = [user("m1", team().machine_permissions(&name("m1"))), user("server", team().server_permissions())];
    format!("authorization {{ users = [ {} ] }}", users.join(","))
}

async fn connect(server: &NatsServer, user: &str, inbox_prefix: String) -> Connection {
    let directory = tempfile::tempdir().expect("a directory");
    let password_file = Some(write_private(&directory.path().join("password"), "hunter2"));
    let settings = NatsSettings { user: Some(user.into()), password_file, ..settings(&server.url()) };
    connect_as(settings, inbox_prefix).await.expect("connected")
}

async fn connect_machine(server: &NatsServer) -> Connection {
    connect(server, "m1", team().machine_inbox(&name("m1"))).await
}

#[tokio::test]
async fn machine_has_the_permissions_that_it_needs() {
    let Some(server) = NatsServer::start("permissions_of_machine", &config()) else { return };
    let connection = connect_machine(&server).await;
    let client = connection.client();
    let _links = client.subscribe(team().machine_link(&name("m1"))).await.expect("subscribed");
    let placements = team().placements(&name("b1"));
    let _placements = client.queue_subscribe(placements, PLACEMENT_QUEUE.into()).await.expect("subscribed");
    for subject in [team().machines(), team().server_link(&name("s1")), team().server_inbox(&name("s1"))] {
        client.publish(subject, "state".into()).await.expect("published");
    }
    connection.check_permissions(team().probe()).await.expect("permitted");
    assert_eq!(connection.status().violation, None);
}

#[tokio::test]
async fn server_has_the_permissions_that_it_needs() {
    let Some(server) = NatsServer::start("permissions_of_server", &config()) else { return };
    let connection = connect(&server, "server", team().server_inbox(&name("s1"))).await;
    let client = connection.client();
    let mut subscriptions = Vec::new();
    for subject in
        [team().server_link(&name("s1")), team().server_blob(&name("s1")), team().machines(), team().servers()]
    {
        subscriptions.push(client.subscribe(subject).await.expect("subscribed"));
    }
    for subject in [team().placements(&name("b1")), team().machine_link(&name("m1")), team().servers()] {
        client.publish(subject, "state".into()).await.expect("published");
    }
    connection.check_permissions(team().probe()).await.expect("permitted");
}

#[tokio::test]
async fn machine_is_confined_to_its_own_subjects() {
    let Some(server) = NatsServer::start("confined_machine", &config()) else { return };
    let other = Subjects::new(&name("other"));
    for subject in [
        team().machine_link(&name("m2")),
        team().server_link(&name("s1")),
        // Without the queue group, it would get the requests of all machines.
        team().placements(&name("b1")),
        other.machine_link(&name("m1")),
        Subjects::of_all_circles().machine_link(&name("m1")),
    ] {
        let connection = connect_machine(&server).await;
        let _denied = connection.client().subscribe(subject.clone()).await.expect("sent");
        let error = connection.check_permissions(team().probe()).await.expect_err("denied");
        let text = error.to_string();
        assert!(text.contains(&format!("Permissions Violation for Subscription to \"{subject}\"")), "{text}");
        assert!(text.ends_with("add the subject to the permissions of this user in nats-server"), "{text}");
        // NATS keeps the connection.
        assert!(connection.is_connected());
    }
    for subject in [team().machine_link(&name("m2")), other.server_link(&name("s1")), team().placements(&name("b1"))] {
        let connection = connect_machine(&server).await;
        let error = connection.check_permissions(subject.clone()).await.expect_err("denied");
        let expected = format!("Permissions Violation for Publish to \"{subject}\"");
        assert!(matches!(&error, PermissionError::Denied { violation } if violation.contains(&expected)), "{error}");
    }
}
