//! Reloads of a circle with a worker pool.

use std::fs;

use serde_json::{Value, json};

use crate::support::{
    background::BackgroundCircles, eventually, free_port, machine::Machine, nats::NatsServer, wire::WireClient,
};

fn config(port: u16, nats: &str, play_ms: u64) -> String {
    let roles = json!({ "owner": { "call": ["*"], "play": true, "use": ["*"] } });
    let circle = json!({
        "name": "team", "port": port, "worker_pool": { "nats": nats }, "functions": "functions", "init": "init.rhai",
        "roles": roles, "anyone": "owner", "limits": { "play_ms": play_ms },
    });
    json!({ "watch": false, "circles": [circle] }).to_string()
}

/// Starts a circle whose function and init script return 1.
fn start(nats: &NatsServer) -> (BackgroundCircles, WireClient, u16) {
    let port = free_port();
    let here = BackgroundCircles::start(&config(port, &nats.url(), 30_000));
    fs::create_dir(here.home.path().join("functions")).expect("made");
    write(&here, 1);
    here.run_ok(&["up"]);
    let mut client = here.connect("team");
    eventually(|| {
        let answer = client.play("1");
        if answer.get("result").is_some() { Ok(()) } else { Err(answer) }
    });
    (here, client, port)
}

fn write(here: &BackgroundCircles, number: u64) {
    for (file, text) in [
        ("init.rhai", format!("const VERSION = {number};\n")),
        ("functions/version.rhai", format!("fn version() {{ {number} }}\n")),
    ] {
        fs::write(here.home.path().join(file), text).expect("written");
    }
}

fn called(client: &mut WireClient) -> Value {
    client.call("fn.version", json!({}))["result"].clone()
}

#[test]
fn reload_is_a_new_generation_on_machines() {
    let Some(nats) = NatsServer::start("machine_reload", "") else { return };
    let _machine = Machine::start(&nats.url(), "m1", &[]);
    let (here, mut client, _) = start(&nats);
    client.value("let kept = 1;");
    assert_eq!((client.value("VERSION"), called(&mut client)), (json!(1), json!(1)));
    write(&here, 2);
    here.run_ok(&["reload"]);
    // The session keeps its environment; functions and new environments are of the new generation.
    assert_eq!((client.value("VERSION + kept"), called(&mut client)), (json!(2), json!(2)));
    assert_eq!(here.connect("team").value("VERSION"), 2);
    client.call("reset", json!({}));
    assert_eq!(client.value("VERSION"), 2);
    // An invalid function changes nothing.
    fs::write(here.home.path().join("functions/version.rhai"), "fn version( {").expect("written");
    let refused = here.run(&["reload"]);
    assert!(refused.code != Some(0) && refused.stderr.contains("version.rhai"), "{refused:?}");
    assert_eq!(called(&mut client), 2);
}

/// Reloads while a play runs and after a fault, and waits until everything is of the new generation. Returns the answer of
/// the play.
fn reload_after(
    test: &str,
    fault: fn(&mut NatsServer, &mut Vec<Machine>),
    after: fn(&mut NatsServer),
) -> Option<Value> {
    let mut nats = NatsServer::start(test, "")?;
    let mut machines = vec![Machine::start(&nats.url(), "m1", &[])];
    let (here, mut client, port) = start(&nats);
    assert_eq!(called(&mut client), 1);
    let mut other = here.connect("team");
    let play = other.request("play", json!(["print(\"begun\"); loop {}"]));
    other.expect_print("begun");
    write(&here, 2);
    here.configure(&config(port, &nats.url(), 20_000));
    fault(&mut nats, &mut machines);
    // The files are checked on the circle's machine.
    here.run_ok(&["reload"]);
    // `after` ends the fault.
    after(&mut nats);
    client.call("reset", json!({}));
    eventually(|| {
        let answer = client.play("VERSION");
        if answer["result"]["value"] == 2 { Ok(()) } else { Err(answer) }
    });
    eventually(|| {
        let answer = client.call("fn.version", json!({}));
        if answer["result"] == 2 { Ok(()) } else { Err(answer) }
    });
    other.call("cancel", json!([play]));
    Some(other.answer(&play))
}

#[test]
fn machine_that_is_killed_during_a_reload_is_replaced() {
    let kill = |nats: &mut NatsServer, machines: &mut Vec<Machine>| {
        machines[0].kill();
        machines.push(Machine::start(&nats.url(), "m2", &[]));
    };
    let answer = reload_after("machine_reload_killed", kill, |_| {});
    let Some(answer) = answer else { return };
    assert_eq!((&answer["error"]["code"], &answer["error"]["data"]["reason"]), (&json!(-32009), &json!("killed")));
}

#[test]
fn play_runs_on_while_nats_is_killed_during_a_reload() {
    let Some(answer) = reload_after("nats_reload_killed", |nats, _| nats.kill(), |nats| nats.launch("")) else {
        return;
    };
    assert_eq!(answer["error"]["code"], -32005, "{answer}");
}
