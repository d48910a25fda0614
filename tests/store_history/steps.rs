//! The steps of a transaction, their execution in Rhai, and the operations that their results show.

use std::collections::HashMap;

use history::{Operation, Random};
use serde_json::{Value, json};

/// Executes steps, and returns the result of each. The same source is a file of functions and the begin of plays.
pub(super) const RUN: &str = r#"
fn run(steps) {
    let results = [];
    for step in steps {
        let result = switch step.op {
            "read" => store::get(step.key, []),
            "append" => append_to(step.key, step.element),
            "scan" => store::list(step.prefix, #{ limit: step.limit }).map(|entry| [entry.key, entry.value]),
            "add" => store::add(step.key, 1),
        };
        results.push(result);
    }
    results
}

private fn append_to(key, element) {
    let list = store::get(key, []);
    let longer = list + [element];
    if key.starts_with("r/") && longer.len() > 24 { longer.remove(0); }
    store::put(key, longer);
    list
}
"#;

/// The files of functions: `history.run` and `history.fail`, which throws after its steps, and `nested.run`, whose parts
/// are calls of `history.run`.
pub(super) const FUNCTIONS: [(&str, &str); 3] = [
    ("history", RUN),
    ("failing", "fn run(steps) { throw circle::history::run(steps); }"),
    (
        "nested",
        "fn run(parts) { let results = []; for steps in parts { results += circle::history::run(steps); } results }",
    ),
];

/// Number of elements that a register keeps, its last writes. The clients cannot write more often between two answers, so
/// the register shows the predecessor of each write whose answer was lost.
const REGISTER_ELEMENTS: usize = 24;

/// An element that nothing has. It stands for the unknown predecessor of a write that nobody has seen.
const UNSEEN: u64 = u64::MAX;

/// Requests after which new keys are used, so that the lists and the recorded results stay short.
const REQUESTS_OF_AN_EPOCH: usize = 100;
const LISTS: usize = 5;
const REGISTERS: usize = 3;
const COUNTERS: usize = 2;

/// The elements that come before an element in its register, as far as reads have shown them.
pub(super) type Predecessors = HashMap<u64, Option<u64>>;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Read { key: String },
    Append { key: String, element: u64 },
    Scan { prefix: String, limit: usize },
    Add { key: String },
}

fn list_key(epoch: usize, list: usize) -> String {
    format!("l/{epoch:04}/{list}")
}

fn register_key(epoch: usize, register: usize) -> String {
    format!("r/{epoch:04}/{register}")
}

fn counter_key(counter: usize) -> String {
    format!("c/{counter}")
}

impl Step {
    /// A random step of the request with a number.
    pub(super) fn random(random: &mut Random, request: usize, element: impl FnOnce() -> u64) -> Self {
        let epoch = request / REQUESTS_OF_AN_EPOCH;
        let key = match random.below(3) {
            0 => register_key(epoch, random.below(REGISTERS)),
            _ => list_key(epoch, random.below(LISTS)),
        };
        match random.below(12) {
            0..3 => Self::Read { key },
            3..6 => {
                let limit = if random.one_in(2) { 1 + random.below(LISTS) } else { 100 };
                Self::Scan { prefix: format!("l/{epoch:04}/"), limit }
            }
            6 => Self::Add { key: counter_key(random.below(COUNTERS)) },
            _ => Self::Append { key, element: element() },
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Read { key } => json!({ "op": "read", "key": key }),
            Self::Append { key, element } => json!({ "op": "append", "key": key, "element": element }),
            Self::Scan { prefix, limit } => json!({ "op": "scan", "prefix": prefix, "limit": limit }),
            Self::Add { key } => json!({ "op": "add", "key": key }),
        }
    }

    /// The operations that a result shows.
    fn operations(&self, result: &Value) -> Vec<Operation> {
        let is_register = |key: &str| key.starts_with("r/");
        match self {
            Self::Read { key } if is_register(key) => {
                vec![Operation::Get { key: key.clone(), element: elements(result).last().copied() }]
            }
            Self::Read { key } => vec![Operation::Read { key: key.clone(), list: elements(result) }],
            Self::Append { key, element } => {
                let (key, element, list) = (key.clone(), *element, elements(result));
                let before = list.last().copied();
                if is_register(&key) {
                    return vec![
                        Operation::Get { key: key.clone(), element: before },
                        Operation::Set { key, before, element },
                    ];
                }
                vec![Operation::Read { key: key.clone(), list }, Operation::Append { key, element }]
            }
            Self::Scan { prefix, limit } => {
                let entries = result.as_array().expect("entries");
                let entry = |entry: &Value| (entry[0].as_str().expect("a key").to_owned(), elements(&entry[1]));
                let entries: Vec<_> = entries.iter().map(entry).collect();
                let until = entries.last().filter(|_| entries.len() == *limit).map(|(key, _)| key.clone());
                vec![Operation::Scan { prefix: prefix.clone(), until, found: entries.into_iter().collect() }]
            }
            Self::Add { .. } => Vec::new(),
        }
    }

    /// The write of a step whose result is not known.
    fn write(&self, predecessors: &Predecessors) -> Option<Operation> {
        let Self::Append { key, element } = self else { return None };
        let (key, element) = (key.clone(), *element);
        Some(if key.starts_with("r/") {
            let before = predecessors.get(&element).copied().unwrap_or(Some(UNSEEN));
            Operation::Set { key, before, element }
        } else {
            Operation::Append { key, element }
        })
    }

    /// Notes the predecessors that the result of a read or a write of a register shows.
    fn note_predecessors(&self, result: &Value, predecessors: &mut Predecessors) {
        let (Self::Read { key } | Self::Append { key, .. }) = self else { return };
        if !key.starts_with("r/") {
            return;
        }
        let elements = elements(result);
        if let Some(first) = elements.first().filter(|_| elements.len() < REGISTER_ELEMENTS) {
            predecessors.insert(*first, None);
        }
        predecessors.extend(elements.windows(2).map(|pair| (pair[1], Some(pair[0]))));
    }
}

fn elements(value: &Value) -> Vec<u64> {
    let elements = value.as_array().expect("a list");
    elements.iter().map(|element| element.as_u64().expect("an element")).collect()
}

/// The steps as a parameter of a function.
pub(super) fn to_json(steps: &[Step]) -> Value {
    steps.iter().map(Step::json).collect()
}

/// The steps as a literal in a script. No text in them has a brace.
pub(super) fn to_rhai(steps: &[Step]) -> String {
    to_json(steps).to_string().replace('{', "#{")
}

pub(super) fn operations(steps: &[Step], results: &[Value]) -> Vec<Operation> {
    assert_eq!(steps.len(), results.len(), "each step has a result");
    steps.iter().zip(results).flat_map(|(step, result)| step.operations(result)).collect()
}

pub(super) fn writes(steps: &[Step], predecessors: &Predecessors) -> Vec<Operation> {
    steps.iter().filter_map(|step| step.write(predecessors)).collect()
}

pub(super) fn note_predecessors(steps: &[Step], results: &[Value], predecessors: &mut Predecessors) {
    steps.iter().zip(results).for_each(|(step, result)| step.note_predecessors(result, predecessors));
}

/// Number of additions.
pub(super) fn additions(steps: &[Step]) -> u64 {
    steps.iter().filter(|step| matches!(step, Step::Add { .. })).count() as u64
}

/// Reads of all lists and registers of a number of requests.
pub(super) fn reads_of_all(requests: usize) -> Vec<Step> {
    let keys = (0..=requests / REQUESTS_OF_AN_EPOCH).flat_map(|epoch| {
        let lists = (0..LISTS).map(move |list| list_key(epoch, list));
        lists.chain((0..REGISTERS).map(move |register| register_key(epoch, register)))
    });
    keys.map(|key| Step::Read { key }).collect()
}

/// A script that adds up the counters.
pub(super) fn sum_of_counters() -> String {
    let counters: Vec<String> = (0..COUNTERS).map(|counter| format!("store::get(\"c/{counter}\", 0)")).collect();
    counters.join(" + ")
}
