//! Prints that have arrived are taken together, up to a bound.

use super::{Player, WorkerState};

/// Bytes of prints that a session sends in one turn. A script that prints without end then holds up nobody for longer.
const MAX_PRINTED_BYTES: usize = 4 << 10;

/// What each print counts of these besides its text: most of the cost of a short print is its frame.
const PRINT_COST: usize = 64;

impl Player {
    /// A print with those behind it that have arrived, up to what is sent in one turn.
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
