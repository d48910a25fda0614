//! Machines that get SIGTERM.

use rustix::process::Signal;
use serde_json::json;

use super::team::{Team, play_when_possible};
use crate::support::machine::wait_for_state;

#[test]
fn sessions_move_from_a_machine_that_drains() {
    let Some(mut team) = Team::start("drain_moves", &[]) else { return };
    let mut clients = [team.connect(), team.connect()];
    for client in &mut clients {
        client.value("let mine = 1;");
    }
    team.add_ready_machine("m2");
    team.machines[0].signal(Signal::TERM);
    for client in &mut clients {
        assert_eq!(client.notification("session.reset"), json!({ "reason": "killed" }));
        // The machine refuses requests for a while before it leaves the queue group: the circle asks again until the
        // other one answers.
        assert_eq!(client.value("40 + 2"), 42);
        assert_eq!(client.error("mine")["data"]["kind"], "runtime");
    }
    assert_eq!(team.machines[0].wait().code(), Some(0));
    assert_eq!(team.machines[1].workers().len(), 2);
}

#[test]
fn running_play_ends_before_its_session_moves() {
    let Some(mut team) = Team::start("drain_waits", &[]) else { return };
    let mut client = team.connect();
    client.value("let mine = 1;");
    let running = client.request("play", json!(["print(\"begun\"); loop {}"]));
    client.expect_print("begun");
    team.add_ready_machine("m2");
    team.machines[0].signal(Signal::TERM);
    wait_for_state(&team.nats, "m1", |state| state["is_draining"] == true);
    // The play ends as on any machine.
    assert_eq!(client.call("cancel", json!([running]))["result"], json!({ "cancelled": true }));
    assert_eq!(client.answer(&running)["error"]["code"], -32005);
    assert_eq!(client.notification("session.reset"), json!({ "reason": "killed" }));
    assert_eq!(client.value("40 + 2"), 42);
    assert_eq!(team.machines[0].wait().code(), Some(0));
}

#[test]
fn worker_of_a_call_ends_with_the_call_on_a_machine_that_drains() {
    let Some(mut team) = Team::without_machine("drain_calls", &[]) else { return };
    team.add_machine_with("m1", &["--grace", "10m"]);
    let mut client = team.connect();
    play_when_possible(&mut client, "1");
    drop(client);
    team.wait_until_idle();
    let mut client = team.connect();
    let call = client.request("fn.work.slow", json!({ "key": "drain" }));
    team.machines[0].wait_for_workers(1);
    team.machines[0].signal(Signal::TERM);
    let answer = client.answer(&call);
    assert_eq!(answer["result"], 6_000_000, "{answer}");
    // The circle keeps no idle worker there.
    assert_eq!(team.machines[0].wait().code(), Some(0));
}

#[test]
fn play_that_outlives_the_grace_period_is_lost() {
    let Some(mut team) = Team::without_machine("drain_kills", &[]) else { return };
    team.add_machine_with("m1", &["--grace", "100ms"]);
    let mut client = team.connect();
    play_when_possible(&mut client, "1");
    let running = client.request("play", json!(["print(\"begun\"); loop {}"]));
    client.expect_print("begun");
    team.machines[0].signal(Signal::TERM);
    let error = client.answer(&running)["error"].clone();
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-32009), &json!("killed")), "{error}");
    assert_eq!(team.machines[0].wait().code(), Some(0));
}

#[test]
fn idle_worker_of_functions_does_not_delay_the_end() {
    let Some(mut team) = Team::without_machine("drain_functions", &[]) else { return };
    // The end of the grace period would be after the end of the test.
    team.add_machine_with("m1", &["--grace", "10m"]);
    let mut client = team.connect();
    play_when_possible(&mut client, "1");
    assert_eq!(client.call("fn.work.count", json!({ "key": "a" }))["result"], "a");
    team.add_ready_machine("m2");
    team.machines[0].signal(Signal::TERM);
    assert_eq!(team.machines[0].wait().code(), Some(0));
    assert_eq!(client.call("fn.work.count", json!({ "key": "a" }))["result"], "a");
}
