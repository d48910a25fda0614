use std::collections::VecDeque;

/// Why a transaction comes before another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Edge {
    /// The other overwrites a write of the one.
    Overwrites(String),
    /// The other reads a write of the one.
    IsRead(String),
    /// The one reads what was there before a write of the other.
    ReadsBefore(String),
    /// The one ended before the other began.
    RealTime,
}

/// A graph whose first nodes are transactions. The others are points in time: an edge for each pair of transactions of
/// which one ends before the other would be too many.
pub(super) struct Graph {
    transactions: usize,
    edges: Vec<Vec<(usize, Edge)>>,
}

impl Graph {
    pub(super) fn new(transactions: usize) -> Self {
        Self { transactions, edges: vec![Vec::new(); transactions] }
    }

    pub(super) fn add(&mut self, from: usize, to: usize, edge: Edge) {
        if from != to {
            self.edges[from].push((to, edge));
        }
    }

    pub(super) fn add_real_time(&mut self, transactions: impl Iterator<Item = (usize, u64, u64)>) {
        let transactions: Vec<_> = transactions.collect();
        let mut ends: Vec<u64> = transactions.iter().map(|(_, _, end)| *end).collect();
        ends.sort_unstable();
        ends.dedup();
        let first = self.edges.len();
        self.edges.resize(first + ends.len(), Vec::new());
        for point in 1..ends.len() {
            self.add(first + point - 1, first + point, Edge::RealTime);
        }
        for (transaction, begin, end) in transactions {
            let after = ends.partition_point(|other| *other < end);
            self.add(transaction, first + after, Edge::RealTime);
            if let Some(before) = ends.partition_point(|end| *end < begin).checked_sub(1) {
                self.add(first + before, transaction, Edge::RealTime);
            }
        }
    }

    /// A shortest cycle through some transaction, described; nothing if the graph has no cycle.
    pub(super) fn cycle(&self) -> Option<String> {
        let start = self.node_of_a_cycle()?;
        let mut previous: Vec<Option<(usize, &Edge)>> = vec![None; self.edges.len()];
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            for (next, edge) in &self.edges[node] {
                if previous[*next].is_none() {
                    previous[*next] = Some((node, edge));
                    queue.push_back(*next);
                }
            }
            if previous[start].is_some() {
                break;
            }
        }
        let mut text = format!("T{start}");
        let mut node = start;
        loop {
            let (before, edge) = previous[node].expect("a path around the cycle");
            if before < self.transactions {
                text = format!("T{before} {edge:?} → {text}");
            }
            node = before;
            if node == start {
                return Some(text);
            }
        }
    }

    /// A transaction on a cycle: removes nodes without predecessors until none is left, or only cycles and what follows
    /// them; then one node before another leads into a cycle.
    fn node_of_a_cycle(&self) -> Option<usize> {
        let mut predecessors = vec![0_usize; self.edges.len()];
        for (next, _) in self.edges.iter().flatten() {
            predecessors[*next] += 1;
        }
        let mut free: Vec<usize> = (0..self.edges.len()).filter(|node| predecessors[*node] == 0).collect();
        while let Some(node) = free.pop() {
            for (next, _) in &self.edges[node] {
                predecessors[*next] -= 1;
                if predecessors[*next] == 0 {
                    free.push(*next);
                }
            }
        }
        let mut node = predecessors.iter().position(|count| *count > 0)?;
        // Backwards, every remaining node has a predecessor that remains, so the walk ends on a cycle.
        let mut before = vec![usize::MAX; self.edges.len()];
        for (from, edges) in self.edges.iter().enumerate().filter(|(from, _)| predecessors[*from] > 0) {
            for (to, _) in edges {
                before[*to] = from;
            }
        }
        let mut is_visited = vec![false; self.edges.len()];
        while !is_visited[node] {
            is_visited[node] = true;
            node = before[node];
        }
        // Points in time alone have no cycle, so some node of this one is a transaction.
        while node >= self.transactions {
            node = before[node];
        }
        Some(node)
    }
}
