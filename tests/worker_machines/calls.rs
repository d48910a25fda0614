//! Calls of functions whose machine is lost.

use serde_json::{Value, json};

use super::team::{Team, counts, play_when_possible};
use crate::support::{eventually, process::wait_for_end, wire::WireClient};

/// Starts a call of a function that computes for a while. Returns the request, and the machine that runs it.
fn start_call(team: &Team, client: &mut WireClient, key: &str) -> (Value, usize) {
    let call = client.request("fn.work.slow", json!({ "key": key }));
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
    let (call, machine) = start_call(&team, &mut client, "rerun");
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
    let (call, machine) = start_call(&team, &mut client, "later");
    team.machines[machine].kill();
    let mut other = team.connect();
    team.add_ready_machine("m2");
    assert_eq!(play_when_possible(&mut other, "1"), 1);
    // Another machine was there before the circle gave the first one up.
    let answer = client.answer(&call);
    assert_eq!(answer["result"], 6_000_000, "{answer}");
    assert_eq!(counts(&mut client, &["later".into()]), [1]);
}

#[test]
fn call_whose_worker_is_killed_fails_once() {
    let Some(mut team) = Team::start("killed_call", &[]) else { return };
    team.wait_until_idle();
    let mut client = team.connect();
    let (call, machine) = start_call(&team, &mut client, "killed");
    for worker in team.machines[machine].workers() {
        rustix::process::kill_process(worker, rustix::process::Signal::KILL).expect("it runs");
        wait_for_end(worker);
    }
    // Someone wants the worker to end, so the call does not run again.
    let answer = client.answer(&call);
    assert_eq!((&answer["error"]["code"], &answer["error"]["data"]["reason"]), (&json!(-32009), &json!("killed")));
    assert_eq!(counts(&mut client, &["killed".into()]), [0]);
}
