//! The server's end of a link: the handle of a worker on another machine.

use std::{
    task::{Context, Poll},
    time::Instant,
};

use crate::{
    peers::{End, Failure, LinkAccess},
    wire::{Channel, Loss, Signals, Usage},
};

/// Size of the buffer between a handle and its link, in bytes: most messages are shorter, and each look at a link clears
/// it.
const BUFFER: usize = 4 << 10;

/// The reason why a worker on another machine has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteLoss {
    /// The machine states the reason.
    Stated(Loss),
    /// The machine violated the rules of links.
    Violation,
    /// The machine is out of reach. The worker may still run there for a while.
    Unreachable,
}

/// The commands of a handle for the process of its worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoteCommands {
    /// Kill the process.
    pub kill: bool,
    /// Lower the priority of the process.
    pub lower_priority: bool,
    /// Answer with [`RemoteEnd::report_usage`].
    pub sample: bool,
}

/// The handle of a worker on another machine, which the hub connects to the worker. No method waits. Dropping the end
/// ends both channels.
pub trait RemoteEnd: Send + 'static {
    /// Returns `Ready` if there is something new since the last call: bytes to read, a command, room for bytes that did
    /// not fit, or the end of the handle. Registers the waker otherwise.
    fn poll_changed(&mut self, context: &mut Context<'_>) -> Poll<()>;

    /// Moves bytes for the worker into the buffer. Returns their number, 0 if there are none now.
    fn try_read(&mut self, channel: Channel, buffer: &mut [u8]) -> usize;

    /// Passes bytes of the worker to the handle. Returns how many fit.
    fn try_write(&mut self, channel: Channel, bytes: &[u8]) -> usize;

    /// Ends a channel: no more bytes come from the worker. What was written before remains readable.
    fn end(&mut self, channel: Channel);

    /// Removes the commands for the process.
    fn take_commands(&mut self) -> RemoteCommands;

    /// Reports what the process uses.
    fn report_usage(&mut self, usage: Usage);

    /// Reports that the worker has to leave its machine, which drains.
    fn leave(&mut self);

    /// Reports that the machine shows no sign of life, and counts as lost at this time unless it shows one before.
    fn note_silence(&mut self, lost_at: Instant);

    /// Reports that the process has ended. The first report counts. Bytes from before may follow.
    fn report_loss(&mut self, loss: RemoteLoss);

    /// Whether the handle is dropped, so that the worker has to end.
    fn is_closed(&self) -> bool;
}

/// The end of a link at the server.
pub(super) struct ServerEnd {
    end: Box<dyn RemoteEnd>,
    /// The channels whose end the handle knows.
    ended: [bool; 2],
}

impl ServerEnd {
    pub(super) fn new(end: Box<dyn RemoteEnd>) -> Self {
        Self { end, ended: [false; 2] }
    }

    fn move_bytes(&mut self, channel: Channel, link: &mut LinkAccess<'_>) {
        let mut buffer = [0; BUFFER];
        loop {
            let room = link.room(channel).min(BUFFER);
            let read = self.end.try_read(channel, &mut buffer[..room]).min(room);
            if read == 0 {
                break;
            }
            link.write(channel, &buffer[..read]);
        }
        let arrived = link.arrived(channel);
        if !arrived.is_empty() {
            let written = self.end.try_write(channel, arrived).min(arrived.len());
            link.consume(channel, written);
        }
        if link.has_ended(channel) && !std::mem::replace(&mut self.ended[channel as usize], true) {
            self.end.end(channel);
        }
    }
}

impl End for ServerEnd {
    fn pump(&mut self, link: &mut LinkAccess<'_>, context: &mut Context<'_>) {
        loop {
            if self.end.is_closed() {
                link.close();
                return;
            }
            for channel in Channel::ALL {
                self.move_bytes(channel, link);
            }
            let RemoteCommands { kill, lower_priority, sample } = self.end.take_commands();
            link.signal(Signals { kill, lower_priority, sample, ..Signals::default() });
            if self.end.poll_changed(context).is_pending() {
                break;
            }
        }
        let signals = link.take_signals();
        if let Some(usage) = signals.usage {
            self.end.report_usage(usage);
        }
        if let Some(loss) = signals.loss {
            self.end.report_loss(RemoteLoss::Stated(loss));
        }
    }

    fn leave(&mut self) {
        self.end.leave();
    }

    fn note_silence(&mut self, lost_at: Instant) {
        self.end.note_silence(lost_at);
    }

    fn fail(&mut self, failure: Failure) {
        self.end.report_loss(match failure {
            Failure::Unreachable => RemoteLoss::Unreachable,
            Failure::Violation(violation) => {
                tracing::warn!(%violation, "worker machine violates the rules of links");
                RemoteLoss::Violation
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_have_distinct_indexes() {
        assert_eq!(Channel::ALL.map(|channel| channel as usize), [0, 1]);
    }
}
