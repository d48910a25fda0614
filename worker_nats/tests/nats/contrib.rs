//! The configuration of nats-server in `contrib/nats`.

use std::{fs, path::Path, process::Command};

use nkeys::KeyPair;
use worker_nats::{
    config::NatsSettings,
    connection::{Connection, PermissionError},
    subjects::{PLACEMENT_QUEUE, Permissions, SubjectName, Subjects},
};

use super::{
    connect_as,
    server::{NatsServer, program, report_skipped, write_private},
    settings,
    tls::Certificates,
};

/// The variables of the file with public nkeys, and the names of their users.
const USERS: [(&str, &str); 3] = [("TEAM_SERVER", "server"), ("TEAM_M1", "m1"), ("TEAM_M2", "m2")];

fn shipped() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/nats/nats.conf");
    fs::read_to_string(path).expect("the file is in the repository")
}

fn name(name: &str) -> SubjectName {
    SubjectName::new(name).expect("valid")
}

fn team() -> Subjects {
    Subjects::new(&name("team"))
}

/// The file with certificates and keys of the test, and the files of the seeds.
struct Site {
    certificates: Certificates,
    config: String,
}

impl Site {
    /// Replaces what the file says that an operator has to replace.
    fn new() -> Self {
        let certificates = Certificates::new();
        let (cert, key) = certificates.issue("localhost", 2100);
        let mut config = shipped();
        for (placeholder, path) in [("/etc/nats/cert.pem", cert), ("/etc/nats/key.pem", key)] {
            assert_eq!(config.matches(placeholder).count(), 1, "{placeholder}");
            config = config.replace(placeholder, path.to_str().expect("UTF-8"));
        }
        for (variable, user) in USERS {
            let pair = KeyPair::new_user();
            write_private(&certificates.path(user), &pair.seed().expect("a seed"));
            let line = config.lines().find(|line| line.starts_with(&format!("{variable}: "))).expect(variable);
            config = config.replace(line, &format!("{variable}: {:?}", pair.public_key()));
        }
        Self { certificates, config }
    }

    fn start(&self, test: &str) -> Option<NatsServer> {
        NatsServer::start(test, &self.config)
    }

    async fn connect(&self, server: &NatsServer, user: &str) -> Connection {
        let inbox = match user {
            "server" => team().server_inbox(&name("s1")),
            machine => team().machine_inbox(&name(machine)),
        };
        let nkey = Some(self.certificates.path(user));
        let settings =
            NatsSettings { nkey, ca: Some(self.certificates.ca()), ..settings(&server.tls_url("localhost")) };
        connect_as(settings, inbox).await.expect("connected")
    }
}

/// The output of `nats-server -t`, if it refuses the file.
fn refusal(program: &str, config: &str) -> Option<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("nats.conf");
    fs::write(&path, config).expect("written");
    let output = Command::new(program).arg("-t").arg("-c").arg(&path).output().expect("it runs");
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn nats_server_accepts_the_file_once_its_nkeys_are_replaced() {
    let Some(program) = program() else { return report_skipped("contrib_file_is_valid") };
    assert_eq!(refusal(program, &Site::new().config), None);
    let refusal = refusal(program, &shipped()).expect("refused");
    assert!(refusal.contains("Not a valid public nkey for a user"), "{refusal}");
}

/// The file has the permissions of [`Subjects`], for each user.
#[test]
fn file_has_the_permissions_of_the_subjects() {
    let shipped = shipped();
    let block = |variable: &str, Permissions { publish, subscribe }: Permissions| {
        format!(
            "nkey: ${variable}\n      permissions: {{\n        publish: {publish:?}\n        subscribe: {subscribe:?}\n      }}\n"
        )
    };
    for (variable, user) in USERS {
        let permissions = match user {
            "server" => team().server_permissions(),
            machine => team().machine_permissions(&name(machine)),
        };
        let block = block(variable, permissions);
        assert!(shipped.contains(&block), "the file has not:\n{block}");
    }
    assert_eq!(shipped.matches("permissions: {").count(), USERS.len());
}

/// A subject for which a permission is.
fn example(pattern: &str) -> String {
    pattern.replace('*', "b1").replace('>', "s1.link")
}

#[tokio::test]
async fn each_permission_of_the_file_has_its_effect() {
    let site = Site::new();
    let Some(server) = site.start("contrib_permissions") else { return };
    for (_, user) in USERS {
        let Permissions { publish, subscribe } = match user {
            "server" => team().server_permissions(),
            machine => team().machine_permissions(&name(machine)),
        };
        let connection = site.connect(&server, user).await;
        let client = connection.client();
        let mut subscriptions = Vec::new();
        for permission in &subscribe {
            let subscribed = match permission.split_once(' ') {
                Some((pattern, queue)) => client.queue_subscribe(example(pattern), queue.to_owned()).await,
                None => client.subscribe(example(permission)).await,
            };
            subscriptions.push(subscribed.expect("sent"));
        }
        for permission in &publish {
            client.publish(example(permission), "text".into()).await.expect("sent");
        }
        connection.check_permissions(team().probe()).await.unwrap_or_else(|error| panic!("{user}: {error}"));
    }
}

/// Returns whether NATS denies a subscription to this user.
async fn is_subscription_denied(connection: &Connection, subject: &str, queue: Option<&str>) -> bool {
    let client = connection.client();
    let _subscription = match queue {
        Some(queue) => client.queue_subscribe(subject.to_owned(), queue.to_owned()).await.expect("sent"),
        None => client.subscribe(subject.to_owned()).await.expect("sent"),
    };
    let expected = format!("Permissions Violation for Subscription to \"{subject}\"");
    match connection.check_permissions(team().probe()).await {
        Err(PermissionError::Denied { violation }) if violation.contains(&expected) => true,
        Ok(()) => false,
        Err(error) => panic!("{subject}: {error}"),
    }
}

/// Returns whether NATS denies this user to publish.
async fn is_publication_denied(connection: &Connection, subject: &str) -> bool {
    connection.client().publish(subject.to_owned(), "text".into()).await.expect("sent");
    let expected = format!("Permissions Violation for Publish to \"{subject}\"");
    match connection.check_permissions(team().probe()).await {
        Err(PermissionError::Denied { violation }) if violation.contains(&expected) => true,
        Ok(()) => false,
        Err(error) => panic!("{subject}: {error}"),
    }
}

#[tokio::test]
async fn file_denies_a_machine_everything_else() {
    let site = Site::new();
    let Some(server) = site.start("contrib_confined_machine") else { return };
    let (m1, m2, s1, b1, other) = (name("m1"), name("m2"), name("s1"), name("b1"), Subjects::new(&name("other")));
    let any = Subjects::of_all_circles();
    for (subject, queue) in [
        (team().machine_link(&m2), None),
        (team().machine_inbox(&m2) + ".x", None),
        ("circles.team.worker.*.link".into(), None),
        (team().server_link(&s1), None),
        (team().machines(), None),
        (team().servers(), None),
        // Without the queue group, the machine would get the requests of all machines.
        (team().placements(&b1), None),
        (team().placements(&b1), Some("spies")),
        (other.placements(&b1), Some(PLACEMENT_QUEUE)),
        (any.placements(&b1), Some(PLACEMENT_QUEUE)),
        (other.machine_link(&m1), None),
        (any.machine_link(&m1), None),
        ("_INBOX.>".into(), None),
        ("circles.>".into(), None),
        (">".into(), None),
    ] {
        let connection = site.connect(&server, "m1").await;
        assert!(is_subscription_denied(&connection, &subject, queue).await, "{subject} {queue:?}");
    }
    for subject in [
        team().machine_link(&m2),
        team().placements(&b1),
        team().servers(),
        other.machines(),
        other.server_link(&s1),
        "$SYS.REQ.SERVER.PING".into(),
    ] {
        let connection = site.connect(&server, "m1").await;
        assert!(is_publication_denied(&connection, &subject).await, "{subject}");
    }
}

#[tokio::test]
async fn file_confines_a_server_to_its_circle() {
    let site = Site::new();
    let Some(server) = site.start("contrib_confined_server") else { return };
    let (m1, s1, b1, other) = (name("m1"), name("s1"), name("b1"), Subjects::new(&name("other")));
    for subject in [other.server_link(&s1), other.machines(), other.servers(), team().machine_link(&m1), ">".into()] {
        let connection = site.connect(&server, "server").await;
        assert!(is_subscription_denied(&connection, &subject, None).await, "{subject}");
    }
    for subject in [other.placements(&b1), other.machine_link(&m1), other.servers(), team().machines()] {
        let connection = site.connect(&server, "server").await;
        assert!(is_publication_denied(&connection, &subject).await, "{subject}");
    }
}

#[tokio::test]
async fn connection_without_a_user_of_the_file_is_refused() {
    let site = Site::new();
    let Some(server) = site.start("contrib_strangers") else { return };
    let url = server.tls_url("localhost");
    let ca = Some(site.certificates.ca());
    let stranger = write_private(&site.certificates.path("stranger"), &KeyPair::new_user().seed().expect("a seed"));
    for nkey in [None, Some(stranger)] {
        let settings = NatsSettings { nkey, ca: ca.clone(), ..settings(&url) };
        let error = connect_as(settings, team().machine_inbox(&name("m1"))).await.expect_err("refused");
        assert!(!error.is_transient() && error.to_string().contains(" refuses "), "{error}");
    }
}
