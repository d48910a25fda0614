use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::{
    Observed, Operation, Outcome,
    graph::{Edge, Graph},
};

/// Something that no serial execution in real time shows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Anomaly {
    /// Two transactions that read the same state of a key, and both replaced that state.
    LostUpdate(String),
    /// Transactions that each must come before the next, and the last before the first.
    Cycle(String),
    /// A committed write that a later state does not have.
    LostWrite(String),
    /// Two reads that no order of writes explains, or two writes on top of the same state.
    Divergence(String),
    /// A read of a write that did not commit, or that nobody wrote.
    AbortedRead(String),
    /// A read between two writes of one transaction.
    IntermediateRead(String),
    /// A transaction that does not see its own writes.
    Internal(String),
    /// A write that is there twice.
    Duplicate(String),
    /// A transaction of unknown outcome of which some writes are there, and some are not.
    HalfDone(String),
}

/// Returns the anomalies of a history whose last transactions read every key.
pub fn check(history: &[Observed]) -> BTreeSet<Anomaly> {
    let mut checker = Checker::new(history);
    checker.find_writers();
    checker.find_orders();
    checker.check_orders();
    let graph = checker.graph();
    if let Some(cycle) = graph.cycle() {
        checker.anomalies.insert(Anomaly::Cycle(cycle));
    }
    checker.anomalies
}

/// The key and the element of a write.
fn write(operation: &Operation) -> Option<(&str, u64)> {
    match operation {
        Operation::Append { key, element } | Operation::Set { key, element, .. } => Some((key, *element)),
        _ => None,
    }
}

/// The element that a register had, as far as the operation shows it.
fn register_read(operation: &Operation) -> Option<u64> {
    match operation {
        Operation::Get { element, .. } => *element,
        _ => None,
    }
}

struct Checker<'history> {
    history: &'history [Observed],
    /// Element → transaction.
    writers: HashMap<u64, usize>,
    /// Last element that a transaction wrote to a key.
    last_writes: HashMap<(usize, String), u64>,
    /// The elements of each key in the order of their writes.
    orders: BTreeMap<String, Vec<u64>>,
    anomalies: BTreeSet<Anomaly>,
}

/// What a transaction saw of a key before its own writes: the number of elements.
struct Seen {
    transaction: usize,
    key: String,
    position: usize,
}

impl<'history> Checker<'history> {
    fn new(history: &'history [Observed]) -> Self {
        Self {
            history,
            writers: HashMap::new(),
            last_writes: HashMap::new(),
            orders: BTreeMap::new(),
            anomalies: BTreeSet::new(),
        }
    }

    fn find_writers(&mut self) {
        for (index, observed) in self.history.iter().enumerate() {
            for operation in &observed.operations {
                if let Operation::Append { key, element } | Operation::Set { key, element, .. } = operation {
                    self.writers.insert(*element, index);
                    self.last_writes.insert((index, key.clone()), *element);
                    self.orders.entry(key.clone()).or_default();
                }
            }
        }
    }

    fn committed(&self) -> impl Iterator<Item = (usize, &'history Observed)> + use<'history> {
        self.history.iter().enumerate().filter(|(_, observed)| observed.outcome == Outcome::Committed)
    }

    fn find_orders(&mut self) {
        for (_, observed) in self.committed() {
            for operation in &observed.operations {
                match operation {
                    Operation::Read { key, list } => self.note_list(key, list),
                    Operation::Scan { found, .. } => {
                        for (key, list) in found {
                            self.note_list(key, list);
                        }
                    }
                    _ => {}
                }
            }
        }
        self.find_register_orders();
    }

    fn note_list(&mut self, key: &str, list: &[u64]) {
        let order = self.orders.entry(key.to_owned()).or_default();
        let common = order.len().min(list.len());
        if order[..common] != list[..common] {
            self.anomalies.insert(Anomaly::Divergence(format!("{key}: {order:?} and {list:?}")));
        } else if list.len() > order.len() {
            list.clone_into(order);
        }
    }

    /// Each write of a register says which one it replaced.
    fn find_register_orders(&mut self) {
        let mut successors: HashMap<(&str, Option<u64>), Vec<u64>> = HashMap::new();
        for observed in self.history.iter().filter(|observed| observed.outcome != Outcome::Aborted) {
            for operation in &observed.operations {
                if let Operation::Set { key, before, element } = operation {
                    successors.entry((key, *before)).or_default().push(*element);
                }
            }
        }
        let is_committed = |element: &u64| self.history[self.writers[element]].outcome == Outcome::Committed;
        let read: HashSet<u64> =
            self.committed().flat_map(|(_, observed)| &observed.operations).filter_map(register_read).collect();
        for (key, order) in &mut self.orders {
            let mut last = None;
            while let Some(next) = successors.remove(&(&**key, last)) {
                let committed: Vec<u64> = next.iter().copied().filter(is_committed).collect();
                if committed.len() > 1 {
                    let detail = format!("{key}: {committed:?} all replaced {last:?}");
                    self.anomalies.insert(Anomaly::Divergence(detail));
                }
                // A write of unknown outcome counts if another one built on it, or if it was read.
                let is_seen =
                    |element: &&u64| read.contains(element) || successors.contains_key(&(&**key, Some(**element)));
                let Some(element) = committed.first().or_else(|| next.iter().find(is_seen)).copied() else { break };
                order.push(element);
                last = Some(element);
            }
        }
    }

    fn check_orders(&mut self) {
        for (key, order) in &self.orders {
            let distinct: BTreeSet<&u64> = order.iter().collect();
            if distinct.len() < order.len() {
                self.anomalies.insert(Anomaly::Duplicate(format!("{key}: {order:?}")));
            }
            for element in order {
                let writer = self.writers.get(element).map(|writer| self.history[*writer].outcome);
                if !matches!(writer, Some(Outcome::Committed | Outcome::Unknown)) {
                    self.anomalies.insert(Anomaly::AbortedRead(format!("{key} has {element} of {writer:?}")));
                }
            }
        }
        for (index, observed) in self.committed() {
            for operation in &observed.operations {
                if let Operation::Append { key, element } | Operation::Set { key, element, .. } = operation
                    && !self.orders[key].contains(element)
                {
                    let detail = format!("{key} lacks {element} of transaction {index}");
                    self.anomalies.insert(Anomaly::LostWrite(detail));
                }
            }
        }
        for (index, observed) in self.history.iter().enumerate() {
            if observed.outcome != Outcome::Unknown {
                continue;
            }
            let writes = observed.operations.iter().filter_map(write);
            let (there, absent): (Vec<_>, Vec<_>) =
                writes.partition(|(key, element)| self.orders[*key].contains(element));
            if !there.is_empty() && !absent.is_empty() {
                let detail = format!("of transaction {index}, {there:?} are there, and {absent:?} are not");
                self.anomalies.insert(Anomaly::HalfDone(detail));
            }
        }
    }

    /// The position of a list in the order of its key, without the own writes at its end.
    fn position(&mut self, transaction: usize, key: &str, last: Option<u64>, own: &[u64]) -> Option<usize> {
        let order = self.orders.get(key)?;
        let Some(element) = own.first().copied().or(last) else { return Some(0) };
        if !own.is_empty() {
            if last != own.last().copied() {
                let detail = format!("transaction {transaction} reads {last:?} of {key} after writing {own:?}");
                self.anomalies.insert(Anomaly::Internal(detail));
            }
            return order.iter().position(|other| *other == element);
        }
        let Some(writer) = self.writers.get(&element).copied() else {
            self.anomalies.insert(Anomaly::AbortedRead(format!("{key} had {element}, which nobody wrote")));
            return None;
        };
        if self.history[writer].outcome == Outcome::Aborted {
            self.anomalies.insert(Anomaly::AbortedRead(format!("{key} had {element} of transaction {writer}")));
        } else if self.last_writes.get(&(writer, key.to_owned())) != Some(&element) {
            self.anomalies.insert(Anomaly::IntermediateRead(format!("{key} had {element} of transaction {writer}")));
        }
        order.iter().position(|other| *other == element).map(|position| position + 1)
    }

    /// What a transaction saw, in terms of the orders.
    fn seen(&mut self, transaction: usize) -> Vec<Seen> {
        let history = self.history;
        let mut own: HashMap<&str, Vec<u64>> = HashMap::new();
        let mut seen = Vec::new();
        for operation in &history[transaction].operations {
            let reads: Vec<(&str, Option<u64>)> = match operation {
                Operation::Append { key, element } | Operation::Set { key, element, .. } => {
                    own.entry(key).or_default().push(*element);
                    continue;
                }
                Operation::Read { key, list } => vec![(key, list.last().copied())],
                Operation::Get { key, element } => vec![(key, *element)],
                Operation::Scan { prefix, until, found } => {
                    let is_covered = |key: &str| {
                        key.starts_with(prefix.as_str()) && until.as_ref().is_none_or(|until| key <= until.as_str())
                    };
                    let keys: Vec<String> = self.orders.keys().filter(|key| is_covered(key)).cloned().collect();
                    for key in keys {
                        let last = found.get(&key).and_then(|list| list.last().copied());
                        let own = own.get(&*key).cloned().unwrap_or_default();
                        if let Some(position) = self.position(transaction, &key, last, &own) {
                            seen.push(Seen { transaction, key, position });
                        }
                    }
                    continue;
                }
            };
            for (key, last) in reads {
                let own = own.get(key).cloned().unwrap_or_default();
                if let Some(position) = self.position(transaction, key, last, &own) {
                    seen.push(Seen { transaction, key: key.to_owned(), position });
                }
            }
        }
        seen
    }

    fn graph(&mut self) -> Graph {
        let mut graph = Graph::new(self.history.len());
        for (key, order) in &self.orders {
            for pair in order.windows(2) {
                if let (Some(from), Some(to)) = (self.writers.get(&pair[0]), self.writers.get(&pair[1])) {
                    graph.add(*from, *to, Edge::Overwrites(key.clone()));
                }
            }
        }
        let committed: Vec<usize> = self.committed().map(|(index, _)| index).collect();
        let mut updates: HashMap<(String, usize), usize> = HashMap::new();
        for transaction in committed {
            for Seen { transaction, key, position } in self.seen(transaction) {
                if self.last_writes.contains_key(&(transaction, key.clone()))
                    && let Some(other) = updates.insert((key.clone(), position), transaction)
                    && other != transaction
                {
                    let detail = format!("T{other} and T{transaction} both replaced state {position} of {key}");
                    self.anomalies.insert(Anomaly::LostUpdate(detail));
                }
                let order = &self.orders[&key];
                let writer = |position: usize| order.get(position).and_then(|element| self.writers.get(element));
                if let Some(before) = position.checked_sub(1).and_then(writer) {
                    graph.add(*before, transaction, Edge::IsRead(key.clone()));
                }
                if let Some(after) = writer(position) {
                    graph.add(transaction, *after, Edge::ReadsBefore(key));
                }
            }
        }
        graph.add_real_time(self.committed().map(|(index, observed)| (index, observed.begin, observed.end)));
        graph
    }
}
