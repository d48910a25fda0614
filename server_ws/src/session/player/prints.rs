//! The collection of prints that have arrived, up to a bound.

use super::{Player, WorkerState};

/// The maximum number of bytes of prints that a session sends at once. It limits how long an endless print loop delays
/// others.
const MAX_PRINTED_BYTES: usize = 1 << 10;

/// The bytes that each print counts in addition to its text. Most of the cost of a short print is its frame.
const PRINT_COST: usize = 64;

impl Player {
    /// Returns a print and those after it that have arrived, up to the bound.
    pub(super) fn arrived_prints(&mut self, first: worker::Print) -> Vec<worker::Print> {
        let mut bytes = first.text.len() + PRINT_COST;
        let mut prints = vec![first];
        if let WorkerState::Ready(worker, _) = &mut self.worker {
            while bytes < MAX_PRINTED_BYTES
                && let Some(print) = worker.arrived_print()
            {
                bytes += print.text.len() + PRINT_COST;
                prints.push(print);
            }
        }
        prints
    }
}
