//! Races of results, cancellations, limits and resets: each play has exactly one outcome. The tests do not sleep; scripts of
//! different lengths and requests in between vary the timing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::{process::ServeProcess, wire::WireClient};

/// Deterministic pseudorandom numbers.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new() -> Self {
        Self(42)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        // Knuth's MMIX generator; its upper bits are the most random ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A script of random duration: from nothing to a few milliseconds.
pub(super) fn script(dice: &mut Dice) -> String {
    let scale = [1, 500, 5_000, 50_000][usize::try_from(dice.below(4)).expect("small")];
    format!("for i in 0..{} {{}} 7", dice.below(scale))
}

/// Sends a random number of requests that delay the next one a little.
fn wait_randomly(wire: &mut WireClient, dice: &mut Dice) -> Vec<Value> {
    (0..dice.below(4)).map(|_| wire.request("describe", json!([]))).collect()
}

/// Collects exactly one answer for each request; asserts that the session still plays, and that there are no other answers.
fn settle(wire: &mut WireClient, ids: impl IntoIterator<Item = Value>) -> Answers {
    let mut missing: BTreeSet<String> = ids.into_iter().map(|id| id.to_string()).collect();
    let mut answers = BTreeMap::new();
    let mut take = |wire: &mut WireClient, missing: &mut BTreeSet<String>| {
        let message = wire.next();
        if message.get("method").is_none() {
            let id = message["id"].to_string();
            assert!(missing.remove(&id), "nothing of that id is to be answered: {message}");
            answers.insert(id, message);
        }
    };
    while !missing.is_empty() {
        take(wire, &mut missing);
    }
    let last = wire.request("play", json!(["40 + 2"]));
    missing.insert(last.to_string());
    while !missing.is_empty() {
        take(wire, &mut missing);
    }
    let answers = Answers(answers);
    assert_eq!(answers.of(&last)["result"]["value"], 42);
    answers
}

#[derive(Default)]
struct Answers(BTreeMap<String, Value>);

impl Answers {
    fn add(&mut self, later: Self) {
        self.0.extend(later.0);
    }

    fn of(&self, id: &Value) -> &Value {
        &self.0[&id.to_string()]
    }

    /// Outcome of a play, checked against the answer of its cancellation.
    fn outcome(&self, play: &Value, cancel: &Value) -> RaceOutcome {
        let (answer, cancelled) = (self.of(play), &self.of(cancel)["result"]["cancelled"]);
        let outcome = outcome(answer);
        let is_cancelled = matches!(outcome, RaceOutcome::Cancelled | RaceOutcome::Lost);
        assert_eq!(cancelled, &json!(is_cancelled), "{answer}");
        outcome
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RaceOutcome {
    Value,
    Cancelled,
    Time,
    ShuttingDown,
    Lost,
}

/// Outcome of an answer. Panics at any other answer.
pub(super) fn outcome(answer: &Value) -> RaceOutcome {
    match (answer["error"]["code"].as_i64(), answer["error"]["data"]["limit"].as_str()) {
        (None, _) if answer["result"]["value"] == 7 => RaceOutcome::Value,
        (Some(-32004), Some("time")) => RaceOutcome::Time,
        (Some(-32005), _) => RaceOutcome::Cancelled,
        (Some(-32008), _) => RaceOutcome::ShuttingDown,
        (Some(-32009), _) => RaceOutcome::Lost,
        _ => panic!("{answer}"),
    }
}

#[test]
fn cancellation_and_result_agree() {
    let server = ServeProcess::open();
    let (mut wire, mut dice, mut seen) = (server.connect(), Dice::new(), BTreeSet::new());
    for round in 0..400 {
        // The first two cases have a certain winner; the others race.
        let (script, is_awaited) = match round % 20 {
            0 => ("loop {}".to_owned(), false),
            1 => ("7".to_owned(), true),
            _ => (script(&mut dice), false),
        };
        let play = wire.request("play", json!([script]));
        let mut answers = Answers::default();
        if is_awaited {
            answers.add(settle(&mut wire, [play.clone()]));
        }
        let mut ids = wait_randomly(&mut wire, &mut dice);
        let cancel = wire.request("cancel", json!([play]));
        ids.push(cancel.clone());
        ids.extend((!is_awaited).then(|| play.clone()));
        answers.add(settle(&mut wire, ids));
        seen.insert(answers.outcome(&play, &cancel));
    }
    // Both outcomes occurred.
    assert!(seen.contains(&RaceOutcome::Value) && seen.contains(&RaceOutcome::Cancelled), "{seen:?}");
}

#[test]
fn second_cancellation_gets_the_outcome_of_the_first() {
    let server = ServeProcess::open();
    let (mut wire, mut dice) = (server.connect(), Dice::new());
    for _ in 0..200 {
        let play = wire.request("play", json!([script(&mut dice)]));
        let mut ids = wait_randomly(&mut wire, &mut dice);
        let first = wire.request("cancel", json!([play]));
        ids.extend(wait_randomly(&mut wire, &mut dice));
        let second = wire.request("cancel", json!([play]));
        ids.extend([play.clone(), first.clone(), second.clone()]);
        let answers = settle(&mut wire, ids);
        answers.outcome(&play, &first);
        let is_cancelled = |id| answers.of(id)["result"]["cancelled"].as_bool().expect("an answer");
        assert!(is_cancelled(&first) || !is_cancelled(&second));
    }
}

#[test]
fn time_limit_and_result_leave_one_outcome() {
    let server = ServeProcess::open();
    let (mut wire, mut dice, mut seen) = (server.connect(), Dice::new(), BTreeSet::new());
    for round in 0..200 {
        // The first two cases have a certain winner; the others race.
        let script = match round % 20 {
            0 => "7".to_owned(),
            1 => "loop {}".to_owned(),
            _ => format!("for i in 0..{} {{}} 7", dice.below(40_000)),
        };
        let play = wire.request("play", json!([script, if round % 20 == 0 { 10_000 } else { 1 + dice.below(2) }]));
        seen.insert(outcome(settle(&mut wire, [play.clone()]).of(&play)));
    }
    assert_eq!(seen, BTreeSet::from([RaceOutcome::Value, RaceOutcome::Time]));
}

#[test]
fn cancellation_and_time_limit_agree() {
    let server = ServeProcess::open();
    let (mut wire, mut dice, mut seen) = (server.connect(), Dice::new(), BTreeSet::new());
    for round in 0..200 {
        // The limit applies before, after, or about at the same time as the cancellation.
        let (timeout_ms, is_awaited) = [(0, true), (10_000, false), (1, false), (2, false)][round % 4];
        let play = wire.request("play", json!(["loop {}", timeout_ms]));
        let mut answers = Answers::default();
        if is_awaited {
            answers.add(settle(&mut wire, [play.clone()]));
        }
        let mut ids: Vec<Value> = Vec::new();
        for _ in 0..dice.below(if timeout_ms > 2 { 4 } else { 60 }) {
            ids.push(wire.request("describe", json!([])));
        }
        let cancel = wire.request("cancel", json!([play]));
        ids.push(cancel.clone());
        ids.extend((!is_awaited).then(|| play.clone()));
        answers.add(settle(&mut wire, ids));
        seen.insert(answers.outcome(&play, &cancel));
    }
    assert!(seen.contains(&RaceOutcome::Time) && seen.contains(&RaceOutcome::Cancelled), "{seen:?}");
}

#[test]
fn queued_play_is_cancelled_before_or_after_its_start() {
    let server = ServeProcess::open();
    let (mut wire, mut dice) = (server.connect(), Dice::new());
    for _ in 0..100 {
        wire.value("let done = [];");
        let plays: Vec<Value> =
            (0..5).map(|n| wire.request("play", json!([format!("done.push({n}); {}", script(&mut dice))]))).collect();
        let mut ids = plays.clone();
        let mut cancels = Vec::new();
        for play in plays.iter().rev() {
            ids.extend(wait_randomly(&mut wire, &mut dice));
            cancels.push((play, wire.request("cancel", json!([play]))));
        }
        ids.extend(cancels.iter().map(|(_, cancel)| cancel.clone()));
        let answers = settle(&mut wire, ids);
        let done = wire.value("done");
        let done: Vec<u64> = serde_json::from_value(done).expect("numbers");
        assert!(done.is_sorted(), "{done:?}");
        for (play, cancel) in cancels {
            let index = plays.iter().position(|other| other == play).expect("one of them") as u64;
            // A play with a value was executed; a cancelled one may have been.
            let has_value = answers.outcome(play, &cancel) == RaceOutcome::Value;
            assert!(!has_value || done.contains(&index), "{index} {done:?}");
        }
    }
}

#[test]
fn reset_keeps_its_place_in_the_queue() {
    let server = ServeProcess::open();
    let (mut wire, mut dice) = (server.connect(), Dice::new());
    for _ in 0..60 {
        let before = wire.request("play", json!([format!("let mine = 1; {}", script(&mut dice))]));
        let mut ids = wait_randomly(&mut wire, &mut dice);
        let reset = wire.request("reset", json!([]));
        let behind = wire.request("play", json!(["if is_def_var(`mine`) { 1 } else { 7 }"]));
        ids.extend(wait_randomly(&mut wire, &mut dice));
        let cancel = wire.request("cancel", json!([before]));
        ids.extend([before.clone(), reset.clone(), behind.clone(), cancel.clone()]);
        let answers = settle(&mut wire, ids);
        answers.outcome(&before, &cancel);
        assert_eq!(answers.of(&reset)["result"], json!({ "reset": true }));
        assert_eq!(outcome(answers.of(&behind)), RaceOutcome::Value);
    }
}
