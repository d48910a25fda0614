//! The collection of prints that have arrived, up to a bound.

use worker::{Print, Stream};

use super::{Player, PlayerEvent, StopReason, WorkerState};
use crate::{calls::HostCalls, host::HostPrint};

/// The maximum number of bytes of prints that a session sends at once. It limits how long an endless print loop delays
/// others.
const MAX_PRINTED_BYTES: usize = 1 << 10;

/// The bytes that each print counts in addition to its text. Most of the cost of a short print is its frame.
const PRINT_COST: usize = 64;

impl Player {
    /// Returns a print and those after it that have arrived, up to the bound.
    pub(super) fn arrived_prints(&mut self, first: Print) -> Vec<Print> {
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

    /// Returns the prints of a host function that have arrived, up to the bound, or stops the play if they are too much.
    pub(super) fn print_from_host(&mut self, first: HostPrint) -> Option<PlayerEvent> {
        let play = self.play.as_mut()?;
        let (mut bytes, mut prints, mut next) = (0, Vec::new(), Some(first));
        while let Some(print) = next {
            let HostPrint::Text(text) = print else {
                let finished = self.stop(StopReason::HostOutput);
                return if prints.is_empty() { finished } else { Some(PlayerEvent::Printed(prints)) };
            };
            bytes += text.len() + PRINT_COST;
            prints.push(Print { play: play.number, stream: Stream::Print, text, position: None });
            let host_calls = play.host_calls.as_mut().filter(|_| bytes < MAX_PRINTED_BYTES);
            next = host_calls.and_then(HostCalls::arrived_print);
        }
        Some(PlayerEvent::Printed(prints))
    }
}
