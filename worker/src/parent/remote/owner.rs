//! The owner of a process on another machine: it passes commands to the peer.

use std::time::{Duration, Instant};

use super::{SharedState, wake};
use crate::{
    message::ProcessCommand,
    parent::{
        process::{MachineNotice, ProcessOwner},
        usage::{Usage, UsageSample},
    },
};

/// The owner of a process on another machine. Dropping it closes the peer, whose owner ends the worker.
#[derive(Debug)]
pub(super) struct RemoteOwner(SharedState);

impl RemoteOwner {
    pub(super) fn new(state: SharedState) -> Self {
        Self(state)
    }

    /// Returns a part of the last sample if it was taken after `since`, and requests the next sample.
    fn sample<T>(&self, since: Instant, part: impl FnOnce(UsageSample) -> T) -> Usage<T> {
        let mut state = self.0.lock();
        if state.is_lost {
            return Usage::Unknown;
        }
        let sample = state.sample.filter(|(_, after)| *after >= since);
        let mut peer = None;
        // One request at a time: the answer may take long.
        if state.sample_requested_at.is_none() {
            state.sample_requested_at = Some(Instant::now());
            state.commands.sample = true;
            peer = state.note_change();
        }
        drop(state);
        wake(peer);
        sample.map_or(Usage::Pending, |(sample, _)| Usage::Known(part(sample)))
    }
}

impl ProcessOwner for RemoteOwner {
    fn execute(&self, command: ProcessCommand) {
        self.0.change_for_peer(|state| match command {
            ProcessCommand::Kill => state.commands.kill = true,
            ProcessCommand::LowerPriority => state.commands.lower_priority = true,
        });
    }

    fn memory_usage(&self, _pid: Option<u32>, since: Instant) -> Usage<u64> {
        self.sample(since, |sample| sample.memory_bytes)
    }

    fn cpu_usage(&self, _pid: Option<u32>, since: Instant) -> Usage<Duration> {
        self.sample(since, |sample| sample.cpu_time)
    }

    fn take_notice(&self) -> Option<MachineNotice> {
        let mut state = self.0.lock();
        if std::mem::take(&mut state.is_leaving) {
            return Some(MachineNotice::Leaving);
        }
        state.silent_until.take().map(MachineNotice::Silent)
    }
}

impl Drop for RemoteOwner {
    fn drop(&mut self) {
        self.0.change_for_peer(|state| {
            state.is_closed = true;
            // Nobody reads what arrives, and the worker ends whatever it is sent.
            for channel in [&mut state.work, &mut state.control] {
                channel.inbound.clear();
                channel.outbound.clear();
            }
        });
    }
}
