//! Histories made by hand: the checker finds the anomaly of each, and none in a serial one.

use crate::{Anomaly, Observed, Operation, Outcome, check};

fn read(key: &str, list: &[u64]) -> Operation {
    Operation::Read { key: key.to_owned(), list: list.to_vec() }
}

fn append(key: &str, element: u64) -> Operation {
    Operation::Append { key: key.to_owned(), element }
}

fn set(key: &str, before: Option<u64>, element: u64) -> Operation {
    Operation::Set { key: key.to_owned(), before, element }
}

fn scan(prefix: &str, found: &[(&str, &[u64])]) -> Operation {
    let found = found.iter().map(|(key, list)| ((*key).to_owned(), list.to_vec())).collect();
    Operation::Scan { prefix: prefix.to_owned(), until: None, found }
}

/// Transactions at the same time, of which all commit, unless said otherwise, and a later read of everything.
fn concurrent(transactions: &[&[Operation]], last: &[Operation]) -> Vec<Observed> {
    let observed = |operations: &[Operation], begin| Observed {
        begin,
        end: begin + 9,
        outcome: Outcome::Committed,
        operations: operations.to_vec(),
    };
    let mut history: Vec<Observed> = transactions.iter().map(|operations| observed(operations, 0)).collect();
    history.push(observed(last, 10));
    history
}

/// The kinds of the anomalies.
fn kinds(history: &[Observed]) -> Vec<&'static str> {
    let mut kinds: Vec<_> = check(history)
        .iter()
        .map(|anomaly| match anomaly {
            Anomaly::LostUpdate(_) => "lost update",
            Anomaly::Cycle(_) => "cycle",
            Anomaly::LostWrite(_) => "lost write",
            Anomaly::Divergence(_) => "divergence",
            Anomaly::AbortedRead(_) => "aborted read",
            Anomaly::IntermediateRead(_) => "intermediate read",
            Anomaly::Internal(_) => "internal",
            Anomaly::Duplicate(_) => "duplicate",
            Anomaly::HalfDone(_) => "half done",
        })
        .collect();
    kinds.dedup();
    kinds
}

#[test]
fn serial_history_has_no_anomaly() {
    let history = concurrent(
        &[
            &[read("l/x", &[]), append("l/x", 1), read("l/x", &[1]), append("l/x", 2)],
            &[read("l/x", &[1, 2]), append("l/y", 3), set("r/a", None, 4)],
            &[scan("l/", &[("l/x", &[1, 2]), ("l/y", &[3])]), set("r/a", Some(4), 5)],
        ],
        &[read("l/x", &[1, 2]), read("l/y", &[3])],
    );
    assert_eq!(kinds(&history), [""; 0]);
}

#[test]
fn lost_update_is_found() {
    let update = |element| [read("x", &[]), append("x", element)];
    assert_eq!(kinds(&concurrent(&[&update(1), &update(2)], &[read("x", &[2])])), ["lost update", "lost write"]);
    assert_eq!(kinds(&concurrent(&[&update(1), &update(2)], &[read("x", &[1, 2])])), ["lost update", "cycle"]);
    let update = |element| [set("r/x", None, element)];
    assert_eq!(kinds(&concurrent(&[&update(1), &update(2)], &[])), ["lost write", "divergence"]);
}

#[test]
fn write_skew_is_found() {
    let history = concurrent(
        &[&[read("x", &[]), append("y", 1)], &[read("y", &[]), append("x", 2)]],
        &[read("x", &[2]), read("y", &[1])],
    );
    assert_eq!(kinds(&history), ["cycle"]);
}

#[test]
fn phantom_is_found() {
    let history = concurrent(
        &[&[scan("a/", &[]), append("a/1", 1)], &[scan("a/", &[]), append("a/2", 2)]],
        &[read("a/1", &[1]), read("a/2", &[2])],
    );
    assert_eq!(kinds(&history), ["cycle"]);
}

#[test]
fn stale_read_is_found() {
    let mut history = concurrent(&[&[append("x", 1)], &[read("x", &[])]], &[read("x", &[1])]);
    assert_eq!(kinds(&history), [""; 0]);
    (history[1].begin, history[1].end) = (9, 10);
    assert_eq!(kinds(&history), [""; 0], "at the same time");
    history[0].end = 5;
    assert_eq!(kinds(&history), ["cycle"], "the read began after the write had ended");
}

#[test]
fn torn_and_foreign_reads_are_found() {
    let writes = [append("x", 1), append("x", 2)];
    let intermediate = concurrent(&[&writes, &[read("x", &[1])]], &[read("x", &[1, 2])]);
    assert!(kinds(&intermediate).contains(&"intermediate read"));
    let foreign = concurrent(&[&[append("x", 1)]], &[read("x", &[1, 7])]);
    assert!(kinds(&foreign).contains(&"aborted read"));
    let mut aborted = concurrent(&[&[append("x", 1)]], &[read("x", &[1])]);
    aborted[0].outcome = Outcome::Aborted;
    assert!(kinds(&aborted).contains(&"aborted read"));
    aborted[0].outcome = Outcome::Unknown;
    assert_eq!(kinds(&aborted), [""; 0], "an unknown outcome may be a commit");
    let internal = concurrent(&[&[append("x", 1), read("x", &[])]], &[read("x", &[1])]);
    assert!(kinds(&internal).contains(&"internal"));
    let twice = concurrent(&[&[append("x", 1)]], &[read("x", &[1, 1])]);
    assert!(kinds(&twice).contains(&"duplicate"));
}

#[test]
fn half_done_transaction_is_found() {
    let get = |element| Operation::Get { key: "r/a".to_owned(), element };
    let writes = [append("x", 1), append("y", 2), set("r/a", None, 3)];
    let outcome = |list: &[u64], element| {
        let mut history = concurrent(&[&writes], &[read("x", list), read("y", &[2]), get(element)]);
        history[0].outcome = Outcome::Unknown;
        kinds(&history)
    };
    assert_eq!(outcome(&[1], Some(3)), [""; 0]);
    assert_eq!(outcome(&[], Some(3)), ["half done"]);
    assert_eq!(outcome(&[1], None), ["half done"], "a register shows only its last write");
}
