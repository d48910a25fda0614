//! Validation of the answers to pending queries: a worker may be compromised by its script.

use crate::message::{MAX_CANDIDATES, Query, QueryAnswer};

/// The answer that a pending query expects.
#[derive(Debug, Clone, Copy)]
pub(super) enum ExpectedAnswer {
    Complete {
        /// Length of the text, in Unicode scalar values.
        length: u64,
    },
    Scope,
    Lookup,
}

impl ExpectedAnswer {
    pub(super) fn new(query: &Query) -> Self {
        match query {
            Query::Complete { before } => Self::Complete { length: before.chars().count() as u64 },
            Query::Scope => Self::Scope,
            Query::Lookup { .. } => Self::Lookup,
        }
    }

    /// Whether an answer is valid for the query. `max_bytes` is the maximum size of an answer.
    pub(super) fn matches(self, answer: &QueryAnswer, max_bytes: usize) -> bool {
        answer.weight() <= max_bytes
            && match (self, answer) {
                (Self::Complete { length }, QueryAnswer::Complete(completion)) => {
                    completion.start <= length && completion.candidates.len() <= MAX_CANDIDATES
                }
                (Self::Scope, QueryAnswer::Scope(_) | QueryAnswer::TooLarge) => true,
                (Self::Lookup, QueryAnswer::Lookup(_) | QueryAnswer::TooLarge) => true,
                _ => false,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Candidate, CandidateKind, Completion, ScopeListing, VariableEntry};

    #[test]
    fn answer_matches_kind_and_bounds_of_query() {
        let complete = ExpectedAnswer::new(&Query::Complete { before: "aß".into() });
        let candidate = Candidate { text: "ab".into(), kind: CandidateKind::Variable, detail: String::new() };
        let completion =
            |start, count| QueryAnswer::Complete(Completion { start, candidates: vec![candidate.clone(); count] });
        let is_answer = |query: ExpectedAnswer, answer: &QueryAnswer| query.matches(answer, 100_000);
        assert!(is_answer(complete, &completion(2, 200)));
        assert!(!is_answer(complete, &completion(3, 0)) && !is_answer(complete, &completion(0, 201)));
        let scope = ExpectedAnswer::new(&Query::Scope);
        assert!(
            is_answer(scope, &QueryAnswer::Scope(ScopeListing::default())) && is_answer(scope, &QueryAnswer::TooLarge)
        );
        // Many small entries would fit into a frame, but each costs the server more than the worker.
        let (name, type_name) = (String::new(), String::new());
        let entry = VariableEntry { name, type_name, output: None, length: None, is_constant: false };
        assert!(!is_answer(
            scope,
            &QueryAnswer::Scope(ScopeListing { variables: vec![entry; 4000], functions: Vec::new() })
        ));
        for other in [completion(0, 0), QueryAnswer::Lookup(Vec::new())] {
            assert!(!is_answer(scope, &other));
        }
        assert!(!is_answer(complete, &QueryAnswer::TooLarge));
    }
}
