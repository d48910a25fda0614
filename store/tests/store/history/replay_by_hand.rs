//! Journals made by hand: the replay finds the fault of each, and none in a serial one.

use store::{ListOptions, Value};

use super::{
    execution::{Step, covers},
    replay::{Answer, Claim, End, Fault, Journal, Trace, check, result_of},
};

fn get(key: &str, value: Option<i64>) -> Step {
    Step::Get { key: key.to_owned(), value: value.map(Value::Integer) }
}

fn put(key: &str, value: i64) -> Step {
    Step::Put { key: key.to_owned(), value: value.into() }
}

fn add(key: &str, integer: i64) -> Step {
    Step::Add { key: key.to_owned(), integer }
}

fn delete(key: &str) -> Step {
    Step::Delete { key: key.to_owned() }
}

fn list(options: ListOptions, entries: &[(&str, i64)]) -> Step {
    let entries = entries.iter().map(|(key, value)| ((*key).to_owned(), Value::Integer(*value))).collect();
    Step::List { prefix: "k/".to_owned(), options, entries }
}

fn trace(times: (u64, u64), steps: &[Step], outcome: End) -> Trace {
    let is_write = |step: &Step| matches!(step, Step::Put { .. } | Step::Add { .. } | Step::Delete { .. });
    Trace {
        begin: times.0,
        end: times.1,
        steps: steps.to_vec(),
        has_writes: steps.iter().any(is_write),
        request: None,
        outcome,
    }
}

fn journal(traces: Vec<Trace>, last: &[(&str, i64)]) -> Journal {
    let last = last.iter().map(|(key, value)| ((*key).to_owned(), Value::Integer(*value))).collect();
    Journal { traces, claims: Vec::new(), last }
}

fn kinds(journal: &Journal) -> Vec<&'static str> {
    let kind = |fault: &Fault| match fault {
        Fault::Revision(_) => "revision",
        Fault::RealTime(_) => "real time",
        Fault::Read(_) => "read",
        Fault::Snapshot(_) => "snapshot",
        Fault::Conflict(_) => "conflict",
        Fault::Once(_) => "once",
        Fault::LastState(_) => "last state",
    };
    check(journal).iter().map(kind).collect()
}

/// Three commits one after another: `k/a` is 1, then 3, then absent.
fn serial() -> Journal {
    journal(
        vec![
            trace((1, 2), &[put("k/a", 1), get("k/a", Some(1))], End::Committed(1)),
            trace((3, 4), &[add("k/a", 2), get("k/a", Some(3))], End::Committed(2)),
            trace((5, 6), &[Step::Savepoint, put("k/b", 1), Step::RollBack, delete("k/a")], End::Committed(3)),
        ],
        &[],
    )
}

#[test]
fn serial_journal_has_no_fault() {
    assert_eq!(kinds(&serial()), [""; 0]);
}

#[test]
fn reads_of_another_state_are_found() {
    let mut reader = serial();
    reader.traces.push(trace((1, 9), &[get("k/a", Some(3))], End::Committed(2)));
    assert_eq!(kinds(&reader), [""; 0]);
    reader.traces[3].outcome = End::Committed(3);
    assert_eq!(kinds(&reader), ["read"]);
    reader.traces[3].outcome = End::Committed(4);
    assert_eq!(kinds(&reader), ["revision"]);

    // A lost update, after a read with an own addition and in a list.
    for read in [get("k/a", Some(5)), list(ListOptions::default(), &[("k/a", 5)])] {
        let steps = [add("k/a", 4), read];
        let mut writer = journal(
            vec![
                trace((1, 2), &[put("k/a", 1)], End::Committed(1)),
                trace((3, 5), &[put("k/a", 2)], End::Committed(2)),
                trace((3, 5), &steps, End::Committed(3)),
            ],
            &[("k/a", 6)],
        );
        assert_eq!(kinds(&writer), ["read"]);
        (writer.traces[1].outcome, writer.traces[2].outcome) = (End::Committed(3), End::Committed(2));
        writer.last.insert("k/a".to_owned(), 2.into());
        assert_eq!(kinds(&writer), [""; 0], "in the other order");
    }
}

#[test]
fn aborted_transactions_read_one_state() {
    let mut aborted = serial();
    let steps = [get("k/a", Some(1)), get("k/b", None)];
    aborted.traces.push(trace((1, 9), &steps, End::Dropped));
    assert_eq!(kinds(&aborted), [""; 0]);
    aborted.traces[3].begin = 5;
    assert_eq!(kinds(&aborted), ["snapshot"], "revision 2 was acknowledged before");
    aborted.traces[3].begin = 1;
    aborted.traces[3].steps.push(get("k/a", Some(3)));
    assert_eq!(kinds(&aborted), ["snapshot"]);
}

#[test]
fn revisions_are_complete_and_follow_real_time() {
    let mut late = serial();
    (late.traces[0].begin, late.traces[0].end) = (7, 8);
    assert_eq!(kinds(&late), ["real time"]);
    let mut missing = serial();
    missing.traces.remove(0);
    assert!(kinds(&missing).contains(&"revision"));
    let mut last = serial();
    last.last.insert("k/c".to_owned(), 1.into());
    assert_eq!(kinds(&last), ["last state"]);
}

#[test]
fn conflicts_have_a_reason() {
    let conflict = |key: &str, revision| End::Conflict { key: key.to_owned(), revision };
    let outcome = |outcome| {
        let mut journal = serial();
        journal.traces.push(trace((1, 9), &[get("k/a", None), get("k/b", None), put("k/c", 1)], outcome));
        kinds(&journal)
    };
    assert_eq!(outcome(conflict("k/a", 1)), [""; 0]);
    assert_eq!(outcome(conflict("k/b", 1)), ["conflict"], "the key did not change");
    assert_eq!(outcome(conflict("k/c", 1)), ["conflict"], "the transaction did not read the key");

    let limited = ListOptions { limit: 2, ..ListOptions::default() };
    let steps = [list(limited, &[("k/b", 1), ("k/d", 2)])];
    for (key, is_read) in [("k/a", true), ("k/c", true), ("k/d", true), ("k/e", false), ("l/a", false)] {
        assert_eq!(covers(&steps, key), is_read, "{key}");
    }
    assert!(!covers(&[put("k/a", 1), get("k/a", Some(1))], "k/a"));
    assert!(covers(&[add("k/a", 1), get("k/a", Some(1))], "k/a"));
}

#[test]
fn once_requests_run_once() {
    let mut twice = serial();
    twice.traces[0].request = Some(7);
    let claim = |begin, answer| Claim { begin, request: 7, answer };
    let recorded = |revision| Answer::Recorded { revision, result: Some(result_of(7)) };
    twice.claims = vec![claim(0, Answer::Claimed), claim(2, Answer::InFlight), claim(3, recorded(1))];
    assert_eq!(kinds(&twice), [""; 0]);
    twice.claims = vec![claim(3, Answer::Claimed)];
    assert_eq!(kinds(&twice), ["once"], "the request had committed");
    twice.claims = vec![claim(3, recorded(2))];
    assert_eq!(kinds(&twice), ["once"], "another commit");
    twice.claims.clear();
    twice.traces[1].request = Some(7);
    assert_eq!(kinds(&twice), ["once"]);
}
