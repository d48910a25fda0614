//! Calls of functions whose machine is lost.

use serde_json::{Value, json};

use super::team::{Team, counts, play_when_possible};
use crate::support::{eventually, process::wait_for_end, wire::WireClient};

/// Starts a call of a function that computes for a while. Returns the request, and the machine that runs it.
fn start_call(team: &Team, client: &mut WireClient, function: &str, key: &str) -> (Value, usize) {
    let call = client.request(&format!("fn.work.{function}"), json!({ "key": key }));
    let machine = eventually(|| {
        let used = team.machines.iter().position(|machine| !machine.workers().is_empty());
        used.ok_or("no machine runs the function")
    });
    (call, machine)
}

#[test]
fn call_whose_machine_is_lost_runs_again() {
    let Some(mut team) = Team::start("rerun_call", &[]) else { return };
    team.wait_until_idle();
    team.add_ready_machine("m2");
    let mut client = team.connect();
    let (call, machine) = start_call(&team, &mut client, "slow", "rerun");
    team.machines[machine].kill();
    let answer = client.answer(&call);
    assert_eq!(answer["result"], 6_000_000, "{answer}");
    // The first attempt has written nothing.
    assert_eq!(counts(&mut client, &["rerun".into()]), [1]);
}

#[test]
fn call_runs_again_where_another_machine_appears() {
    let Some(mut team) = Team::start("rerun_call_later", &[]) else { return };
    team.wait_until_idle();
    let mut client = team.connect();
    let (call, machine) = start_call(&team, &mut client, "slow", "later");
    team.machines[machine].kill();
    let mut other = team.connect();
    team.add_ready_machine("m2");
    assert_eq!(play_when_possible(&mut other, "1"), 1);
    // Another machine was there before the circle gave the first one up.
    let answer = client.answer(&call);
    assert_eq!(answer["result"], 6_000_000, "{answer}");
    assert_eq!(counts(&mut client, &["later".into()]), [1]);
}

/// The time limit of the function is over before a lost machine is given up.
#[test]
fn call_with_little_time_runs_again_when_its_machine_is_silent() {
    let Some(mut team) = Team::start("rerun_short_call", &[]) else { return };
    // If the test machine has no processor time, the second run comes too late.
    for round in 0..5 {
        team.wait_until_idle();
        team.add_ready_machine(&format!("spare_{round}"));
        let (mut client, mut other) = (team.connect(), team.connect());
        let key = format!("key_{round}");
        let (call, machine) = start_call(&team, &mut client, "expect_key", &key);
        // The first run has seen the store as it was before, and would never end.
        play_when_possible(&mut other, &format!("store::put(\"{key}\", 42)"));
        team.machines[machine].kill();
        let answer = client.answer(&call);
        if answer["result"] == 42 {
            return;
        }
        assert_eq!(answer["error"]["data"]["limit"], "time", "{answer}");
    }
    panic!("no call ran again");
}

#[test]
fn call_of_a_play_whose_machine_is_lost_runs_again_in_its_transaction() {
    let Some(mut team) = Team::without_machine("rerun_call_of_play", &[]) else { return };
    // The session takes the only place.
    team.add_machine_with("m1", &["--places", "1"]);
    let mut client = team.connect();
    play_when_possible(&mut client, "let kept = 40;");
    team.add_ready_machine("m2");
    let play = client.request("play", json!(["store::add(\"n/play\", 1); circle::work::slow(\"by_play\") + kept"]));
    eventually(|| if team.machines[1].workers().is_empty() { Err("no machine runs the function") } else { Ok(()) });
    team.add_ready_machine("m3");
    team.machines[1].kill();
    let answer = client.answer(&play);
    assert_eq!(answer["result"]["value"], 6_000_040, "{answer}");
    assert_eq!(counts(&mut client, &["play".into(), "by_play".into()]), [1, 1]);
}

#[test]
fn call_whose_worker_is_killed_fails_once() {
    let Some(mut team) = Team::start("killed_call", &[]) else { return };
    team.wait_until_idle();
    let mut client = team.connect();
    let (call, machine) = start_call(&team, &mut client, "slow", "killed");
    for worker in team.machines[machine].workers() {
        rustix::process::kill_process(worker, rustix::process::Signal::KILL).expect("it runs");
        wait_for_end(worker);
    }
    // Someone wants the worker to end, so the call does not run again.
    let answer = client.answer(&call);
    assert_eq!((&answer["error"]["code"], &answer["error"]["data"]["reason"]), (&json!(-32009), &json!("killed")));
    assert_eq!(counts(&mut client, &["killed".into()]), [0]);
}
