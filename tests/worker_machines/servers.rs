//! Several servers of a circle with one NATS server, and circles of one name.

use rustix::process::Signal;

use crate::support::{
    Home,
    machine::{Machine, wait_for_state},
    nats::NatsServer,
    process::ServeProcess,
};

#[test]
fn servers_with_one_identity_share_machines_and_another_circle_of_the_name_is_refused() {
    let Some(nats) = NatsServer::start("servers_share_machines", "") else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let identity = directory.path().join("team.identity");
    let url = nats.url();
    let args = ["--name", "team", "--nats", &url, "--identity", identity.to_str().expect("UTF-8")];
    let [mut first, second] = [(); 2].map(|()| ServeProcess::start(&args));
    let machine = Machine::start(&url, "m1", &[]);
    wait_for_state(&nats, "m1", |state| state["has_room"] == true);
    let [mut one, mut two] = [&first, &second].map(ServeProcess::connect);
    assert_eq!(one.value("let x = 1; x"), 1);
    assert_eq!(two.value("let x = 2; x"), 2);
    machine.wait_for_workers(2);

    let stranger = Home::new().run(&["serve", "--port", "0", "--name", "team", "--nats", &url]);
    let error = stranger.stderr.replace("\n ", "");
    assert!(stranger.code == Some(2) && error.contains("the circle team with the key "), "{stranger:?}");
    assert!(error.contains("give the circles different names, or the same identity"), "{stranger:?}");

    // A server that dies takes its own sessions along.
    first.signal(Signal::KILL);
    first.wait();
    machine.wait_for_workers(1);
    assert_eq!(two.value("x"), 2);
}
