//! Connections, workers and servers that end at random times: each client gets each answer exactly once, and nothing leaks.

use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::races::{Dice, RaceOutcome, outcome, script};
use crate::support::{
    process::{MAX_SPARES, ServeProcess, wait_for_end},
    wire::WireClient,
};

/// Scripts that a session plays when its client disconnects.
const BUSY: &[&[&str]] = &[
    &[],
    // Starts a worker.
    &["1"],
    &["loop {}"],
    &["loop { print(`x`) }"],
    &["let s = ``; s.pad(3000, 'x'); loop { print(s) }"],
    &["loop {}", "1", "loop {}", "print(1)"],
    &["1", "1", "1", "1", "1", "1", "1", "1"],
];

#[test]
fn disconnect_at_any_stage_leaves_nothing() {
    let server = ServeProcess::open();
    let (mut dice, mut other) = (Dice::new(), server.connect());
    other.value("let mine = 7;");
    server.wait_for_spares(MAX_SPARES);
    let before = server.descriptors();
    for round in 0..140 {
        let mut wire = server.connect();
        if round % 3 == 0 {
            // So the next play is not the first.
            wire.value("1");
        }
        for script in BUSY[round % BUSY.len()] {
            wire.request("play", json!([script]));
        }
        if dice.below(2) == 0 {
            wire.request("complete", json!(["l", 1]));
            wire.request("reset", json!([]));
        }
        for _ in 0..dice.below(3) {
            wire.call("describe", json!([]));
        }
        match dice.below(3) {
            0 => drop(wire),
            // Sends a close frame, and does not wait for the answer.
            1 => wire.socket.close(None).expect("sent"),
            // Closes only its sending side.
            _ => wire
                .socket
                .get_ref()
                .try_clone()
                .expect("a descriptor")
                .shutdown(std::net::Shutdown::Write)
                .expect("open"),
        }
        assert_eq!(other.value("mine"), 7);
    }
    server.wait_until_at_most(1, before);
    assert_eq!(other.value("mine"), 7);
}

/// Reads until the play is answered; returns the number of reported losses, by notification or answer, and the answer.
fn losses_until(wire: &mut WireClient, play: &Value) -> (usize, Value) {
    let mut losses = 0;
    loop {
        let message = wire.next();
        if message["method"] == "session.reset" {
            assert_eq!(message["params"]["reason"], "killed");
            losses += 1;
        }
        if message.get("method").is_none() {
            assert_eq!(message["id"], *play, "{message}");
            losses += usize::from(message["error"]["code"] == -32009);
            return (losses, message);
        }
    }
}

#[test]
fn killed_worker_is_reported_exactly_once() {
    let server = ServeProcess::open();
    let mut dice = Dice::new();
    for round in 0..90 {
        let mut wire = server.connect();
        wire.value("let mine = 1;");
        let [worker] = server.workers()[..] else { panic!("one worker") };
        let kill = || kill_process(worker, Signal::KILL).expect("it is there");
        let mut losses = 0;
        let mut play = |wire: &mut WireClient, script: &str, kill: Option<&dyn Fn()>| {
            let play = wire.request("play", json!([script]));
            if let Some(kill) = kill {
                kill();
            }
            let (reported, answer) = losses_until(wire, &play);
            losses += reported;
            answer
        };
        let length = script(&mut dice);
        match round % 3 {
            0 => {
                kill();
                let outcome = outcome(&play(&mut wire, &length, None));
                assert!(matches!(outcome, RaceOutcome::Value | RaceOutcome::Lost), "{outcome:?}");
            }
            1 => {
                let outcome = outcome(&play(&mut wire, &length, Some(&kill)));
                assert!(matches!(outcome, RaceOutcome::Value | RaceOutcome::Lost), "{outcome:?}");
            }
            _ => {
                assert_eq!(outcome(&play(&mut wire, &length, None)), RaceOutcome::Value);
                kill();
            }
        }
        // The session goes on; pending reports arrive before this answer, or as this answer.
        while play(&mut wire, "if is_def_var(`mine`) { 1 } else { 7 }", None)["result"]["value"] != 7 {}
        assert_eq!(losses, 1);
        drop(wire);
        for worker in server.workers() {
            wait_for_end(worker);
        }
    }
}

/// Reads answers until the connection is closed; asserts that each arrives once.
fn until_closed(wire: &mut WireClient) -> Vec<Value> {
    let mut answers: Vec<Value> = Vec::new();
    loop {
        match wire.socket.read() {
            Ok(Message::Text(text)) => {
                let message: Value = serde_json::from_str(&text).expect("JSON");
                if message.get("method").is_none() {
                    assert!(answers.iter().all(|other| other["id"] != message["id"]), "{message}");
                    answers.push(message);
                }
            }
            Ok(Message::Close(frame)) => assert_eq!(u16::from(frame.expect("with a code").code), 1001),
            Ok(_) => {}
            // The client has answered the close frame by then.
            Err(Error::ConnectionClosed) => return answers,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn server_shutdown_answers_each_play_once() {
    let mut dice = Dice::new();
    for _ in 0..10 {
        let mut server = ServeProcess::open();
        let mut wires: Vec<WireClient> = (0..4).map(|_| server.connect()).collect();
        let mut plays: Vec<Vec<Value>> = Vec::new();
        for wire in &mut wires {
            plays.push(
                (0..6)
                    .map(|_| {
                        let script = if dice.below(3) == 0 { "loop {}".into() } else { script(&mut dice) };
                        wire.request("play", json!([script, 100]))
                    })
                    .collect(),
            );
            // The answer shows that the circle has accepted all earlier requests.
            let admitted = wire.request("describe", json!([]));
            wire.answer(&admitted);
        }
        let cancels: Vec<Vec<(usize, Value)>> = wires
            .iter_mut()
            .zip(&plays)
            .map(|(wire, plays)| {
                let some = (0..plays.len()).filter(|_| dice.below(2) == 0);
                some.map(|at| (at, wire.request("cancel", json!([plays[at]])))).collect()
            })
            .collect();
        server.signal(Signal::TERM);
        for ((wire, plays), cancels) in wires.iter_mut().zip(&plays).zip(&cancels) {
            let mut answers = wire.take_answers();
            answers.extend(until_closed(wire));
            let find = |id: &Value| answers.iter().filter(|answer| answer["id"] == *id).collect::<Vec<_>>();
            for play in plays {
                let [answer] = find(play)[..] else { panic!("{play}: {answers:?}") };
                outcome(answer);
            }
            for (at, cancel) in cancels {
                // A cancellation that arrives too late is not answered.
                if let [answer] = find(cancel)[..] {
                    let outcome = outcome(find(&plays[*at])[0]);
                    let is_cancelled = matches!(outcome, RaceOutcome::Cancelled | RaceOutcome::Lost);
                    assert_eq!(answer["result"]["cancelled"], is_cancelled, "{outcome:?}");
                }
            }
        }
        assert_eq!(server.wait().code(), Some(0));
    }
}
