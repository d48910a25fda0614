//! `circles worker` as a command: its options, its errors, and the end of its process.

use std::{
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    process::Child,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{
    CommandOutput, Home, eventually, free_port,
    machine::{Machine, wait_for_state},
    nats::NatsServer,
    process::ServeProcess,
};

fn worker(home: &Home, options: &[&str]) -> CommandOutput {
    home.run(&[&["worker", "--nats"], options].concat())
}

/// Makes an nkey in the home, and returns its public key.
fn new_nkey(home: &Home, file: &str) -> String {
    let ran = home.run(&["worker", "--new-nkey", file]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stdout.trim().to_owned()
}

/// A nats-server with a user for the machine m1 of the circle team.
fn team_server(public_key: &str) -> String {
    format!(
        r#"authorization {{ users = [ {{ nkey: {public_key}, permissions: {{
            publish: ["circles.team.server.>", "circles.team.machines"]
            subscribe: ["circles.team.place.* workers", "circles.team.worker.m1.>"]
        }} }} ] }}"#
    )
}

#[test]
fn new_nkey_is_written_once() {
    let home = Home::new();
    let public_key = new_nkey(&home, "m1.nkey");
    assert!(public_key.starts_with('U') && public_key.len() == 56, "{public_key}");
    let file = home.path().join("m1.nkey");
    assert_eq!(std::fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
    let seed = std::fs::read_to_string(&file).expect("a seed");
    let ran = home.run(&["worker", "--new-nkey", "m1.nkey"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("m1.nkey exists already; name a new file"), "{ran:?}");
    assert_eq!(std::fs::read_to_string(&file).expect("a seed"), seed);
    assert!(seed.starts_with("SU") && !ran.stderr.contains(&seed), "{ran:?}");
}

#[test]
fn invalid_settings_end_the_command_with_code_2() {
    let home = Home::new();
    for (options, piece) in [
        (&["http://n1"][..], "invalid --nats: 'http://n1' is not a NATS server: its scheme is 'http'; write nats://"),
        (&["tls://u:hunter2@n1"], "has a user or a password: remove them, and set credentials, nkey, or user"),
        (&["n1", "--nats-user", "a"], "invalid --nats-user: user is set for NATS without password_file"),
        (&["n1", "--nats-nkey", "none"], "invalid --nats-nkey: the NATS nkey file none does not exist"),
    ] {
        let ran = worker(&home, options);
        assert!(ran.code == Some(2) && ran.stderr.contains(piece), "{options:?}: {ran:?}");
        assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
    }
}

#[test]
fn unreachable_server_ends_the_command_with_code_3() {
    let address = format!("127.0.0.1:{}", free_port());
    let ran = worker(&Home::new(), &[&address]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stderr.contains("check the address, and that nats-server runs there"), "{ran:?}");
}

#[test]
fn refused_credentials_and_permissions_end_the_command_with_code_4() {
    let home = Home::new();
    let Some(server) = NatsServer::start("worker_is_refused", &team_server(&new_nkey(&home, "m1.nkey"))) else {
        return;
    };
    let stranger = new_nkey(&home, "stranger.nkey");
    let url = server.url();
    for (options, piece) in [
        (&["--circle", "team", "--name", "m1"][..], "refuses connections without credentials".to_owned()),
        (&["--nats-nkey", "stranger.nkey", "--circle", "team", "--name", "m1"], format!("refuses nkey {stranger}")),
        (&["--nats-nkey", "m1.nkey", "--circle", "team", "--name", "m2"], "circles.team.worker.m2.".into()),
        (&["--nats-nkey", "m1.nkey", "--circle", "other", "--name", "m1"], "circles.other.".into()),
        // Permissions for one circle are none for all circles.
        (&["--nats-nkey", "m1.nkey", "--name", "m1"], "add the subject to the permissions of this user".into()),
    ] {
        let ran = worker(&home, &[&[url.as_str()], options].concat());
        // Lines are wrapped.
        let error = ran.stderr.replace('\n', " ").replace("  ", " ");
        assert!(ran.code == Some(4) && error.contains(&piece), "{piece}: {ran:?}");
    }
}

#[test]
fn circle_and_machine_authenticate_with_nkeys() {
    let (home, circle_home) = (Home::new(), Home::new());
    let circle_key = new_nkey(&circle_home, "team.nkey");
    let users = team_server(&new_nkey(&home, "m1.nkey")).replace(
        "users = [",
        &format!(
            r#"users = [ {{ nkey: {circle_key}, permissions: {{
                publish: ["circles.team.place.*", "circles.team.worker.>", "circles.team.server.>", "circles.team.servers"]
                subscribe: ["circles.team.server.>", "circles.team.servers", "circles.team.machines"]
            }} }},"#
        ),
    );
    let Some(server) = NatsServer::start("nkeys", &users) else { return };
    let url = server.url();
    let _machine = Machine::start_in(home, &url, "m1", &["--nats-nkey", "m1.nkey"]);
    let args = ["--name", "team", "--nats", &url, "--nats-nkey", "team.nkey"];
    let circle = ServeProcess::start_in(circle_home, &args);
    let mut client = circle.connect();
    let value = eventually(|| {
        let answer = client.play("40 + 2");
        answer.get("result").map(|result| result["value"].clone()).ok_or(answer)
    });
    assert_eq!(value, 42);
}

/// Reads lines of standard error up to one with this text.
fn wait_for_line(child: &mut Child, piece: &str) {
    let lines = BufReader::new(child.stderr.as_mut().expect("piped")).lines();
    let seen = lines.map(|line| line.expect("UTF-8")).find(|line| line.contains(piece));
    assert!(seen.is_some(), "it ended without {piece}");
}

#[test]
fn worker_waits_for_a_server_with_wait() {
    let Some(mut server) = NatsServer::start("worker_waits", "") else { return };
    server.kill();
    let home = Home::new();
    let mut command = home.command();
    let mut child = command
        .args(["worker", "--circle", "team", "--name", "m1", "--wait", "--nats", &server.url()])
        .spawn()
        .expect("the binary runs");
    wait_for_line(&mut child, "warning: could not connect to NATS");
    server.launch("");
    wait_for_state(&server, "m1", |state| state["has_room"] == true);
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn invalid_pool_of_a_circle_is_refused() {
    let home = Home::new();
    let ran = home.run(&["serve", "--port", "0", "--nats", "ftp://n1"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("invalid --nats: 'ftp://n1'"), "{ran:?}");
    let circles = r#"{ "circles": [{ "name": "team", "port": 0, "worker_pool": { "nats": "ftp://n1" } }] }"#;
    std::fs::write(home.path().join("circles.json"), circles).expect("written");
    let ran = home.run(&["up"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("'ftp://n1' is not a NATS server"), "{ran:?}");
}

#[test]
fn machine_ends_with_code_0_after_a_signal() {
    let Some(server) = NatsServer::start("machine_ends", "") else { return };
    for signal in [Signal::TERM, Signal::INT] {
        let mut machine = Machine::start(&server.url(), "m1", &[]);
        wait_for_state(&server, "m1", |state| state["has_room"] == true);
        machine.signal(signal);
        assert_eq!(machine.wait().code(), Some(0), "{}", machine.log());
    }
}
