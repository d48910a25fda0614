//! Plays on worker machines, as they are on the circle's own machine.

use std::collections::HashSet;

use rustix::process::{Signal, kill_process};
use serde_json::json;

use super::team::{Team, counts, play_when_possible};
use crate::support::process::wait_for_end;

#[test]
fn plays_keep_variables_print_in_order_and_use_the_files_of_the_circle() {
    let Some(team) = Team::start("machine_plays", &[]) else { return };
    let mut client = team.connect();
    client.value("let kept = 40;");
    assert_eq!(client.value("kept + 2"), 42);
    assert_eq!(client.value("twice(MADE_BY_INIT)"), 14);
    assert_eq!(client.value("import \"area\" as area; area::square(area::SIDE)"), 9);
    assert_eq!(client.value("circle::work::count(\"by_play\")"), "by_play");
    client.notifications.clear();
    client.value("for i in 0..2000 { print(i); }");
    let printed: Vec<_> = client.notifications.iter().map(|print| print["params"]["text"].clone()).collect();
    assert_eq!(printed, (0..2000).map(|number| json!(number.to_string())).collect::<Vec<_>>());
    assert_eq!(client.error("missing")["data"]["kind"], "runtime");
    // No worker runs on the circle's machine.
    assert!(team.circle.workers().is_empty() && !team.machines[0].workers().is_empty());
    let description = client.call("describe", json!({}));
    let layers = &description["result"]["sandbox"];
    assert!(layers.as_array().is_some_and(|layers| layers.contains(&json!("process"))), "{description}");
    assert_eq!(client.call("reset", json!({}))["result"]["reset"], true);
    assert_eq!(client.error("kept")["data"]["kind"], "runtime");
}

#[test]
fn store_of_the_circle_has_what_plays_and_functions_on_machines_write() {
    let Some(team) = Team::start("machine_store", &[]) else { return };
    let mut client = team.connect();
    client.value("store::put(\"key\", #{ list: [1, 2.5] })");
    assert_eq!(client.value("store::get(\"key\").list[1]"), json!(2.5));
    for _ in 0..3 {
        assert_eq!(client.call("fn.work.count", json!({ "key": "called" }))["result"], "called");
    }
    assert_eq!(counts(&mut client, &["called".into(), "not_called".into()]), [3, 0]);
    // A play that fails writes nothing.
    client.error("store::add(\"n/failed\", 1); throw 1");
    assert_eq!(counts(&mut client, &["failed".into()]), [0]);
}

#[test]
fn limits_and_cancel_stop_plays_and_keep_the_session() {
    let limits = ["--limit", "memory_mib=32", "--limit", "output_kib=64", "--limit", "play_ms=20000"];
    let Some(team) = Team::start("machine_limits", &limits) else { return };
    let mut client = team.connect();
    client.value("let kept = 7; let f = |x| x; let big = []; big.pad(10000, 0);");
    let error = client.error("loop { f = f.curry(big); }");
    assert_eq!((&error["code"], &error["data"]["limit"]), (&json!(-32004), &json!("memory")), "{error}");
    let error = client.error("let text = \"x\"; text.pad(1000, \"x\"); loop { print(text); }");
    assert_eq!((&error["code"], &error["data"]["limit"]), (&json!(-32004), &json!("output")), "{error}");
    let answer = client.call("play", json!({ "script": "loop {}", "timeout_ms": 200 }));
    assert_eq!(answer["error"]["data"]["limit"], "time", "{answer}");
    let play = client.request("play", json!(["print(\"begun\"); loop {}"]));
    client.expect_print("begun");
    assert_eq!(client.call("cancel", json!([play]))["result"], json!({ "cancelled": true }));
    assert_eq!(client.answer(&play)["error"]["code"], -32005);
    assert_eq!(client.value("kept"), 7);
}

#[test]
fn running_plays_take_turns_on_machines() {
    // One grant, so that the worker of the first session is held between its plays.
    let Some(team) = Team::start("machine_turns", &["--limit", "running_plays=1"]) else { return };
    let (mut first, mut second) = (team.connect(), team.connect());
    let plays: Vec<_> = (0..40)
        .map(|number| first.request("play", json!([format!("let n = 0; while n < 20000 {{ n += 1; }} {number}")])))
        .collect();
    first.answer(&plays[0]);
    assert_eq!(second.value("40 + 2"), 42);
    for (number, play) in plays.iter().enumerate().skip(1) {
        assert_eq!(first.answer(play)["result"]["value"], number);
    }
}

#[test]
fn sessions_are_placed_on_all_machines_and_share_nothing() {
    let Some(mut team) = Team::start("two_machines_of_a_circle", &[]) else { return };
    team.add_ready_machine("m2");
    let mut clients = Vec::new();
    // NATS picks a machine at random.
    while team.machines.iter().any(|machine| machine.workers().is_empty()) {
        let mut client = team.connect();
        client.value(&format!("let mine = {};", clients.len()));
        clients.push(client);
        assert!(clients.len() < 60, "all sessions are on one machine");
    }
    let values: HashSet<u64> =
        clients.iter_mut().map(|client| client.value("mine").as_u64().expect("a number")).collect();
    assert_eq!(values.len(), clients.len());
    let used: usize = team.machines.iter().map(|machine| machine.workers().len()).sum();
    assert_eq!(used, clients.len());
    drop(clients);
    team.wait_until_idle();
}

#[test]
fn play_without_a_machine_is_busy_until_there_is_one() {
    let Some(mut team) = Team::without_machine("no_machine_of_a_circle", &[]) else { return };
    let mut client = team.connect();
    let error = client.error("1");
    assert_eq!((&error["code"], &error["data"]["limit"]), (&json!(-32006), &json!("workers")), "{error}");
    assert!(error["data"]["retry_after_ms"].as_u64().is_some_and(|ms| (1000..2000).contains(&ms)), "{error}");
    team.add_machine("m1");
    assert_eq!(play_when_possible(&mut client, "40 + 2"), 42);
}

#[test]
fn full_machines_are_busy_and_a_machine_with_room_gets_the_play() {
    let Some(mut team) = Team::without_machine("full_machines", &[]) else { return };
    team.add_machine_with("m1", &["--places", "1"]);
    let (mut first, mut second) = (team.connect(), team.connect());
    play_when_possible(&mut first, "let mine = 1;");
    let error = second.error("1");
    assert_eq!((&error["code"], &error["data"]["limit"]), (&json!(-32006), &json!("workers")), "{error}");
    team.add_ready_machine("m2");
    assert_eq!(second.value("40 + 2"), 42);
    assert_eq!(team.machines[1].workers().len(), 1);
    // The place is free again after its session.
    assert_eq!(first.value("mine"), 1);
    drop((first, second));
    team.wait_until_idle();
}

#[test]
fn fork_server_that_ends_is_replaced() {
    let Some(mut team) = Team::start("killed_fork_server", &[]) else { return };
    let mut client = team.connect();
    client.value("let kept = 1;");
    let workers = team.machines[0].workers();
    for fork_server in team.machines[0].fork_servers() {
        kill_process(fork_server, Signal::KILL).expect("it runs");
    }
    workers.into_iter().for_each(wait_for_end);
    assert_eq!(client.notification("session.reset"), json!({ "reason": "killed" }));
    // No request fails.
    assert_eq!(client.value("40 + 2"), 42);
    drop(client);
    team.wait_until_idle();
}
