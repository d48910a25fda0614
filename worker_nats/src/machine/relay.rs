//! The machine's end of a link: a worker.

use std::{
    mem::MaybeUninit,
    task::{Context, Poll},
    time::Instant,
};

use tokio::io::ReadBuf;

use super::{RelayedWorker, WorkerStarter, setups::SharedSetup};
use crate::{
    peers::{End, Failure, LinkAccess},
    wire::{Channel, Loss, Signals, Usage},
};

/// Size of the buffer between a worker and its link, in bytes.
const BUFFER: usize = 16 << 10;

/// A worker with its link.
pub(super) struct MachineEnd<S: WorkerStarter> {
    worker: S::Worker,
    /// The setup has to outlive the worker.
    _setup: SharedSetup<S>,
    /// The channels on which the worker writes no more.
    ended: [bool; 2],
    /// The loss that the machine decided, before the process has ended.
    decided: Option<Loss>,
    is_lost: bool,
    /// The memory at the last sample, in bytes.
    memory: u64,
    /// The usage of the fresh worker. The message with it tells the server of the link, even if the worker writes nothing.
    first_usage: Option<Usage>,
}

impl<S: WorkerStarter> MachineEnd<S> {
    pub(super) fn new(worker: S::Worker, setup: SharedSetup<S>) -> Self {
        // The usage of a worker that has ended is nothing.
        let usage = worker.usage().unwrap_or_default();
        let (memory, first_usage) = (usage.bytes, Some(usage));
        Self { worker, _setup: setup, ended: [false; 2], decided: None, is_lost: false, memory, first_usage }
    }

    /// The memory at the last sample, in bytes.
    pub(super) fn memory(&self) -> u64 {
        self.memory
    }

    /// Samples the memory.
    pub(super) fn sample(&mut self) {
        self.memory = self.worker.usage().map_or(0, |usage| usage.bytes);
    }

    /// Kills the worker, because the grace period of a machine that drains has ended.
    pub(super) fn end_by_drain(&mut self) {
        self.decided.get_or_insert(Loss::Drained);
        self.worker.kill();
    }

    fn read(&mut self, channel: Channel, link: &mut LinkAccess<'_>, context: &mut Context<'_>) {
        let mut bytes = [MaybeUninit::uninit(); BUFFER];
        while !self.ended[channel as usize] {
            let room = link.room(channel).min(BUFFER);
            if room == 0 {
                return;
            }
            let mut buffer = ReadBuf::uninit(&mut bytes[..room]);
            match self.worker.poll_read(channel, context, &mut buffer) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    link.write(channel, buffer.filled());
                }
                // The end, or an error, which is one as well.
                Poll::Ready(_) => {
                    self.ended[channel as usize] = true;
                    let mut signals = Signals::default();
                    signals.end[channel] = true;
                    link.signal(signals);
                }
            }
        }
    }

    fn write(&mut self, channel: Channel, link: &mut LinkAccess<'_>, context: &mut Context<'_>) {
        loop {
            let arrived = link.arrived(channel);
            if arrived.is_empty() {
                return;
            }
            let written = match self.worker.poll_write(channel, context, arrived) {
                Poll::Pending => return,
                Poll::Ready(Ok(written)) if written > 0 => written.min(arrived.len()),
                // The worker has ended: nobody reads the bytes.
                Poll::Ready(_) => arrived.len(),
            };
            link.consume(channel, written);
        }
    }

    /// Executes the commands for the process. Returns whether the server asks for its usage.
    fn execute_commands(&mut self, link: &mut LinkAccess<'_>) -> bool {
        let signals = link.take_signals();
        if signals.kill {
            self.worker.kill();
        }
        if signals.lower_priority {
            self.worker.lower_priority();
        }
        signals.sample
    }

    fn report_usage(&mut self, is_requested: bool, link: &mut LinkAccess<'_>) {
        let first = self.first_usage.take();
        let requested = is_requested.then(|| self.worker.usage().unwrap_or_default());
        let Some(usage) = requested.or(first) else { return };
        self.memory = usage.bytes;
        link.signal(Signals { usage: Some(usage), ..Signals::default() });
    }
}

impl<S: WorkerStarter> End for MachineEnd<S> {
    fn pump(&mut self, link: &mut LinkAccess<'_>, context: &mut Context<'_>) {
        let is_usage_requested = self.execute_commands(link);
        for channel in Channel::ALL {
            self.write(channel, link, context);
            self.read(channel, link, context);
        }
        // Reading the usage takes longer than all else, so the worker has its input by then.
        self.report_usage(is_usage_requested, link);
        if !self.is_lost
            && let Poll::Ready(loss) = self.worker.poll_ended(context)
        {
            self.is_lost = true;
            let loss = Some(self.decided.unwrap_or(loss));
            link.signal(Signals { loss, ..Signals::default() });
        }
    }

    fn leave(&mut self) {
        // Servers do not drain: they close their links.
    }

    fn note_silence(&mut self, _: Instant) {
        // The worker goes on until the server is given up.
    }

    fn fail(&mut self, failure: Failure) {
        if let Failure::Violation(violation) = failure {
            tracing::warn!(%violation, "server violates the rules of links");
        }
        self.worker.kill();
    }
}
